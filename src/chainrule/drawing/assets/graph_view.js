// One view of the graph: the picture made in Python, with zoom, marks on it, and how far a walk has come.

const LARGEST_AT_FIRST = 1.6; // a graph of three nodes is not blown up to the window
const LEGIBLE = 0.8; // where one looks for a node, its numbers can be read
const LEAST = 0.2; // what is smaller on a phone, beside the panel, is shown in part, at ...
const IN_PART = 0.45;
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
    this.markedEdges = new Set();
    this.isMoved = false;
    this.prepare();
  }

  // The picture fills its holder, broken into rows so that all of it is as large as it can be.
  prepare() {
    const { width, height } = this.svg.viewBox.baseVal;
    this.size = { width, height };
    this.svg.removeAttribute("viewBox");
    this.svg.removeAttribute("width");
    this.svg.removeAttribute("height");
    this.svg.setAttribute("role", "group");
    this.rows = new Rows(this);
    this.levels = new Levels(this);
    this.opened = new Map();
    for (const images of this.svg.querySelectorAll(".images")) { // these can be told from afar
      images.parentNode.classList.add("pictured");
      loadImages(images.parentNode);
    }
    this.zoom = new Zoom(this.svg, (transform, byHand) => {
      this.all.setAttribute("transform", `translate(${transform.x},${transform.y}) scale(${transform.k})`);
      this.levels.show(transform.k, root.dataset.phase);
      this.cull(transform);
      if (byHand) this.isMoved = true;
      this.onMove?.(transform);
    });
    this.drawnNodes.forEach((drawn, k) => {
      const { name, kind, layer } = this.nodes[k];
      if (kind === "output") return;
      drawn.setAttribute("tabindex", "0");
      drawn.setAttribute("role", "button");
      drawn.setAttribute("aria-label", `${name}, ${layer ?? kind}`);
    });
  }

  // Break it into the rows that suit the window.
  lay() {
    this.rows.lay(this.window);
    const { width, height } = this.rows.plan;
    this.size = { width, height };
    this.kept = null;
    this.zoom.range = [Math.min(this.whole / 2, 0.1), 6];
  }

  // The scale at which all can be seen.
  get whole() {
    const { width, height } = this.window;
    return Math.min(width / this.size.width, height / this.size.height, LARGEST_AT_FIRST);
  }

  // What the picture can be seen through. The holder itself may still be hidden.
  get window() {
    const { clientWidth, clientHeight } = this.holder.parentElement;
    return { width: clientWidth, height: clientHeight };
  }

  // Keep in the document what can be seen, laid out where it belongs: from afar all edges but those that lie over
  // another, near those in and around the window. Hiding the others by a style was measured to save little.
  cull({ x, y, k }) {
    const isFar = levelOf(k) === "far";
    const { width, height } = this.window;
    const seen = { left: -x / k, top: -y / k, right: (width - x) / k, bottom: (height - y) / k };
    const isKept = (kept) => kept.isFar === isFar && (isFar || this.isSmall || (kept.left <= seen.left
      && kept.top <= seen.top && kept.right >= seen.right && kept.bottom >= seen.bottom));
    if (this.kept && isKept(this.kept)) return;
    const [wide, high] = [seen.right - seen.left + 300, seen.bottom - seen.top + 300];
    this.kept = { isFar, left: seen.left - wide, top: seen.top - high, right: seen.right + wide, bottom: seen.bottom + high };
    this.drawnEdges.forEach((drawn, n) => {
      if (isFar ? this.rows.lines[n].isShared && !this.markedEdges.has(n) : !this.isSmall && !this.isNear(n, this.kept)) drawn.remove();
      else this.put(n, !isFar);
    });
  }

  get isSmall() {
    return this.edges.length < FEWEST_CULLED;
  }

  // Have an edge in the document; `near`: with its small pictures.
  put(n, near) {
    const drawn = this.drawnEdges[n];
    this.rows.ensure(n);
    if (!drawn.parentNode) this.all.insertBefore(drawn, this.drawnNodes[0]);
    if (near) loadImages(drawn);
  }

  // Whether an edge goes through a part of the picture.
  isNear(n, { left, top, right, bottom }) {
    const { rows } = this.rows.plan;
    const [from, to] = this.rows.lines[n].rows;
    if (rows[from].top > bottom || rows[to].bottom < top) return false;
    if (from !== to) return true;
    const { source, target } = this.edges[n];
    return this.placeOf(target).x >= left && this.placeOf(source).x <= right;
  }

  edgesInWindow() {
    const { x, y, k } = this.zoom.now;
    const { width, height } = this.window;
    const part = { left: -x / k, top: -y / k, right: (width - x) / k, bottom: (height - y) / k };
    return this.edges.map((edge, n) => n).filter((n) => this.isNear(n, part));
  }

  // Where a node stands in the picture.
  placeOf(k) {
    return this.rows.places[k];
  }

  move(transform, slowly) {
    this.zoom.go(transform, slowly && !calm.matches ? 280 : 0);
  }

  // The whole graph, as large as it goes.
  fit(slowly = true) {
    this.lay();
    this.move(this.centred(this.size.width / 2, this.size.height / 2, this.whole), slowly);
    this.isMoved = false;
  }

  centred(x, y, scale) {
    const { width, height } = this.window;
    return { x: width / 2 - x * scale, y: height / 2 - y * scale, k: scale };
  }

  // Move the window to a place of the picture.
  centreOn(x, y) {
    this.isMoved = true;
    this.move(this.centred(x, y, this.zoom.now.k), false);
  }

  scaleBy(factor) {
    this.isMoved = true;
    const { width, height } = this.window;
    this.zoom.go(this.zoom.scaled(factor, [width / 2, height / 2]), calm.matches ? 0 : 150);
  }

  // How wide and high a node's shape was made.
  boxOf(k) {
    const box = this.drawnNodes[k].querySelector(".shape:not(.inside *)").getBBox();
    return { width: box.width, height: box.height };
  }

  // Open a block in its place, or close it again; true when it is open then.
  toggleBlock(k, full) {
    const opened = this.opened.get(k);
    if (opened) {
      opened.close();
      this.opened.delete(k);
    } else this.opened.set(k, new Opened(this, k, full));
    this.rows.grow(new Map([...this.opened].map(([n, { size }]) => [n, size])));
    this.fit(true);
    return !opened;
  }

  // Bring a node and what stands on its edges into the window, if they are outside; `legible`: so that they can be read.
  reveal(k, { legible = false } = {}) {
    if (!this.isMoved && !legible) this.fit(false); // the panel may have come
    const { width, height } = this.window;
    const { now } = this.zoom;
    const least = legible ? LEGIBLE : isNarrow() && this.whole < LEAST ? IN_PART : 0;
    const scale = Math.max(now.k, least);
    const place = this.placeOf(k);
    const [x, y] = [place.x * now.k + now.x, place.y * now.k + now.y];
    const isAllSeen = this.size.width * now.k <= width + 1 && this.size.height * now.k <= height + 1;
    const [beside, above] = isAllSeen ? [0, 0] : [Math.min(190 * scale, width / 3), Math.min(80 * scale, height / 3)];
    const isInside = x >= beside && x <= width - beside && y >= above && y <= height - above;
    if (isInside && scale === now.k) return;
    this.isMoved = true;
    this.move(this.centred(place.x, place.y, scale), true);
  }

  // Show several nodes at once, as large as they can be read.
  revealAll(numbers) {
    const places = numbers.map((k) => this.placeOf(k));
    const [left, right] = [Math.min(...places.map((p) => p.x)), Math.max(...places.map((p) => p.x))];
    const [top, bottom] = [Math.min(...places.map((p) => p.y)), Math.max(...places.map((p) => p.y))];
    const { width, height } = this.window;
    const scale = Math.min(width / (right - left + 320), height / (bottom - top + 240), 1.2);
    this.isMoved = true;
    this.move(this.centred((left + right) / 2, (top + bottom) / 2, scale), true);
  }

  // Take off the marks of before, and put on new ones: [["node", 3, "now"], ["edge", 5, "upstream"], ...].
  mark(marks) {
    for (const [drawn, word] of this.marked) drawn.classList.remove(word);
    this.marked = marks.map(([what, k, word]) => [(what === "node" ? this.drawnNodes : this.drawnEdges)[k], word]);
    for (const [drawn, word] of this.marked) drawn.classList.add(word);
    const before = this.markedEdges;
    this.markedEdges = new Set(marks.filter(([what]) => what === "edge").map(([, k]) => k));
    if (!this.kept?.isFar) return;
    for (const k of before) if (this.rows.lines[k].isShared && !this.markedEdges.has(k)) this.drawnEdges[k].remove();
    for (const k of this.markedEdges) this.put(k, false);
  }

  // Hide what a walk has not come to yet. `times`: as timesOf says.
  showUntil(step, times) {
    this.drawnEdges.forEach((drawn, k) => {
      drawn.classList.toggle("no-value", step < times.edges[k].value);
      drawn.classList.toggle("no-gradient", step < times.edges[k].gradient);
    });
    this.drawnNodes.forEach((drawn, k) => drawn.classList.toggle("later", step < times.nodes[k]));
    for (const k of this.opened.keys()) {
      this.drawnNodes[k].classList.toggle("no-gradient", step < times.edges[this.nodes[k].edges[0]].gradient);
    }
  }

  // What was clicked: a node, an edge, or an edge's line a few pixels away, which is thin to hit.
  under(event) {
    for (const [dx, dy] of NEARBY) {
      const hit = document.elementFromPoint(event.clientX + dx, event.clientY + dy)?.closest("g.node, g.edge");
      if (!hit || !this.svg.contains(hit)) continue;
      const block = hit.closest("g.node.opened");
      if (block && block !== hit) {
        const member = this.opened.get(Number(block.dataset.node)).memberAt(hit);
        return member === null ? { node: Number(block.dataset.node) } : { node: member, block: Number(block.dataset.node) };
      }
      if (hit.dataset.edge !== undefined) return { edge: Number(hit.dataset.edge) };
      if (this.nodes[hit.dataset.node].kind !== "output") return { node: Number(hit.dataset.node) };
    }
    return null;
  }

  find(name) {
    return this.nodes.findIndex((node) => node.name === name && node.kind !== "output");
  }
}

// Small pictures are read when they are first seen.
function loadImages(drawn) {
  for (const image of drawn.querySelectorAll("image[data-href]")) {
    image.setAttribute("href", image.dataset.href);
    delete image.dataset.href;
  }
}

function byNumber(drawn, what) {
  const found = [];
  for (const each of drawn) found[Number(each.dataset[what])] = each;
  return found;
}
