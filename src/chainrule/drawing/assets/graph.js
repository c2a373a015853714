// The page of a graph: what its buttons, its keys and its clicks do.

const content = pageData("graph");
for (const { nodes, edges } of Object.values(content.views)) { // empty lists are not written into the page
  for (const each of [...nodes, ...edges]) each.findings ??= [];
  for (const node of nodes) node.members ??= [];
}
const root = document.documentElement;
const $ = (id) => document.getElementById(id);

const KEYS = [
  ["Space", "play, pause"],
  ["← →", "one step back, one step on"],
  ["Home End", "to the beginning; show everything"],
  ["Tab, Enter", "to the next node; open it"],
  ["Esc", "close what is open"],
  ["/", "search"],
  ["+ - 0", "larger, smaller, the whole graph"],
  ["c", "collapse or expand what repeats"],
  ["?", "this help"],
];

const views = {};
const map = new GraphMap($("map"), (x, y) => state.view.centreOn(x, y));
const state = { view: null, steps: [], at: 0, chosen: null };

// Views and walking -----------------------------------------------------------------------------------------

// A view by its name, made when it is first asked for.
function viewOf(name) {
  if (!views[name]) {
    const view = new View(document.querySelector(`.picture[data-view="${name}"]`), content.views[name]);
    const steps = stepsOf(view, content.ran);
    views[name] = { view, steps, times: timesOf(view, steps) };
  }
  return views[name];
}

// Show one of the views. They are made ready when first shown, as a large graph takes a while.
function show(name) {
  const isNew = !views[name]?.isShown;
  viewOf(name).isShown = true;
  const before = state.steps[state.at];
  const named = before && before.node >= 0 ? state.view.nodes[before.node].name : null;
  const { view, steps } = views[name];
  const isSame = (step) => step.phase === before?.phase && step.kind === before.kind
    && (step.node < 0 || view.nodes[step.node].name === named);
  const found = before ? steps.findIndex(isSame) : -1;
  Object.assign(state, { view, steps, at: found < 0 ? steps.length : found, chosen: null });
  if (isNew) {
    view.onMove = (transform) => map.draw(view, transform);
    view.fit(false);
  }
  for (const holder of document.querySelectorAll(".picture")) holder.hidden = holder.dataset.view !== name;
  root.dataset.view = name;
  tellFold();
}

function changeView(name) {
  show(name);
  refresh();
  map.draw(state.view, state.view.zoom.now);
}

function tellFold() {
  const isFolded = state.view.name === "collapsed";
  $("fold").textContent = isFolded ? "Expand" : "Collapse";
  $("fold").title = isFolded ? "Show every node  c" : "Show what repeats as one box  c";
}

const fold = () => Object.keys(content.views).length > 1 && changeView(state.view.name === "full" ? "collapsed" : "full");

// Go to a step of the walk; the number of steps itself means that everything is shown.
function goTo(at) {
  if (!state.steps.length) return;
  state.at = Math.min(Math.max(at, 0), state.steps.length);
  state.chosen = null;
  root.dataset.begun = "yes";
  refresh();
  keepInAddress();
  const step = state.steps[state.at];
  $("spoken").textContent = step ? `${progressOf(state.steps, state.at)}: ${spokenName(step)}` : "everything shown";
  if (step && step.node >= 0) state.view.reveal(step.node);
}

function spokenName(step) {
  if (step.kind === "leaves") return "what goes in";
  if (step.kind === "collected") return "what has come back";
  return state.view.nodes[step.node].name;
}

const moves = {
  first: () => goTo(0),
  back: () => goTo(state.at - 1),
  next: () => goTo(state.at >= state.steps.length ? 0 : state.at + 1),
  last: () => goTo(state.steps.length),
};

// By hand: playing stops.
function moveBy(name) {
  pause();
  moves[name]();
}

// Choose a node or an edge, whose details are then shown; null: none.
function choose(chosen, { reveal = false } = {}) {
  pause();
  state.chosen = chosen;
  root.dataset.begun = "yes";
  refresh();
  if (!chosen) return;
  if (reveal && chosen.node !== undefined) state.view.reveal(chosen.node, { legible: true });
  if (reveal && chosen.edge !== undefined) state.view.reveal(state.view.edges[chosen.edge].target, { legible: true });
}

// Draw and tell what the state says.
function refresh() {
  const { view, steps, at, chosen } = state;
  const step = steps[at];
  view.showUntil(at, views[view.name].times);
  const marks = step ? marksOf(view, step) : [];
  if (chosen) marks.push(chosen.node === undefined ? ["edge", chosen.edge, "chosen"] : ["node", chosen.block ?? chosen.node, "chosen"]);
  view.mark(marks);
  root.dataset.step = step ? at : "all";
  root.dataset.phase = step ? step.phase : "all";
  view.levels.tell(root.dataset.phase);
  const slider = $("slider");
  slider.max = steps.length;
  slider.value = at;
  const part = (many) => `${steps.length ? (100 * many) / steps.length : 100}%`;
  slider.style.setProperty("--done", part(at));
  slider.style.setProperty("--turn", part(steps.filter((each) => each.phase === "forward").length));
  slider.setAttribute("aria-valuetext", progressOf(steps, at));
  $("progress").textContent = progressOf(steps, at);
  const disabled = { first: at === 0, back: at === 0, next: false, last: at === steps.length };
  for (const button of document.querySelectorAll("[data-step]")) {
    button.disabled = !steps.length || disabled[button.dataset.step];
  }
  slider.disabled = !steps.length;
  fill(view, step, chosen);
}

function fill(view, step, chosen) {
  const panel = $("panel");
  let parts;
  if (chosen?.block !== undefined) parts = nodeDetails(viewOf("full").view, chosen.node);
  else if (chosen) parts = chosen.node === undefined ? edgeDetails(view, chosen.edge) : nodeDetails(view, chosen.node);
  else parts = step ? stepDetails(view, step) : overview(view);
  if (chosen && step) parts.push(element("p", {}, element("button", { type: "button", "data-close": "" }, "Back to the step")));
  panel.replaceChildren(...parts);
  if (root.dataset.begun === "yes") panel.scrollTop = 0;
  panel.dataset.tells = chosen ? "details" : step ? "step" : hasToTell(view) ? "findings" : "graph";
}

// Close what is open: the search, the details, then the walk.
function close() {
  if (!$("hits").hidden || document.activeElement === $("search")) {
    endSearch();
    state.view.svg.focus();
    return;
  }
  if (state.chosen) {
    const { node } = state.chosen;
    choose(null);
    if (node !== undefined) state.view.drawnNodes[node].focus({ preventScroll: true });
  } else if (state.at < state.steps.length) goTo(state.steps.length);
}

function goToNode(k) {
  choose({ node: k }, { reveal: true });
  state.view.drawnNodes[k].focus({ preventScroll: true });
}

// The members of the chosen block, in the full view.
function showMembers() {
  const step = state.steps[state.at];
  const block = state.view.nodes[state.chosen?.node ?? step.node];
  changeView("full");
  const numbers = block.members.map((name) => state.view.find(name)).filter((k) => k >= 0);
  state.view.mark(numbers.map((k) => ["node", k, "member"]));
  state.view.revealAll(numbers);
}

// Open a block in its place, or close it.
function openBlock(k) {
  state.view.toggleBlock(k, viewOf("full").view);
  refresh();
}

// Listening ---------------------------------------------------------------------------------------------------

function clicked(event) {
  const { target } = event;
  const button = target.closest("button, li[data-goto]");
  if (button?.dataset.goto !== undefined) {
    goToNode(Number(button.dataset.goto));
    endSearch();
  } else if (button?.dataset.edgeGoto !== undefined) choose({ edge: Number(button.dataset.edgeGoto) }, { reveal: true });
  else if (button?.dataset.close !== undefined) close();
  else if (button?.dataset.show !== undefined) showMembers();
  else if (button?.dataset.open !== undefined) openBlock(Number(button.dataset.open));
  else if (button?.dataset.step) moveBy(button.dataset.step);
  else if (button?.dataset.zoom) zoomBy(button.dataset.zoom);
  else if (target.closest("svg.graph")) {
    const hit = state.view.under(event);
    const isTwice = event.detail === 2 && content.views.full && state.view.nodes[hit?.block ?? hit?.node]?.kind === "block";
    if (isTwice && hit.block === undefined) openBlock(hit.node);
    else if (hit) choose(hit);
    else if (state.chosen) choose(null);
  }
  if (!target.closest(".search")) $("hits").hidden = true;
}

function zoomBy(how) {
  if (how === "fit") state.view.fit();
  else state.view.scaleBy(how === "in" ? 1.4 : 1 / 1.4);
}

const actions = {
  " ": playOrPause,
  ArrowRight: () => moveBy("next"),
  ArrowLeft: () => moveBy("back"),
  Home: () => moveBy("first"),
  End: () => moveBy("last"),
  Escape: close,
  "/": () => $("search").focus(),
  "+": () => zoomBy("in"),
  "=": () => zoomBy("in"),
  "-": () => zoomBy("out"),
  0: () => zoomBy("fit"),
  c: fold,
  "?": () => $("keys").showModal(),
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (event.target === $("slider") && event.key.startsWith("Arrow")) return;
  if (event.target.closest?.("button, select, summary, input:not([type=range])") && [" ", "ArrowUp", "ArrowDown"].includes(event.key)) return;
  const node = event.target.closest?.("g.node");
  if (node && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    choose({ node: Number(node.dataset.node) });
    return;
  }
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

// A node that the keyboard comes to is brought into the window, a node that is clicked stays where it is.
function focused(event) {
  const node = event.target.closest?.("g.node");
  if (node?.matches(":focus-visible")) state.view.reveal(Number(node.dataset.node));
}

function help() {
  const rows = KEYS.flatMap(([keys, words]) => [
    element("dt", {}, ...keys.split(/( |, )/).map((key) => (key.trim().replace(",", "") ? element("kbd", {}, key) : " "))),
    element("dd", {}, words),
  ]);
  const done = element("form", { method: "dialog" }, element("button", {}, "Close"));
  $("keys").append(element("h2", {}, "Keys"), element("dl", {}, ...rows), element("h2", {}, "Picture"), legend(), done);
}

// Begin at the step of the address, or at the beginning; of a check that found something, with everything shown.
function begin() {
  const asked = stepOfAddress();
  if (asked !== null) goTo(asked);
  else if (!state.view.nodes.some((node) => node.findings.length)) state.at = 0;
  if (hasToTell(state.view)) root.dataset.begun = "yes";
  refresh();
}

function start() {
  help();
  $("fold").hidden = Object.keys(content.views).length < 2;
  $("fold").addEventListener("click", fold);
  $("help").addEventListener("click", actions["?"]);
  $("slider").addEventListener("input", () => {
    pause();
    goTo(Number($("slider").value));
  });
  $("search").addEventListener("input", search);
  $("search").addEventListener("keydown", searchKey);
  document.addEventListener("click", clicked);
  document.addEventListener("keydown", pressed);
  $("stage").addEventListener("pointermove", hoverOver);
  $("stage").addEventListener("pointerleave", hideCard);
  $("stage").addEventListener("pointerdown", hideCard);
  document.addEventListener("focusin", focused);
  document.addEventListener("themechange", () => document.querySelectorAll(".heatmap").forEach((map) => map.repaint()));
  root.dataset.begun = "no";
  show(content.begin);
  startPlaying();
  begin();
  window.addEventListener("hashchange", () => stepOfAddress() !== null && goTo(stepOfAddress()));
  new ResizeObserver(() => !state.view.isMoved && state.view.fit(false)).observe($("stage"));
  requestAnimationFrame(() => requestAnimationFrame(() => {
    root.dataset.ready = "yes";
  }));
}

start();
