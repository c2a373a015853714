// The panel during a walk: each step written out with its numbers. And what it tells of the graph as a whole.

const MOST_LINES = 40;

function stepDetails(view, step) {
  const small = `${step.phase} ${step.at} of ${step.of}`;
  const tell = { leaves: tellLeaves, start: tellStart, collected: tellCollected, node: tellNode }[step.kind];
  return tell(view, step, small).filter(Boolean);
}

function tellNode(view, step, small) {
  return step.phase === "forward" ? tellForward(view, step.node, small) : tellBackward(view, step.node, small);
}

function tellLeaves(view, step, small) {
  const lines = leavesOf(view).map((k) => [k, arrayOf(view.nodes[k].value)]);
  return [
    headOf(small, "What goes in"),
    element("p", { class: "faint" }, "Inputs, parameters and constants. All else is computed from them."),
    ...notesOf(view),
    table(view, lines, "of-value"),
    content.ran === "forward" ? element("p", { class: "faint missing" }, `The gradients are ${NOT_COMPUTED}.`) : null,
    section("How to read it", legend()),
  ];
}

function tellCollected(view, step, small) {
  const lines = leavesOf(view).map((k) => [k, arrayOf(view.nodes[k].gradient), addedUp(view, k)]);
  return [
    headOf(small, "What has come back"),
    element("p", { class: "faint" }, "How much the output changes when one of these changes a little."),
    table(view, lines, "of-gradient"),
  ];
}

function table(view, lines, role) {
  const rows = lines.slice(0, MOST_LINES).map(([k, array, more]) => {
    const told = array ? inLine(array, role) : element("span", { class: "faint" }, role === "of-gradient" ? "no gradient" : "none");
    return element("li", { "data-node": k }, linkTo(view, k), told, array?.picture ? stripOf(array) : null, more ?? null);
  });
  const left = lines.length - rows.length;
  if (left > 0) rows.push(element("li", { class: "faint" }, `and ${count(left)} more`));
  return element("ul", { class: "lines" }, ...rows);
}

function tellStart(view, step, small) {
  const node = view.nodes[step.node];
  const gradient = arrayOf(node.gradient);
  const isOne = gradient?.number !== null && numeric(gradient?.number) === 1;
  const words = isOne
    ? "Backward begins at the end: when the output grows by a little, it grows by just that."
    : "Backward begins at the end, with the gradient that backward() was given.";
  const name = document.createTextNode(node.name);
  return [
    headOf(small, "Where backward begins"),
    element("p", {}, "L is the output, ", linkTo(view, step.node), "."),
    element("p", { class: "faint" }, words),
    gradient ? equation(partial("L", name.data, "upstream"), inLine(gradient, "upstream total")) : noGradient(),
  ];
}

function tellForward(view, k, small) {
  const node = view.nodes[k];
  const output = arrayOf(node.value);
  const inputs = node.edges.map((edge) => {
    const { source, slot, value } = view.edges[edge];
    return element("li", { "data-edge": edge }, element("span", { class: "slot" }, slot), linkTo(view, source), inLine(arrayOf(value), "of-value"));
  });
  const formula = formulaLine(node);
  const numbers = node.kind === "block" ? null : computation(view, node);
  const many = output && output.number === null && output.rows.length && output.columns.length;
  return [
    headOf(small, node.name, node.kind),
    formula,
    findingsOf(node.findings),
    node.kind === "block" ? membersOf(node) : null,
    section("Goes in", element("ul", { class: "lines" }, ...inputs)),
    numbers ? section("Is computed", numbers) : null,
    section(
      "Comes out",
      element("ul", { class: "lines result" }, element("li", { "data-node": k }, element("span", { class: "slot" }, "y"), linkTo(view, k), inLine(output, "of-value"))),
      many ? heatMap(output, node.name, { width: roomForPictures(), height: 150 }) : null,
    ),
  ];
}

// "Multiply   y = a × b"
function formulaLine(node) {
  if (!node.layer) return null;
  const { forward } = formulaOf(node.layer);
  const kind = element("span", { class: "kind" }, node.layer);
  return element("p", { class: "formula" }, kind, forward ? typeset(forward) : "");
}

function tellBackward(view, k, small) {
  const node = view.nodes[k];
  const key = ["upstream", " × ", "local", " = ", "downstream"];
  const legend = key.map((word) => (word.startsWith(" ") ? word : element("span", { class: word }, word)));
  return [
    headOf(small, node.name, node.kind),
    formulaLine(node),
    findingsOf(node.findings),
    node.kind === "block" ? membersOf(node) : element("p", { class: "legend" }, ...legend),
    upstreamCard(view, k),
    ...node.edges.map((edge) => downstreamCard(view, edge)),
  ];
}

function upstreamCard(view, k) {
  const gradient = arrayOf(view.nodes[k].gradient);
  const line = equation(partial("L", "y", "upstream"), inLine(gradient, "upstream total"));
  return element("section", { class: "card upstream-card", "data-node": k }, element("h3", {}, "Upstream gradient"), line, addedUp(view, k));
}

// What one input gets back: the rule with numbers, or in words where its numbers are too many.
function downstreamCard(view, k) {
  const edge = view.edges[k];
  const share = arrayOf(edge.gradient);
  const title = element("h3", {}, element("span", { class: "slot" }, edge.slot), linkTo(view, edge.source));
  const card = element("section", { class: "card downstream-card", "data-edge": k }, title);
  if (!share) {
    card.append(element("p", { class: "faint missing" }, "no gradient flows here"));
    return card;
  }
  const target = view.nodes[edge.target];
  const words = formulaOf(target.layer).back[edge.slot];
  if (edge.rule) card.append(ruleWithNumbers(edge, share.dtype));
  if (words || !edge.rule) {
    const upstream = arrayOf(target.gradient);
    const ends = upstream ? [shapeText(upstream.shape), shapeText(share.shape)] : [];
    const shapes = ends[0] === ends[1] ? "" : ends.join(" → ");
    const left = words ? typeset(`dL/d${edge.slot} = ${words}`) : "as the layer's backward computes it";
    const rule = target.kind === "block" ? `through ${plural(target.members.length, "node")}` : left;
    card.append(element("p", { class: "formula faint" }, rule, element("span", { class: "shapes" }, shapes)));
  }
  if (share.number !== null && !edge.rule) card.append(equation(partial("L", edge.slot || view.nodes[edge.source].name, "downstream"), inLine(share, "downstream total")));
  if (share.number === null && share.rows.length && share.columns.length) {
    if (share.picture) card.append(stripOf(share));
    else card.append(heatMap(share, `gradient of ${edge.slot || view.nodes[edge.source].name}`, { width: roomForPictures() - 26, height: 96 }));
  }
  card.append(...findingsInCard(edge), ...sumInCard(view, edge));
  return card;
}

function findingsInCard(edge) {
  const found = findingsOf(edge.findings);
  return found ? [found] : [];
}

// Where this node is the last of several to send a gradient to the input, they are summed.
function sumInCard(view, edge) {
  const shares = sharesAt(view, edge.source);
  if (shares.length < 2) return [];
  const isLast = Math.min(...shares.map((share) => view.edges[share].target)) === edge.target;
  const isFirstPort = shares.filter((share) => view.edges[share].target === edge.target).at(-1);
  if (isLast && view.edges[isFirstPort] === edge) return [addedUp(view, edge.source)].filter(Boolean);
  const words = `${view.nodes[edge.source].name} is used ${shares.length} times: this is one of the gradients that add up.`;
  return [element("p", { class: "faint" }, words)];
}

// What is told before anything is chosen.
function overview(view) {
  const full = content.views.full ?? content.views.collapsed;
  const parts = [headOf("graph", content.title)];
  const end = view.nodes.findIndex((node) => node.kind === "output");
  const of = (kinds) => full.nodes.filter((node) => kinds.includes(node.kind)).length;
  const facts = [
    [of(["operation", "layer"]), "computed node"],
    [of(["input"]), "input"],
    [of(["parameter"]), "parameter"],
    [of(["constant"]), "constant"],
  ].filter(([many]) => many).map(([many, word]) => plural(many, word));
  parts.push(element("p", { class: "faint" }, facts.join(", ")));
  parts.push(...guilty(view), ...notesOf(view));
  if (end >= 0) {
    const output = view.edges[view.nodes[end].edges[0]];
    if (content.ran) {
      const line = element("li", {}, linkTo(view, output.source), inLine(arrayOf(output.value), "of-value"));
      parts.push(section("Output", element("ul", { class: "lines" }, line)));
    }
  }
  parts.push(section("How to read it", legend()));
  if (content.ran === "forward") parts.push(element("p", { class: "faint missing" }, `The gradients are ${NOT_COMPUTED}.`));
  if (!content.ran) parts.push(element("p", { class: "faint missing" }, "The graph has not run yet: call forward(), then backward()."));
  return parts;
}

const notesOf = (view) => (content.views[view.name].notes ?? []).map((note) => element("p", { class: "note" }, note));

// Whether there is something to tell before anything is chosen, also where the panel takes room from the picture.
const hasToTell = (view) => notesOf(view).length > 0 || view.nodes.some((node) => node.findings.length);

function guilty(view) {
  const found = view.nodes.map((node, k) => [node, k]).filter(([node]) => node.findings.length);
  const each = ([node, k]) => element("div", {}, element("p", { class: "accused" }, "in ", linkTo(view, k)), findingsOf(node.findings));
  return firstFew(found.map(each));
}
