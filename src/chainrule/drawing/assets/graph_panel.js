// The panel: what is told of a node, an edge, a step of the walk, or the whole graph.

// An array of the page by its number. Where all rows or columns are kept, Python wrote just how many.
function arrayOf(number) {
  if (number === null) return null;
  const array = content.arrays[number];
  for (const side of ["rows", "columns"]) {
    if (typeof array[side] === "number") array[side] = [...Array(array[side]).keys()];
  }
  return array;
}

const NOT_COMPUTED = "not computed: call backward()";
const PYTHON = /(#.*)|("""[^]*?"""|"[^"\n]*"|'[^'\n]*')|\b(def|return|if|else|elif|for|in|not|and|or|is|None|True|False|with|raise|self|lambda|while|import|from|class)\b|\b(\d[\d.e_]*)\b/g;

const section = (title, ...parts) => element("section", {}, element("h3", {}, title), ...parts);
const folded = (title, ...parts) => element("details", {}, element("summary", {}, title), ...parts);
const kindOf = (node) => (node.layer ? node.layer : node.kind);

// A name that leads to its node.
function linkTo(view, k) {
  return element("button", { type: "button", class: "link", "data-goto": k, dir: "auto" }, view.nodes[k].name);
}

// The head of a page of the panel: what kind of thing, and its name.
function headOf(small, name, kind = "") {
  const words = element("div", {}, element("p", { class: "small" }, small), element("h2", { dir: "auto" }, name));
  const close = element("button", { type: "button", class: "icon", "data-close": "", "aria-label": "Close" }, "×");
  return element("header", { class: kind }, words, close);
}

// An array in a line: the number, or shape, mean and spread.
function inLine(array, role = "") {
  if (!array) return element("span", { class: "faint" }, "none");
  if (array.number !== null) return number(numeric(array.number), array.dtype, role);
  const shape = element("span", { class: `number ${role}` }, shapeText(array.shape).replace("number", array.labels ? "label" : "number"));
  if (array.labels) return element("span", { class: "inline" }, shape, element("span", { class: "number" }, array.labels));
  const bad = trouble(array);
  const isSame = array.low !== null && array.low === array.high;
  const spread = isSame ? `all ${brief(array.low)}` : `${brief(array.mean)} ± ${brief(array.std)}`;
  const about = array.mean === null ? "no elements" : spread;
  return element("span", { class: "inline" }, shape, element("span", { class: bad ? "bad" : "faint" }, bad || about));
}

// An array in full: its number, or its heat map and statistics.
function inFull(array, name, role) {
  if (array.number !== null) {
    const value = numeric(array.number);
    const bad = Number.isFinite(value) ? "" : " bad";
    const digits = exact(value, array.dtype);
    const shape = array.shape.length ? `${shapeText(array.shape)}, ` : "";
    const type = element("span", { class: "faint" }, `${shape}${array.dtype}`);
    return [element("p", { class: "big" }, element("span", { class: `number ${role}${bad}`, "data-exact": digits }, digits), type)];
  }
  if (!array.rows.length || !array.columns.length) return [statistics(array)];
  const map = heatMap(array, name, { width: roomForPictures() });
  return array.picture ? [stripOf(array), folded("Numbers", map), statistics(array)] : [map, statistics(array)];
}

// Images of a batch, beside one another.
function stripOf({ picture }) {
  return element("img", { class: "strip", src: picture.url, alt: picture.words, title: picture.words, width: picture.count * Math.max(picture.width, 28) });
}

const roomForPictures = () => Math.min(document.getElementById("panel").clientWidth || 340, 420) - 42;

function statistics(array) {
  const tell = (word, value, bad) => [element("dt", {}, word), element("dd", { class: `number${bad ? " bad" : ""}` }, value)];
  const of = (value) => (value === null ? "none" : number(numeric(value), array.dtype === "float32" ? "float64" : array.dtype));
  const size = array.shape.reduce((product, length) => product * length, 1);
  return element(
    "dl",
    { class: "statistics" },
    tell("shape", `(${array.shape.join(", ")}${array.shape.length === 1 ? "," : ""})`),
    tell("dtype", array.dtype),
    ...(array.labels ? [] : [tell("mean", of(array.mean)), tell("std", of(array.std))]),
    tell("min", of(array.low)),
    tell("max", of(array.high)),
    tell("zeros", `${count(Math.round(array.zeros * size))} of ${count(size)}`),
    array.nans ? tell("NaN", count(array.nans), true) : [],
    array.infinities ? tell("infinite", count(array.infinities), true) : [],
  );
}

// Of more findings, or of more nodes that have some, the first ones are shown and the others folded away.
const SHOWN = 3;

function firstFew(parts) {
  const rest = parts.splice(SHOWN);
  return rest.length ? [...parts, folded(`${rest.length} more`, ...rest)] : parts;
}

// What went wrong in the check of a node or an edge, and what to do about it.
function findingsOf(findings) {
  if (!findings.length) return null;
  const boxes = findings.map((finding) => {
    const of = finding.input ? ` of ${finding.input}${finding.element ? indexText(finding.element) : ""}` : "";
    const box = element("div", { class: "finding", role: "note" }, element("h3", {}, `${finding.mistake}${of}`));
    if (finding.analytic !== null && finding.numerical !== null) {
      const [told, should] = [numeric(finding.analytic), numeric(finding.numerical)];
      const rows = [["backward gave", told], ["differences gave", should]];
      box.append(element("dl", { class: "statistics" }, ...rows.flatMap(([word, value]) => [
        element("dt", {}, word), element("dd", {}, number(value)),
      ])));
    }
    box.append(element("p", {}, finding.advice));
    if (finding.source) box.append(element("p", { class: "faint number" }, finding.source));
    return box;
  });
  return element("div", { class: "findings" }, ...firstFew(boxes));
}

// Why there is no gradient, where there is none.
function noGradient() {
  return element("p", { class: "faint missing" }, content.ran === "backward" ? "no gradient reaches it" : NOT_COMPUTED);
}

function gradientSection(array, name, ...more) {
  return section("Gradient", ...(array ? inFull(array, `gradient of ${name}`, "of-gradient") : [noGradient()]), ...more);
}

function valueSection(array, name) {
  const none = element("p", { class: "faint missing" }, "not computed: call forward()");
  return section("Value", ...(array ? inFull(array, name, "of-value") : [none]));
}

// All there is to know of a node.
function nodeDetails(view, k) {
  const node = view.nodes[k];
  const about = [headOf(node.kind === "layer" || node.kind === "operation" ? `${node.kind} ${node.layer}` : node.kind, node.name, node.kind)];
  about.push(findingsOf(node.findings));
  if (node.kind === "block") about.push(membersOf(node));
  if (node.layer) about.push(formulaSection(node));
  about.push(valueSection(arrayOf(node.value), node.name));
  about.push(gradientSection(arrayOf(node.gradient), node.name, addedUp(view, k)));
  about.push(neighbours(view, k));
  if (node.layer) about.push(...sourceOf(node));
  return about.filter(Boolean);
}

function membersOf(node) {
  const show = content.views.full
    ? element("button", { type: "button", "data-show": "" }, "Show them in the whole graph")
    : null;
  const k = state.view.nodes.indexOf(node);
  const words = state.view.opened.has(k) ? "Close the box" : "Open the box";
  const open = content.views.full ? element("button", { type: "button", "data-open": k }, words) : null;
  const names = node.members.map((name) => element("li", { dir: "auto" }, name));
  return section(node.label, open, " ", show, folded(plural(names.length, "node"), element("ul", { class: "names" }, ...names)));
}

function formulaSection(node) {
  const { forward, back } = formulaOf(node.layer);
  if (!forward) return node.settings === null ? null : section("Settings", element("code", {}, node.settings));
  const lines = [forward, ...Object.entries(back).map(([slot, rule]) => `dL/d${slot} = ${rule}`)].map(typeset);
  const shown = lines.map((line, n) => element("p", { class: `formula ${n ? "of-gradient" : "of-value"}` }, line));
  return section("Formula", ...shown, element("code", { class: "settings faint" }, node.settings));
}

// What goes in and where it goes on to: each leads to its edge.
function neighbours(view, k) {
  const line = (edge, other, word) => element(
    "li",
    {},
    element("span", { class: "slot" }, word),
    linkTo(view, other),
    inLine(arrayOf(view.edges[edge].value), "of-value"),
    element("button", { type: "button", class: "link aside", "data-edge-goto": edge }, "edge"),
  );
  const into = view.nodes[k].edges.map((edge) => line(edge, view.edges[edge].source, view.edges[edge].slot));
  const on = view.leaving[k].filter((edge) => view.nodes[view.edges[edge].target].kind !== "output");
  const onward = on.map((edge) => line(edge, view.edges[edge].target, "→"));
  const shortList = (lines) => (lines.length > 30 ? [...lines.slice(0, 30), element("li", { class: "faint" }, `and ${count(lines.length - 30)} more`)] : lines);
  return element(
    "div",
    {},
    into.length ? section("Computed from", element("ul", { class: "lines" }, ...shortList(into))) : null,
    onward.length ? section("Used by", element("ul", { class: "lines" }, ...shortList(onward))) : null,
  );
}

function sourceOf(node) {
  const { documentation, forward, backward } = content.kinds[node.layer] ?? {};
  return [
    documentation ? folded("Documentation", element("pre", {}, documentation)) : null,
    forward ? folded("Code of forward", codeOf(forward)) : null,
    backward ? folded("Code of backward", codeOf(backward)) : null,
  ];
}

// Python code with its words, texts, numbers and comments told apart.
function codeOf(text) {
  const kinds = ["comment", "string", "keyword", "numeral"];
  const made = element("pre", { class: "code", tabindex: "0" });
  let end = 0;
  for (const found of text.matchAll(PYTHON)) {
    const kind = kinds[found.slice(1).findIndex((group) => group !== undefined)];
    made.append(text.slice(end, found.index), element("span", { class: kind }, found[0]));
    end = found.index + found[0].length;
  }
  made.append(text.slice(end));
  return made;
}

// All there is to know of an edge: what flowed along it, and what came back.
function edgeDetails(view, k) {
  const edge = view.edges[k];
  const [from, to] = [view.nodes[edge.source], view.nodes[edge.target]];
  const target = to.kind === "output" ? null : element("p", {}, "into ", linkTo(view, edge.target), edge.slot ? ` as ${edge.slot}` : "");
  const rule = edge.rule ? section("Chain rule", ruleWithNumbers(edge, arrayOf(edge.gradient).dtype)) : null;
  return [
    headOf("edge", to.kind === "output" ? `${from.name} → output` : `${from.name} → ${to.name}`),
    findingsOf(edge.findings),
    element("p", {}, "from ", linkTo(view, edge.source)),
    target,
    valueSection(arrayOf(edge.value), from.name),
    gradientSection(arrayOf(edge.gradient), from.name),
    rule,
  ].filter(Boolean);
}
