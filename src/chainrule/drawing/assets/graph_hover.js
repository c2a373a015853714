// What one points at: the array that flows along an edge, and what comes back, in a card beside the pointer.

const REST = 180; // milliseconds that the pointer stays on an edge
const hovering = { timer: null, drawn: null };

function hoverOver(event) {
  if (event.pointerType === "touch") return;
  const drawn = event.target.closest?.("g.edge");
  const isShown = drawn && state.view.svg.contains(drawn);
  if (drawn === hovering.drawn) return;
  hovering.drawn = drawn;
  clearTimeout(hovering.timer);
  $("card").hidden = true;
  if (isShown) hovering.timer = setTimeout(() => showCard(drawn, event.clientX, event.clientY), REST);
}

function showCard(drawn, x, y) {
  const view = drawn.closest(".inside") ? viewOf("full").view : state.view;
  const edge = view.edges[drawn.dataset.edge];
  const [from, to] = [view.nodes[edge.source], view.nodes[edge.target]];
  const parts = [element("p", { class: "between" }, `${from.name} → ${to.kind === "output" ? "output" : to.name}`)];
  for (const [what, role, seen] of [["value", "of-value", "no-value"], ["gradient", "of-gradient", "no-gradient"]]) {
    const array = arrayOf(edge[what]);
    if (!array || drawn.classList.contains(seen)) continue;
    parts.push(element("p", {}, element("span", { class: `role ${role}` }, what), inLine(array, role)));
    if (array.picture) parts.push(stripOf(array));
    else if (array.number === null && array.rows.length && array.columns.length) {
      parts.push(heatMap(array, `${what} of ${from.name}`, { width: 250, height: 90 }));
    }
  }
  const card = $("card");
  card.replaceChildren(...parts);
  card.hidden = false;
  const { width, height } = card.getBoundingClientRect();
  card.style.left = `${Math.max(8, Math.min(x + 16, window.innerWidth - width - 8))}px`;
  card.style.top = `${y + 20 + height > window.innerHeight ? Math.max(8, y - height - 16) : y + 20}px`;
}

function hideCard() {
  clearTimeout(hovering.timer);
  hovering.drawn = null;
  $("card").hidden = true;
}
