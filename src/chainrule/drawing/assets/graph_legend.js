// The legend: everything that this graph's picture shows, and nothing else.

function legend() {
  const { nodes } = content.views[content.begin];
  const kinds = new Set(nodes.map((node) => node.kind));
  const isWrong = nodes.some((node) => node.findings.length) || content.arrays.some(trouble);
  const signs = [
    ["flow", "a value flows forward; its numbers stand above the line, or under the weight it comes from"],
    content.ran === "backward" && ["back", "a gradient flows back; its numbers stand below the value's"],
    ["is-strong", "from afar: the stronger a line, the larger what flows, in powers of ten"],
    ["is-figure", "from afar: the typical size of a box's numbers (root mean square); orange: of its gradient"],
    kinds.has("input") && ["is-input", "an input"],
    kinds.has("parameter") && ["is-parameter", "a parameter, to be learnt (corners cut)"],
    kinds.has("constant") && ["is-constant", "a constant"],
    kinds.has("layer") && ["is-layer", "a layer"],
    kinds.has("operation") && ["is-operation", "an operation"],
    content.views.collapsed && ["is-block", "a block: several nodes as one"],
    content.ran && ["is-now", "the node of this step; orange when gradients flow"],
    ["is-chosen", "the node that you clicked"],
    ["is-signed", "an array's numbers: purple below 0, green above, paler near 0"],
    isWrong && ["is-wrong", "red: wrong, NaN or infinite"],
  ];
  const line = ([sign, words]) => element(
    "li",
    {},
    element("span", { class: `sign ${sign}`, "aria-hidden": "true" }),
    element("span", {}, words),
  );
  const how = "Play with Space, step with → and ←. Point at a line to see its array, click a node or a line for all of it.";
  return element("ul", { class: "signs" }, ...signs.filter(Boolean).map(line), element("li", { class: "faint" }, how));
}
