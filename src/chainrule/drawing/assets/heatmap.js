// Arrays: their numbers, unpacked when first needed, and as a heat map whose every number can be read exactly.

const NOT_FINITE = "rgb(222, 45, 60)"; // as in statistics.py
const LINE_LENGTH = 32; // of a vector, or of a table of one column, which are broken into lines
const LARGEST_CELL = 26;

// The numbers of an array that the page holds: those of its chosen rows and columns, row after row.
function numbersOf(array) {
  if (!array.unpacked) {
    const bytes = Uint8Array.from(atob(array.numbers), (letter) => letter.charCodeAt(0));
    array.unpacked = array.bytes === 4 ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
  }
  return array.unpacked;
}

// The index, in the array itself, of the number that is k-th among those that the page holds.
function indexOf(array, k) {
  const row = array.rows[Math.floor(k / array.columns.length)];
  let column = array.columns[k % array.columns.length];
  if (array.shape.length === 0) return [];
  if (array.shape.length === 1) return [column];
  const index = [];
  for (const size of array.shape.slice(1).reverse()) {
    index.unshift(column % size);
    column = Math.floor(column / size);
  }
  return [row, ...index];
}

// The number at an index, or undefined where the page does not hold it.
function at(array, index) {
  let row = 0;
  let column = 0;
  index.forEach((place, axis) => {
    if (axis === 0 && array.shape.length > 1) row = place;
    else column = column * array.shape[axis] + place;
  });
  const i = array.rows.indexOf(row);
  const j = array.columns.indexOf(column);
  return i < 0 || j < 0 ? undefined : numbersOf(array)[i * array.columns.length + j];
}

// The place, among the numbers held, of the one that is largest whatever its sign.
function largestAt(array) {
  let best = 0;
  numbersOf(array).forEach((value, k, all) => {
    if (Math.abs(value) > Math.abs(all[best])) best = k;
  });
  return best;
}

// "shows 32 of 100 rows, 64 of 784 columns": what was thinned out.
function thinned(array) {
  const [height, ...rest] = array.shape;
  if (array.shape.length < 2) {
    const size = height ?? 1;
    return array.columns.length < size ? `shows ${count(array.columns.length)} of ${count(size)} numbers` : "";
  }
  const width = rest.reduce((product, size) => product * size, 1);
  const parts = [];
  if (array.rows.length < height) parts.push(`${count(array.rows.length)} of ${count(height)} rows`);
  if (array.columns.length < width) parts.push(`${count(array.columns.length)} of ${count(width)} columns`);
  return parts.length ? `shows ${parts.join(", ")}` : "";
}

// How the numbers stand in the picture: lines of equal length, of which the last may be shorter.
function gridOf(array) {
  const held = array.rows.length * array.columns.length;
  const isVector = Math.min(array.rows.length, array.columns.length) === 1 && held > LINE_LENGTH;
  const across = isVector ? Math.min(Math.ceil(Math.sqrt(held * 2)), 64) : array.columns.length;
  const columns = isVector ? Math.max(across, LINE_LENGTH) : across;
  return { columns, lines: Math.ceil(held / columns), held };
}

// A heat map with its scale and a line that says the number under the mouse or the cursor (arrow keys move it).
function heatMap(array, name, { width = 340, height = 260 } = {}) {
  const grid = gridOf(array);
  const across = Math.min(Math.floor(width / grid.columns) || width / grid.columns, LARGEST_CELL);
  const cell = { width: across, height: Math.max(Math.min(across, height / grid.lines), 1) };
  const said = element("output", { class: "said", "aria-live": "polite" });
  const canvas = element("canvas", {
    class: "heat",
    tabindex: "0",
    role: "application",
    "aria-roledescription": "heat map",
    "aria-label": `${name}, ${shapeText(array.shape)}: arrow keys read its numbers`,
  });
  canvas.style.width = `${cell.width * grid.columns}px`;
  canvas.style.height = `${cell.height * grid.lines}px`;
  const state = { array, grid, cell, canvas, said, cursor: -1, begin: `${name} ${shapeText(array.shape)}` };
  paint(state);
  point(state, -1);
  canvas.addEventListener("pointermove", (event) => point(state, cellUnder(state, event)));
  canvas.addEventListener("pointerdown", (event) => point(state, cellUnder(state, event)));
  canvas.addEventListener("pointerleave", () => point(state, -1));
  canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && point(state, Math.max(state.cursor, 0)));
  canvas.addEventListener("blur", () => point(state, -1));
  canvas.addEventListener("keydown", (event) => moveCursor(state, event));
  const figure = element("figure", { class: "heatmap" }, canvas, scaleOf(array), said);
  const left = thinned(array);
  if (left) figure.append(element("figcaption", { class: "faint thinned" }, left));
  figure.repaint = () => paint(state);
  return figure;
}

function largestOf(array) {
  return Math.max(Math.abs(numeric(array.low) ?? 0), Math.abs(numeric(array.high) ?? 0));
}

// The colours for signs: the larger the number, the less of the paper is seen.
function colourOf(value, largest, { below, above }) {
  if (!Number.isFinite(value)) return NOT_FINITE;
  const strength = largest > 0 ? Math.abs(value) / largest : 0;
  return `rgb(${value < 0 ? below : above} / ${strength.toFixed(3)})`;
}

function paint({ array, grid, cell, canvas, cursor }) {
  const sharp = window.devicePixelRatio || 1;
  canvas.width = Math.max(Math.round(cell.width * grid.columns * sharp), 1);
  canvas.height = Math.max(Math.round(cell.height * grid.lines * sharp), 1);
  const context = canvas.getContext("2d");
  const [wide, high] = [canvas.width / grid.columns, canvas.height / grid.lines];
  const largest = largestOf(array);
  const style = getComputedStyle(document.documentElement);
  const colours = { below: style.getPropertyValue("--below"), above: style.getPropertyValue("--above") };
  const gap = cell.width >= 8 && cell.height >= 8 ? sharp : 0;
  const place = (k) => {
    const [x, y] = [k % grid.columns, Math.floor(k / grid.columns)];
    const [left, top] = [Math.round(x * wide), Math.round(y * high)];
    return [left, top, Math.round((x + 1) * wide) - left - gap, Math.round((y + 1) * high) - top - gap];
  };
  numbersOf(array).forEach((value, k) => {
    context.fillStyle = colourOf(value, largest, colours);
    context.fillRect(...place(k));
  });
  if (cursor < 0) return;
  const [x, y, w, h] = place(cursor);
  context.lineWidth = 2 * sharp;
  context.strokeStyle = style.getPropertyValue("--ink");
  context.strokeRect(x, y, Math.max(w, 2), Math.max(h, 2));
}

function cellUnder({ grid, canvas }, event) {
  const box = canvas.getBoundingClientRect();
  const x = Math.floor(((event.clientX - box.left) / box.width) * grid.columns);
  const y = Math.floor(((event.clientY - box.top) / box.height) * grid.lines);
  const k = y * grid.columns + x;
  return x < 0 || y < 0 || x >= grid.columns || k >= grid.held ? -1 : k;
}

// Put the cursor on a number and say it; -1: on none.
function point(state, k) {
  const { array, said } = state;
  const moved = state.cursor !== k;
  state.cursor = k;
  if (moved) paint(state);
  if (k < 0) {
    said.replaceChildren(element("span", { class: "faint" }, "point at a number, or use the arrow keys"));
    delete said.dataset.exact;
    return;
  }
  const value = numbersOf(array)[k];
  const digits = exact(value, array.dtype);
  said.dataset.exact = digits;
  said.dataset.index = indexText(indexOf(array, k));
  const words = element("span", { class: Number.isFinite(value) ? "number" : "number bad" }, digits);
  said.replaceChildren(element("span", { class: "number faint" }, said.dataset.index), words);
}

function moveCursor(state, event) {
  const { columns, lines, held } = state.grid;
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  const ends = { Home: 0, End: held - 1, PageUp: Math.max(state.cursor, 0) % columns };
  ends.PageDown = Math.min((lines - 1) * columns + ends.PageUp, held - 1);
  let to = null;
  if (event.key in moves) to = Math.max(state.cursor, 0) + moves[event.key];
  else if (event.key in ends) to = ends[event.key];
  if (to === null || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  if (to >= 0 && to < held) point(state, to);
}

// The colours' scale: as far below zero as above.
function scaleOf(array) {
  const largest = largestOf(array);
  const ends = [number(-largest, array.dtype), element("span", { class: "ramp" }), number(largest, array.dtype)];
  const scale = element("div", { class: "scale" }, ...ends);
  const bad = trouble(array);
  if (bad) scale.append(element("span", { class: "bad" }, `■ ${bad}`));
  return scale;
}
