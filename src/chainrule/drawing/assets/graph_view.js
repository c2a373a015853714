// One view of the graph: the picture made in Python, with zoom, marks on it, and how far a walk has come.

const LARGEST_AT_FIRST = 1.6; // a graph of three nodes is not blown up to the window
const SMALLEST_AT_FIRST = 0.7; // below it, small letters cannot be read: a wide graph begins at its left instead
const SMALLEST_OF_ALL = 0.1; // when all is to be seen: below it, there is nothing to see
const FEWEST_CULLED = 300; // edges
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const isNarrow = () => window.innerWidth < 800;

// Around a click, ever farther off, in pixels.
const NEARBY = [[0, 0]];
for (let far = 1; far <= 6; far++) NEARBY.push([0, -far], [0, far], [-far, 0], [far, 0]);

class View {
  constructor(holder, data) {
    this.name = holder.dataset.view;
    this.holder = holder;
    this.svg = holder.querySelector("svg.graph");
    this.all = this.svg.querySelector("g.all");
    this.nodes = data.nodes;
    this.edges = data.edges;
    this.drawnNodes = byNumber(this.svg.querySelectorAll("g.node"), "node");
    this.drawnEdges = byNumber(this.svg.querySelectorAll("g.edge"), "edge");
    this.leaving = this.nodes.map(() => []);
    this.edges.forEach((edge, k) => this.leaving[edge.source].push(k));
    this.marked = [];
    this.isMoved = false;
    this.prepare();
  }

  // The picture fills its holder; what it was wide and high is kept for fitting.
  prepare() {
    const { width, height } = this.svg.viewBox.baseVal;
    this.size = { width, height };
    const margin = this.all.transform.baseVal.getItem(0).matrix;
    this.margin = { x: margin.e, y: margin.f };
    this.svg.removeAttribute("viewBox");
    this.svg.removeAttribute("width");
    this.svg.removeAttribute("height");
    this.svg.setAttribute("role", "group");
    this.zoom = d3.zoom().scaleExtent([0.02, 6]).extent(() => [[0, 0], [this.window.width, this.window.height]]);
    this.zoom.on("zoom", ({ transform, sourceEvent }) => {
      this.all.setAttribute("transform", `${transform} translate(${this.margin.x},${this.margin.y})`);
      this.cull(transform);
      if (sourceEvent) this.isMoved = true;
    });
    this.selection = d3.select(this.svg);
    this.selection.call(this.zoom).on("dblclick.zoom", null);
    this.across = this.nodes.map((node, k) => this.placeOf(k).x);
    this.drawnNodes.forEach((drawn, k) => {
      const { name, kind, layer } = this.nodes[k];
      if (kind === "output") return;
      drawn.setAttribute("tabindex", "0");
      drawn.setAttribute("role", "button");
      drawn.setAttribute("aria-label", `${name}, ${layer ?? kind}`);
    });
  }

  // What the picture can be seen through. The holder itself may still be hidden.
  get window() {
    const { clientWidth, clientHeight } = this.holder.parentElement;
    return { width: clientWidth, height: clientHeight };
  }

  // Take the edges far left and right of the window out of a large picture: what is not there need not be laid out.
  // Hiding them by a style was measured to save little.
  cull({ x, k }) {
    if (this.edges.length < FEWEST_CULLED) return;
    const wide = this.window.width / k;
    const [left, right] = [-x / k, wide - x / k];
    const { from, to } = this.kept ?? { from: 0, to: 0 };
    if (from <= left - 300 && to >= right + 300 && to - from < 8 * wide) return;
    this.kept = { from: left - wide - 300, to: right + wide + 300 };
    this.edges.forEach(({ source, target }, n) => {
      const isNear = this.across[target] >= this.kept.from && this.across[source] <= this.kept.to;
      const drawn = this.drawnEdges[n];
      if (!isNear) drawn.remove();
      else if (!drawn.parentNode) this.all.insertBefore(drawn, this.drawnNodes[0]);
    });
  }

  // Where a node stands in the picture, its margin included.
  placeOf(k) {
    const { e, f } = this.drawnNodes[k].transform.baseVal.getItem(0).matrix;
    return { x: e + this.margin.x, y: f + this.margin.y };
  }

  move(transform, slowly) {
    this.zoom.interpolate(d3.interpolate);
    if (slowly && !calm.matches) this.selection.transition().duration(280).call(this.zoom.transform, transform);
    else this.selection.interrupt().call(this.zoom.transform, transform);
  }

  // The whole graph, as large as it goes; of one that is too wide, the left.
  fit(slowly = true) {
    const { width, height } = this.window;
    const whole = Math.min(width / this.size.width, height / this.size.height, LARGEST_AT_FIRST);
    const scale = Math.max(whole, SMALLEST_OF_ALL);
    const isTooWide = this.size.width * scale > width + 1;
    const x = isTooWide ? width / 2 / scale : this.size.width / 2;
    this.move(this.centred(x, this.size.height / 2, scale), slowly);
    this.isMoved = false;
  }

  // As it is first seen: whole where that can be read, otherwise from the left.
  begin() {
    const { width, height } = this.window;
    const whole = Math.min(width / this.size.width, height / this.size.height);
    if (whole >= SMALLEST_AT_FIRST) return this.fit(false);
    const largest = isNarrow() ? SMALLEST_AT_FIRST : 1;
    const scale = Math.min(Math.max(height / this.size.height, SMALLEST_AT_FIRST), largest);
    const first = this.placeOf(Math.max(this.nodes.findIndex((node) => node.edges.length), 0));
    const reach = height / 2 / scale;
    const isLow = this.size.height <= 2 * reach;
    const y = isLow ? this.size.height / 2 : Math.min(Math.max(first.y, reach), this.size.height - reach);
    const isSlim = this.size.width * scale <= width;
    this.move(this.centred(isSlim ? this.size.width / 2 : width / 2 / scale, y, scale), false);
    this.isMoved = false;
  }

  centred(x, y, scale) {
    const { width, height } = this.window;
    return d3.zoomIdentity.translate(width / 2 - x * scale, height / 2 - y * scale).scale(scale);
  }

  scaleBy(factor) {
    this.isMoved = true;
    const chosen = calm.matches ? this.selection : this.selection.transition().duration(150);
    chosen.call(this.zoom.scaleBy, factor);
  }

  // Bring a node and what stands on its edges into the window, if they are outside.
  reveal(k, { always = false } = {}) {
    const { width, height } = this.window;
    const now = d3.zoomTransform(this.svg);
    const scale = Math.max(now.k, isNarrow() ? 0.6 : 0.7);
    const place = this.placeOf(k);
    const [x, y] = now.apply([place.x, place.y]);
    const [beside, above] = [Math.min(190 * scale, width / 3), Math.min(80 * scale, height / 3)];
    const isInside = x >= beside && x <= width - beside && y >= above && y <= height - above;
    if (isInside && scale === now.k && !always) return;
    this.isMoved = true;
    this.move(this.centred(place.x, place.y, scale), true);
  }

  // Show several nodes at once, as large as they can be read.
  revealAll(numbers) {
    const places = numbers.map((k) => this.placeOf(k));
    const [left, right] = [Math.min(...places.map((p) => p.x)), Math.max(...places.map((p) => p.x))];
    const [top, bottom] = [Math.min(...places.map((p) => p.y)), Math.max(...places.map((p) => p.y))];
    const { width, height } = this.window;
    const scale = Math.min(width / (right - left + 320), height / (bottom - top + 160), 1.2);
    this.isMoved = true;
    if (scale >= SMALLEST_AT_FIRST) return this.move(this.centred((left + right) / 2, (top + bottom) / 2, scale), true);
    const x = left - 160 + width / 2 / SMALLEST_AT_FIRST;
    return this.move(this.centred(x, placesMiddle(places), SMALLEST_AT_FIRST), true);
  }

  // Take off the marks of before, and put on new ones: [["node", 3, "now"], ["edge", 5, "upstream"], ...].
  mark(marks) {
    for (const [drawn, word] of this.marked) drawn.classList.remove(word);
    this.marked = marks.map(([what, k, word]) => [(what === "node" ? this.drawnNodes : this.drawnEdges)[k], word]);
    for (const [drawn, word] of this.marked) drawn.classList.add(word);
  }

  // Hide what a walk has not come to yet. `times` says at which step each edge's value and gradient appear.
  showUntil(step, times) {
    this.drawnEdges.forEach((drawn, k) => {
      drawn.classList.toggle("no-value", step < times[k].value);
      drawn.classList.toggle("no-gradient", step < times[k].gradient);
    });
  }

  // What was clicked: a node, an edge, or an edge's line a few pixels away, which is thin to hit.
  under(event) {
    for (const [dx, dy] of NEARBY) {
      const hit = document.elementFromPoint(event.clientX + dx, event.clientY + dy)?.closest("g.node, g.edge");
      if (!hit || !this.svg.contains(hit)) continue;
      if (hit.dataset.edge !== undefined) return { edge: Number(hit.dataset.edge) };
      if (this.nodes[hit.dataset.node].kind !== "output") return { node: Number(hit.dataset.node) };
    }
    return null;
  }

  find(name) {
    return this.nodes.findIndex((node) => node.name === name && node.kind !== "output");
  }
}

function byNumber(drawn, what) {
  const found = [];
  for (const each of drawn) found[Number(each.dataset[what])] = each;
  return found;
}

function placesMiddle(places) {
  const heights = places.map((place) => place.y).sort((a, b) => a - b);
  return heights[Math.floor(heights.length / 2)];
}
