// Boxes that stand for what repeats, opened in place, one by one: what is inside, drawn in the box, which grows.

const FRAME = { side: 16, head: 34 };

// What is inside a block, as copies of what the full view draws.
class Opened {
  constructor(view, k, full) {
    const members = view.nodes[k].members.map((name) => full.find(name)).filter((n) => n >= 0);
    const place = new Map(members.map((n, at) => [n, at]));
    const inner = full.edges.map((edge, n) => n).filter((n) => place.has(full.edges[n].source) && place.has(full.edges[n].target));
    const pieces = members.map((n) => full.rows.pieceAt(full.rows.asMade.own[n].x));
    const own = full.rows.asMade.pieces.slice(Math.min(...pieces), Math.max(...pieces) + 1);
    this.view = view;
    this.number = k;
    this.members = members;
    this.nodes = members.map((n) => full.nodes[n]);
    this.edges = inner.map((n) => ({ ...full.edges[n], source: place.get(full.edges[n].source), target: place.get(full.edges[n].target) }));
    this.drawnNodes = members.map((n) => copyOfNode(full, n));
    this.drawnEdges = inner.map((n) => copyOfEdge(full, n));
    const told = own.map(({ left, top, bottom }) => [left, top, bottom].join());
    this.svg = { dataset: { pieces: told.join(" "), end: own.at(-1).right } };
    this.rows = new Rows(this);
    this.rows.lay(view.window);
    this.drawnEdges.forEach((drawn, n) => this.rows.ensure(n));
    const { width, height } = this.rows.plan;
    this.made = view.boxOf(k).width;
    this.size = { made: this.made, width: Math.max(width + 2 * FRAME.side, this.made), height: height + FRAME.head + FRAME.side };
    this.levels = new Levels(this);
    this.levels.addStrengths();
    this.draw();
  }

  draw() {
    const { width, height } = this.size;
    const { label } = this.view.nodes[this.number];
    const make = (name, attributes, ...children) => {
      const made = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      made.append(...children);
      return made;
    };
    const place = make("g", { transform: `translate(${FRAME.side - width / 2},${FRAME.head - height / 2})` }, ...this.drawnEdges, ...this.drawnNodes);
    const frame = make("rect", { class: "shape", x: -width / 2, y: -height / 2, width, height, rx: 12 });
    const head = make("text", { class: "label", x: 0, y: 24 - height / 2 }, label);
    this.drawn = make("g", { class: "inside" }, frame, head, place);
    const block = this.view.drawnNodes[this.number];
    block.append(this.drawn);
    block.classList.add("opened");
    loadImages(this.drawn);
  }

  // The number, in the full view, of a node that was clicked; null for the box itself.
  memberAt(drawn) {
    const at = this.drawnNodes.indexOf(drawn);
    return at < 0 ? null : this.members[at];
  }

  close() {
    this.drawn.remove();
    this.view.drawnNodes[this.number].classList.remove("opened");
  }
}

function copyOfNode(full, n) {
  const copy = full.drawnNodes[n].cloneNode(true);
  const { x, y } = full.rows.asMade.own[n];
  copy.setAttribute("transform", `translate(${x},${y})`);
  copy.removeAttribute("tabindex");
  copy.removeAttribute("role");
  copy.querySelector(".figure")?.remove();
  copy.classList.remove("later", "now", "chosen", "member");
  return copy;
}

// As Python drew it, whatever rows have made of it since.
function copyOfEdge(full, n) {
  const copy = full.drawnEdges[n].cloneNode(true);
  const line = full.rows.lines[n];
  copy.removeAttribute("transform");
  copy.classList.remove("no-value", "no-gradient", "operand", "result", "upstream", "downstream", "chosen", "thread");
  if (!line.isBroken) return copy;
  copy.querySelector(".flow").setAttribute("d", curveOf(line.points));
  copy.querySelector(".back")?.setAttribute("d", curveOf(line.lower));
  for (const tip of copy.querySelectorAll(".tip")) tip.removeAttribute("transform");
  for (const what of [".value", ".gradient"]) {
    copy.querySelector(`:scope > ${what}`).setAttribute("transform", `translate(${line[what].x},${line[what].y})`);
  }
  return copy;
}
