// What is shown at which size: from afar boxes with one figure each and lines as strong as what flows; near the arrays
// and their statistics; very near the numbers themselves.

const FAR = 0.62; // below it, small letters cannot be read
const VERY_NEAR = 2.2;
const GROWN = [1, 1.3, 1.6, 2, 2.6]; // how much larger boxes are drawn from afar ...
const WIDEST = 300; // ... but none wider than this
const READABLE = 0.75; // how large a box wants to be seen
const FEWEST_PIXELS = 5; // of a letter
const LONG = 14; // letters of a label that is broken into two lines from afar, which are larger
const [ACROSS, DOWN] = [6, 5]; // numbers that are written out
const [WIDE, HIGH] = [23, 6.4]; // of each
const SVG = "http://www.w3.org/2000/svg";

const levelOf = (scale) => (scale < FAR ? "far" : scale > VERY_NEAR ? "numbers" : "near");

// The typical size of an array's numbers: the root of their mean square. Null where there is none to speak of.
function typicalSize(number) {
  if (number === null || number === undefined) return null;
  const { number: single, mean, std } = content.arrays[number];
  if (single !== null) return Math.abs(numeric(single));
  return mean === null ? null : Math.hypot(numeric(mean), numeric(std));
}

class Levels {
  constructor(view) {
    this.view = view;
    this.level = "";
    this.grown = 0;
    this.figures = new Map();
    view.nodes.forEach(({ label, kind }, k) => {
      const width = 9 * Math.min(label.length, 24) + 24;
      const cap = kind === "input" ? 1 + (0.8 * EDGE) / Math.max(width / 2, 27) : WIDEST / width; // an input may be at the border
      if (cap < GROWN.at(-1)) view.drawnNodes[k].style.setProperty("--cap", Math.max(cap, 1).toFixed(2));
    });
    view.drawnEdges.forEach((drawn, k) => {
      if (drawn.classList.contains("hanging")) view.drawnNodes[view.edges[k].source].classList.add("hung");
    });
  }

  show(scale, phase) {
    const level = levelOf(scale);
    const { svg } = this.view;
    if (level !== this.level) {
      if (level === "far") this.addStrengths();
      for (const each of ["far", "near", "numbers"]) svg.classList.toggle(each, each === level);
      svg.dataset.level = level;
      this.level = level;
    }
    if (level === "far") {
      const wanted = GROWN.findLast((grown) => grown * scale <= READABLE * 1.15) ?? 1;
      svg.classList.toggle("tiny", 14 * scale * wanted < FEWEST_PIXELS);
      const thick = Math.round(2 * Math.min(Math.max(6 * scale, 1.5), 3.5)) / 2;
      if (wanted !== this.grown || thick !== this.thick) { // all that is drawn is looked at anew
        svg.style.setProperty("--grown", wanted);
        svg.style.setProperty("--thick", `${thick}px`);
      }
      Object.assign(this, { grown: wanted, thick });
      this.tell(phase);
    } else if (this.grown !== 1) {
      svg.style.setProperty("--grown", 1);
      this.grown = 1;
    }
    if (level === "numbers") this.addNumbers();
  }

  // One figure in each box: the number, or the typical size of the numbers, that comes out or comes back.
  tell(phase) {
    for (const { levels } of this.view.opened?.values() ?? []) {
      levels.level = this.level;
      levels.tell(phase);
    }
    if (this.level !== "far" || this.told === phase) return;
    this.told = phase;
    const what = phase === "backward" ? "gradient" : "value";
    this.view.nodes.forEach((node, k) => {
      if (node.kind === "output") return;
      const figure = this.figures.get(k) ?? this.addFigure(k);
      figure.textContent = this.figureOf(node, what);
      figure.setAttribute("class", `figure of-${what}`);
    });
  }

  figureOf(node, what) {
    const array = node[what] === null ? null : content.arrays[node[what]];
    if (!array) return "";
    if (array.number !== null) return brief(numeric(array.number));
    if (array.labels) return array.labels;
    const size = typicalSize(node[what]);
    return size === null ? "" : brief(Number(size.toPrecision(2)));
  }

  addFigure(k) {
    const drawn = this.view.drawnNodes[k];
    const { label, kind } = this.view.nodes[k];
    const figure = document.createElementNS(SVG, "text");
    const below = { operation: 36, input: 29, parameter: 29, constant: 29 }[kind];
    if (!below && label.length > LONG) drawn.append(inTwoLines(label));
    figure.setAttribute("y", below ?? (label.length > LONG ? 20 : 14));
    drawn.append(figure);
    this.figures.set(k, figure);
    return figure;
  }

  // How strong each line is, from 0.3 to 1: by how large what flows is among all that flows, in powers of ten.
  addStrengths() {
    if (this.hasStrengths) return;
    this.hasStrengths = true;
    for (const [what, name] of [["value", "--v"], ["gradient", "--g"]]) {
      const sizes = this.view.edges.map((edge) => Math.log10(typicalSize(edge[what]) || NaN));
      const known = sizes.filter(Number.isFinite);
      const [low, high] = [Math.max(Math.min(...known), Math.max(...known) - 6), Math.max(...known)];
      sizes.forEach((size, k) => {
        const share = high > low ? Math.max((size - low) / (high - low), 0) : 1;
        this.view.drawnEdges[k].style.setProperty(name, Number.isFinite(share) ? (0.3 + 0.7 * share).toFixed(2) : 0.3);
      });
    }
  }

  // The first numbers of the arrays that are in the window, each written out once.
  addNumbers() {
    for (const k of this.view.edgesInWindow()) {
      for (const what of ["value", "gradient"]) {
        const tile = this.view.drawnEdges[k].querySelector(`:scope > .${what}`);
        const array = arrayOf(this.view.edges[k][what]);
        if (!tile || !array || array.number !== null || array.picture || tile.querySelector(".cells")) continue;
        tile.append(numbersIn(array));
      }
    }
  }
}

// A label in two lines, broken before a word, as near to the middle as can be.
function inTwoLines(label) {
  const words = label.length > 24 ? `${label.slice(0, 23)}…` : label;
  const places = [...words.matchAll(/\s|(?<=[a-z])(?=[A-Z])/g)].map((found) => found.index);
  const [at = words.length] = places.sort((a, b) => Math.abs(a - words.length / 2) - Math.abs(b - words.length / 2));
  const lines = document.createElementNS(SVG, "text");
  lines.setAttribute("class", "label broken");
  for (const [y, part] of [[-7, words.slice(0, at)], [8, words.slice(at).trim()]]) {
    const line = document.createElementNS(SVG, "tspan");
    line.setAttribute("x", 0);
    line.setAttribute("y", y);
    line.textContent = part;
    lines.append(line);
  }
  return lines;
}

// The upper left of an array as a table, in place of its picture and its statistics.
function numbersIn(array) {
  const made = (name, attributes, words) => {
    const each = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) each.setAttribute(key, value);
    each.textContent = words;
    return each;
  };
  const [down, across] = [Math.min(array.rows.length, DOWN), Math.min(array.columns.length, ACROSS)];
  const isPart = down < array.rows.length || across < array.columns.length;
  const group = made("g", { class: "cells" }, "");
  const shape = shapeText(array.shape);
  group.append(made("text", { class: "shape-of", x: 0, y: 6 }, isPart ? `${shape}, the first:` : shape));
  const numbers = numbersOf(array);
  const least = largestOf(array) * (array.bytes === 4 ? 2 ** -23 : 2 ** -52);
  for (let row = 0; row < down; row++) {
    for (let column = 0; column < across; column++) {
      const value = numbers[row * array.columns.length + column];
      const shown = Math.abs(value) < least ? 0 : value;
      const words = brief(Number.isFinite(shown) ? Number(shown.toPrecision(2)) : shown);
      const bad = Number.isFinite(value) ? "" : "bad";
      group.append(made("text", { class: bad, x: WIDE * (column + 1), y: HIGH * (row + 2) }, words));
    }
  }
  return group;
}
