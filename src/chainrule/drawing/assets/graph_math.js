// Mathematics as text: formulas of layers, derivatives, and the chain rule with its numbers.

// A layer's formula, taken apart: "y = a * b, dL/da = dL/dy * b" is {forward: "y = a * b", back: {a: "dL/dy * b"}}.
function formulaOf(layer) {
  const [first, ...rest] = (content.kinds[layer]?.formula ?? "").split(/,\s+(?=dL\/d)/);
  const back = {};
  for (const part of rest) {
    const found = part.match(/^dL\/d(\w+)\S* = (.*)$/);
    if (found) back[found[1]] = withoutEnd(found[2]);
  }
  return { forward: /^[\w']+ = /.test(first) ? withoutEnd(first) : "", back };
}

// Without a sentence that follows, or a remark in brackets: "(at 0, too)".
const withoutEnd = (sentence) => sentence.replace(/\.(\s+[A-Z].*)?$/, "").replace(/ \([a-z]+ [^()=]*\)$/, "");

// As mathematics is written by hand: ∂ for d, × for *, raised T.
function pretty(formula) {
  const turned = formula.replace(/\bdL\/d(\w)/g, "∂L/∂$1").replace(/\^T\b/g, "ᵀ").replace(/ \*\* /g, " ^ ");
  return turned.replace(/ \* /g, " × ").replace(/ - /g, " − ").replace(/sqrt\(/g, "√(").replace(/<=/g, "≤");
}

// A derivative as a fraction, which reads "∂L/∂a" where it is read aloud, copied or searched.
function partial(of, by, role = "", index = "") {
  const above = element("span", {}, `∂${of}`);
  const below = element("span", {}, `∂${by}`);
  const bar = element("span", { class: "slash" }, "/");
  const fraction = element("span", { class: `fraction ${role}` }, above, bar, below);
  return index ? element("span", { class: "indexed" }, fraction, element("sub", {}, index)) : fraction;
}

// "= ..." below one another. The first line has a left side.
function equation(left, ...lines) {
  const rows = lines.map((line, k) => [
    element("span", { class: "left" }, k ? "" : left),
    element("span", { class: "equals" }, "="),
    element("span", { class: "right" }, line),
  ]);
  return element("div", { class: "equation" }, ...rows.flat());
}

const ROUNDING = 4; // so many units of rounding of the largest term, or fewer, are 0
const MOST_SHARES = 6; // of a sum, that are written out
const FUNCTIONS = new Set(["exp", "log", "sqrt", "tanh", "max"]);

// The right side of a layer's formula with numbers for its inputs: "100 × 2"; null where it cannot be written so.
function substituted(node, numbers) {
  const right = formulaOf(node.layer).forward.replace(/^\w+ = /, "");
  const words = right.match(/[A-Za-z_]\w*/g) ?? [];
  const isPlain = words.length && words.every((word) => word in numbers || FUNCTIONS.has(word));
  if (!isPlain || /[@|]|\w \w/.test(right) || !words.some((word) => word in numbers)) return null;
  const parts = pretty(right).split(/([A-Za-z_]\w*)/);
  return parts.map((part, k) => {
    if (!(part in numbers)) return part;
    const [value, type] = numbers[part];
    const isAlone = !parts[k - 1] && !parts[k + 1];
    const inBrackets = value < 0 && !isAlone && !/\($/.test(parts[k - 1]);
    return inBrackets ? ["(", number(value, type), ")"] : number(value, type);
  }).flat();
}

// The computation of one element: that at `index` where the inputs have the output's shape or are single numbers.
function computation(view, node) {
  const output = arrayOf(node.value);
  if (!output || !node.layer || !output.rows.length || !output.columns.length) return null;
  const place = largestAt(output);
  const index = output.number === null ? indexOf(output, place) : [];
  const numbers = {};
  for (const k of node.edges) {
    const input = arrayOf(view.edges[k].value);
    if (!input) return null;
    const isSame = shapeText(input.shape) === shapeText(output.shape);
    const value = input.number !== null ? numeric(input.number) : isSame ? at(input, index) : undefined;
    if (value === undefined) return null;
    numbers[view.edges[k].slot] = [value, input.dtype];
  }
  const right = substituted(node, numbers);
  if (!right) return null;
  const left = element("span", {}, "y", output.number === null ? element("sub", {}, indexText(index)) : null);
  return equation(left, right, number(numbersOf(output)[place], output.dtype, "result"));
}

// downstream = upstream × local, with the numbers of one element.
function ruleWithNumbers(edge, type) {
  const { element: place, terms, omitted, total } = edge.rule;
  const index = indexText(place);
  const isSum = terms.length + omitted > 1;
  const product = ([output, upstream, local], k) => element(
    "span",
    { class: "term", title: `by way of y${indexText(output)}` },
    (k ? bracketed : number)(numeric(upstream), type, "upstream"),
    " × ",
    bracketed(numeric(local), type, "local"),
  );
  const left = partial("L", edge.slot, "downstream", index);
  const end = number(numeric(total), type, "downstream total");
  const largest = Math.max(...terms.map(([, upstream, local]) => Math.abs(numeric(upstream) * numeric(local))));
  if (Math.abs(numeric(total)) <= ROUNDING * (type === "float32" ? 2 ** -23 : 2 ** -52) * largest) end.textContent = "0";
  const upstream = partial("L", "y", "upstream", isSum ? "" : indexText(terms[0][0]));
  const signs = [isSum ? "Σ " : "", upstream, " × ", partial("y", edge.slot, "local", index)];
  if (!isSum) return equation(left, signs, [product(terms[0], 0), " ", element("span", { class: "kept" }, element("span", { class: "equals" }, "= "), end)]);
  const sum = terms.map((term, k) => element("div", {}, k ? "+ " : "", product(term, k)));
  if (omitted) sum.push(element("div", { class: "rest" }, `+ … (${plural(omitted, "more term")})`));
  return equation(left, signs, element("div", { class: "terms" }, ...sum), end);
}

function bracketed(value, type, role) {
  const written = number(value, type, role);
  return value < 0 ? element("span", {}, "(", written, ")") : written;
}

// "3 + 4 = 7": gradients that add up at a node that feeds several; of arrays, one element. Null for a single one.
function addedUp(view, k) {
  const edges = sharesAt(view, k);
  const total = arrayOf(view.nodes[k].gradient);
  if (edges.length < 2 || !total || !total.rows.length || !total.columns.length) return null;
  const place = largestAt(total);
  const index = total.number === null ? indexOf(total, place) : [];
  const sum = edges.slice(0, MOST_SHARES).flatMap((edge, n) => {
    const share = shareAt(view, edge, index, total.dtype);
    return n ? [" + ", share] : [share];
  });
  if (edges.length > MOST_SHARES) sum.push(` + … (${count(edges.length - MOST_SHARES)} more)`);
  const left = partial("L", view.nodes[k].name, "", indexText(index));
  const end = number(numbersOf(total)[place], total.dtype, "sum");
  const times = edges.length === 2 ? "twice" : `${count(edges.length)} times`;
  const line = element("p", { class: "faint" }, `${view.nodes[k].name} is used ${times}: the gradients add up.`);
  return element("div", { class: "adds", "data-node": k }, line, equation(left, [...sum, " ", element("span", { class: "kept" }, element("span", { class: "equals" }, "= "), end)]));
}

// What one edge brings to a sum, at an index.
function shareAt(view, edge, index, type) {
  const share = arrayOf(view.edges[edge].gradient);
  const value = share.number === null ? at(share, index) : numeric(share.number);
  const from = view.nodes[view.edges[edge].target].name;
  if (value === undefined) return element("span", { title: `from ${from}` }, "?");
  return element("span", { title: `from ${from}` }, bracketed(value, type, "share"));
}
