// Rows: a picture that is wide is broken into rows, as text is into lines, so that it fills the window as well as it
// can. Python says in data-pieces where it may be broken; a line that is broken goes on from the left of a later row.

const EDGE = 26; // around the picture
const INDENT = 34; // of a row that lines come into
const GUTTER = 22; // between two rows
const TRACK = 16; // for each line that goes from one row to the next
const MANY = 8; // uses of a node
const PAIR = 7; // from the line forward to the line back

class Rows {
  constructor(view) {
    const { svg, nodes, edges } = view;
    this.view = view;
    const numbers = (svg.dataset.pieces ?? "").split(" ").filter(Boolean).map((piece) => piece.split(",").map(Number));
    this.pieces = numbers.map(([left, top, bottom], k) => ({ left, top, bottom, right: numbers[k + 1]?.[0] ?? Number(svg.dataset.end) }));
    if (!this.pieces.length) this.pieces = [{ left: 0, right: view.size.width, top: 0, bottom: view.size.height }];
    this.own = nodes.map((node, k) => placeOfDrawn(view.drawnNodes[k]));
    this.lines = view.drawnEdges.map((drawn, k) => lineOf(drawn, ...["source", "target"].map((end) => this.pieceAt(this.own[edges[k][end]].x))));
    this.crossing = this.pieces.map(() => new Set()); // the nodes whose lines go from a piece into the next
    this.lines.forEach(({ first, last }, k) => {
      for (let piece = first; piece < last; piece++) this.crossing[piece].add(edges[k].source);
    });
    this.breaks = null;
    this.asMade = { pieces: this.pieces, own: this.own, lines: this.lines.map(({ points, lower }) => ({ points, lower })) };
    this.shift = (x) => x;
    this.markShared();
  }

  // Make room for nodes that are drawn larger than they were made: all that is right of one moves on.
  // `frames`: for each such node, how wide it was made, and how wide and high it is.
  grow(frames) {
    const { pieces, own, lines } = this.asMade;
    const extras = [...frames].map(([k, { made, width }]) => ({ right: own[k].x + made / 2 - 1, extra: Math.max(width - made, 0) }));
    this.shift = (x) => extras.reduce((sum, { right, extra }) => sum + (x >= right ? extra : 0), x);
    this.isGrown = extras.length > 0;
    this.own = own.map(({ x, y }, k) => ({ x: this.shift(x) + (frames.has(k) ? (frames.get(k).width - frames.get(k).made) / 2 : 0), y }));
    this.pieces = pieces.map((piece) => ({ ...piece, left: this.shift(piece.left), right: this.shift(piece.right) }));
    for (const [k, { height }] of frames) {
      const piece = this.pieces[this.pieceAt(this.own[k].x)];
      piece.top = Math.min(piece.top, this.own[k].y - height / 2);
      piece.bottom = Math.max(piece.bottom, this.own[k].y + height / 2);
    }
    const moved = (points) => points?.map(([x, y]) => [this.shift(x), y]);
    this.lines.forEach((line, k) => Object.assign(line, { points: moved(lines[k].points), lower: moved(lines[k].lower) }));
    this.breaks = null;
  }

  // What is used at many places has one line, to the last of them; the others lie over it, and are seen when marked.
  markShared() {
    const last = new Map();
    const uses = new Map();
    this.lines.forEach((line, k) => {
      const { source } = this.view.edges[k];
      uses.set(source, (uses.get(source) ?? 0) + 1);
      if (!last.has(source) || line.last > this.lines[last.get(source)].last) last.set(source, k);
    });
    this.lines.forEach((line, k) => {
      const { source } = this.view.edges[k];
      if (uses.get(source) < MANY) return;
      if (last.get(source) === k) this.view.drawnEdges[k].classList.add("thread");
      else line.isShared = true;
    });
  }

  // The piece that an x is in.
  pieceAt(x) {
    let [low, high] = [0, this.pieces.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.pieces[middle].left <= x) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  // The first pieces of the rows, none of which is wider than `widest`, if it can be.
  broken(widest) {
    const firsts = [0];
    this.pieces.forEach((piece, k) => {
      if (piece.right - this.pieces[firsts.at(-1)].left > widest && k > firsts.at(-1)) firsts.push(k);
    });
    return firsts;
  }

  // What rows would look like: where each is, and how large all is.
  planned(firsts) {
    const tracks = firsts.slice(1).map((first) => this.crossing[first - 1].size);
    const most = Math.max(0, ...tracks);
    const step = most ? Math.min(TRACK, 160 / most) : TRACK;
    const side = most ? INDENT + step * most : 0;
    let y = EDGE;
    let width = 0;
    const rows = firsts.map((first, n) => {
      const next = firsts[n + 1] ?? this.pieces.length;
      const [left, right] = [this.pieces[first].left, this.pieces[next - 1].right];
      let [top, bottom] = [Infinity, -Infinity];
      for (let k = first; k < next; k++) {
        top = Math.min(top, this.pieces[k].top);
        bottom = Math.max(bottom, this.pieces[k].bottom);
      }
      const row = { first, next, left, right, dx: EDGE + side - left, dy: y - top, top: y, bottom: y + bottom - top };
      width = Math.max(width, right - left);
      y = row.bottom + (n + 1 < firsts.length ? GUTTER + step * tracks[n] : 0);
      return row;
    });
    return { rows, step, width: width + 2 * (EDGE + side), height: y + 1.5 * EDGE };
  }

  // The rows that let all be as large as possible in a window; the fewest of those with which it can be read.
  best({ width, height }) {
    const { pieces } = this;
    const whole = pieces.at(-1).right;
    let best = null;
    for (let count = 1; count <= pieces.length; count++) {
      const plan = this.planned(this.broken(whole / count));
      const scale = Math.min(width / plan.width, height / plan.height);
      if (!best || scale > best.scale * 1.02) best = { ...plan, scale };
      if (scale >= LEGIBLE || plan.rows.length === pieces.length) break;
      if (count > 40 && scale < best.scale / 2) break;
    }
    return best;
  }

  // Put everything where the rows want it. Nothing is done where it is already.
  lay(window) {
    const plan = this.best(window);
    const breaks = plan.rows.map((row) => row.first).join();
    if (breaks === this.breaks) return false;
    this.breaks = breaks;
    this.plan = plan;
    this.rowOf = this.pieces.map((piece, k) => plan.rows.findLastIndex((row) => row.first <= k));
    const { view } = this;
    this.places = this.own.map(({ x, y }) => {
      const row = plan.rows[this.rowOf[this.pieceAt(x)]];
      return { x: x + row.dx, y: y + row.dy };
    });
    this.places.forEach(({ x, y }, k) => view.drawnNodes[k].setAttribute("transform", `translate(${x.toFixed(1)},${y.toFixed(1)})`));
    this.tracks = plan.rows.slice(1).map((row) => this.tracksInto(row));
    for (const line of this.lines) Object.assign(line, { rows: [this.rowOf[line.first], this.rowOf[line.last]], isLaid: false });
    return true;
  }

  // Have a line where the rows want it: those that nobody sees need not be.
  ensure(k) {
    const line = this.lines[k];
    if (!line.isLaid) this.layLine(line, k);
    line.isLaid = true;
  }

  // The order in which the lines of nodes go into a row: from the upper to the lower.
  tracksInto(row) {
    const heights = new Map();
    for (const [k, { first, last, points }] of this.lines.entries()) {
      const { source } = this.view.edges[k];
      if (first < row.first && last >= row.first && !heights.has(source)) heights.set(source, heightAt(points, row.left)[0]);
    }
    const order = [...heights.keys()].sort((a, b) => heights.get(a) - heights.get(b));
    return new Map(order.map((source, k) => [source, k]));
  }

  layLine(line, k) {
    const drawn = this.view.drawnEdges[k];
    const { rows } = this.plan;
    const [from, to] = line.rows;
    const made = this.asMade.lines[k];
    const by = ([x], row) => `translate(${(row.dx + this.shift(x) - x).toFixed(1)},${row.dy.toFixed(1)})`;
    if (from === to && (!this.isGrown || drawn.classList.contains("hanging"))) {
      drawn.setAttribute("transform", by(made.points[0], rows[from]));
      this.asBefore(line, drawn);
      return;
    }
    drawn.removeAttribute("transform");
    line.forth.setAttribute("d", this.path(line.points, from, to, k, 0));
    if (line.back) line.back.setAttribute("d", this.path(line.lower, from, to, k, PAIR));
    line.isBroken = true;
    const [start, end] = [by(made.points[0], rows[from]), by(made.points.at(-1), rows[to])];
    const ends = { forth: end, to: start };
    for (const [name, moved] of Object.entries(ends)) drawn.querySelector(`.tip.${name}`)?.setAttribute("transform", moved);
    for (const what of [".value", ".gradient"]) {
      const tile = drawn.querySelector(`:scope > ${what}`);
      line[what] ??= placeOfDrawn(tile);
      const x = this.shift(line[what].x);
      const row = rows[this.rowOf[this.pieceAt(x)]];
      tile.setAttribute("transform", `translate(${(x + row.dx).toFixed(1)},${(line[what].y + row.dy).toFixed(1)})`);
    }
  }

  // A line that was broken, in one again.
  asBefore(line, drawn) {
    if (!line.isBroken) return;
    line.isBroken = false;
    line.forth.setAttribute("d", curveOf(line.points));
    line.back?.setAttribute("d", curveOf(line.lower));
    for (const tip of drawn.querySelectorAll(".tip")) tip.removeAttribute("transform");
    for (const what of [".value", ".gradient"]) {
      drawn.querySelector(`:scope > ${what}`).setAttribute("transform", `translate(${line[what].x},${line[what].y})`);
    }
  }

  // The line through the rows: out at the right, down between the rows, and in again from the left.
  path(points, from, to, edge, off) {
    const { rows, step } = this.plan;
    let rest = points;
    let d = "";
    for (let n = from; n < to; n++) {
      const [row, next] = [rows[n], rows[n + 1]];
      const [out, into] = heightAt(rest, next.left);
      const here = [...rest.filter(([x]) => x < next.left), [row.right, out]];
      rest = [[next.left, into], ...rest.filter(([x]) => x >= next.left)];
      const tracks = this.tracks[n];
      const order = tracks.get(this.view.edges[edge].source);
      const inner = tracks.size - 1 - order;
      const right = row.right + row.dx + 10 + step * inner - off;
      const left = next.left + next.dx - 10 - step * order - off;
      const y = row.bottom + GUTTER / 2 + 6 + step * inner - off;
      d += curveOf(moved(here, row), !d) + turned([[right, out + row.dy], [right, y], [left, y], [left, into + next.dy]]);
    }
    return d + curveOf(moved(rest, rows[to]), !d);
  }
}

// What there is of an edge as it was drawn, and the pieces that it begins and ends in.
function lineOf(drawn, first, last) {
  const [forth, back] = [drawn.querySelector(".flow"), drawn.querySelector(".back")];
  const lower = back && pointsOf(back.getAttribute("d"));
  return { forth, back, points: pointsOf(forth.getAttribute("d")), lower, first, last };
}

const moved = (points, { dx, dy }) => points.map(([x, y]) => [x + dx, y + dy]);

// The place that a "translate(x,y)" says.
function placeOfDrawn(drawn) {
  const { e, f } = drawn.transform.baseVal.getItem(0).matrix;
  return { x: e, y: f };
}

// The points that a line was drawn through by svg.py: "M0,0H9C12,0 12,5 15,5".
function pointsOf(d) {
  const points = [];
  for (const [, letter, numbers] of d.matchAll(/([MHC])([^MHC]*)/g)) {
    const all = numbers.split(/[ ,]/).map(Number);
    points.push(letter === "H" ? [all[0], points.at(-1)[1]] : all.slice(-2));
  }
  return points;
}

// As pointsOf read it: level at every point. `isFirst`: it begins a line rather than going on with one.
function curveOf([[x, y], ...rest], isFirst = true) {
  let d = `${isFirst ? "M" : "L"}${x.toFixed(1)},${y.toFixed(1)}`;
  let [fromX, fromY] = [x, y];
  for (const [toX, toY] of rest) {
    const middle = ((fromX + toX) / 2).toFixed(1);
    d += Math.abs(toY - fromY) < 0.05 ? `H${toX.toFixed(1)}` : `C${middle},${fromY.toFixed(1)} ${middle},${toY.toFixed(1)} ${toX.toFixed(1)},${toY.toFixed(1)}`;
    [fromX, fromY] = [toX, toY];
  }
  return d;
}

// Level and upright lines by way of corners, which are rounded.
function turned(corners) {
  const round = 6;
  return corners.map(([x, y], k) => {
    const [[beforeX, beforeY], [afterX, afterY]] = [corners[k - 1] ?? [x - 1, y], corners[k + 1] ?? [x + 1, y]];
    const near = (from, to) => from + Math.sign(to - from) * Math.min(round, Math.abs(to - from) / 2);
    const [inX, inY] = [near(x, beforeX), near(y, beforeY)];
    const [onX, onY] = [near(x, afterX), near(y, afterY)];
    return `L${inX.toFixed(1)},${inY.toFixed(1)}Q${x.toFixed(1)},${y.toFixed(1)} ${onX.toFixed(1)},${onY.toFixed(1)}`;
  }).join("");
}

// The heights of a line before and behind an x that it crosses.
function heightAt(points, x) {
  const k = points.findIndex(([at]) => at >= x);
  if (k < 0) return [points.at(-1)[1], points.at(-1)[1]];
  return [points[Math.max(k - 1, 0)][1], points[k][1]];
}
