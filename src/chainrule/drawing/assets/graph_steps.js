// The walk through a view: forward node by node, then backward node by node.

// What each step is about. `kind`: "leaves" (what goes in), "node", "start" (where backward begins), "collected"
// (the gradients that arrived at what went in). `at` and `of` count within the phase.
function stepsOf(view, ran) {
  if (!ran) return [];
  const isOutput = (node) => node.kind === "output";
  const computed = view.nodes.map((node, k) => (node.edges.length && !isOutput(node) ? k : -1)).filter((k) => k >= 0);
  const reached = computed.filter((k) => view.nodes[k].value !== null);
  const steps = [{ phase: "forward", kind: "leaves", node: -1 }];
  for (const k of reached) steps.push({ phase: "forward", kind: "node", node: k });
  const end = view.nodes.findIndex(isOutput);
  const last = end < 0 ? -1 : view.edges[view.nodes[end].edges[0]].source;
  if (ran === "backward" && last >= 0) {
    steps.push({ phase: "backward", kind: "start", node: last });
    const flowed = computed.filter((k) => view.nodes[k].gradient !== null);
    for (const k of flowed.reverse()) steps.push({ phase: "backward", kind: "node", node: k });
    steps.push({ phase: "backward", kind: "collected", node: -1 });
  }
  for (const phase of ["forward", "backward"]) {
    const own = steps.filter((step) => step.phase === phase);
    own.forEach((step, k) => Object.assign(step, { at: k + 1, of: own.length }));
  }
  return steps;
}

// For each edge, the step at which its value appears, and the one at which its gradient does; for each node, the step at
// which it is computed.
function timesOf(view, steps) {
  const forward = new Map();
  const backward = new Map();
  steps.forEach((step, k) => {
    if (step.kind === "start") backward.set(view.nodes.findIndex((node) => node.kind === "output"), k);
    else if (step.kind === "node") (step.phase === "forward" ? forward : backward).set(step.node, k);
  });
  const lastOf = (phase) => steps.findLastIndex((step) => step.phase === phase);
  const [lastForward, last] = [lastOf("forward"), Math.max(lastOf("backward"), lastOf("forward"))];
  const nodes = view.nodes.map((node, k) => (node.edges.length ? forward.get(k) ?? lastForward : 0));
  const edges = view.edges.map((edge) => ({ value: nodes[edge.source], gradient: backward.get(edge.target) ?? last }));
  return { nodes, edges };
}

// What is marked in the picture at a step.
function marksOf(view, step) {
  if (step.kind === "leaves" || step.kind === "collected") {
    const leaves = leavesOf(view).filter((k) => step.kind === "leaves" || view.nodes[k].gradient !== null);
    return leaves.map((k) => ["node", k, "now"]);
  }
  const marks = [["node", step.node, "now"]];
  const back = step.phase === "backward";
  for (const k of view.leaving[step.node]) marks.push(["edge", k, back ? "upstream" : "result"]);
  if (step.kind === "node") {
    for (const k of view.nodes[step.node].edges) marks.push(["edge", k, back ? "downstream" : "operand"]);
  }
  return marks;
}

// What goes into the graph: all that is not computed.
function leavesOf(view) {
  return view.nodes.map((node, k) => (node.edges.length || node.kind === "output" ? -1 : k)).filter((k) => k >= 0);
}

// The gradients that add up at a node, in the order in which they came: the nodes they came from, with their edges.
function sharesAt(view, k) {
  const edges = view.leaving[k].filter((edge) => view.edges[edge].gradient !== null);
  return edges.sort((a, b) => view.edges[b].target - view.edges[a].target);
}

// "backward 3 of 7": where the walk is, in words.
function progressOf(steps, at) {
  if (!steps.length) return "not run yet";
  if (at >= steps.length) return "everything shown";
  return `${steps[at].phase} ${steps[at].at} of ${steps[at].of}`;
}
