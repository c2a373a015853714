// Finding nodes by name and by kind.

const MOST_HITS = 30;

function search() {
  const words = $("search").value.trim().toLowerCase();
  const fits = (node) => [node.name, node.kind, node.layer, node.label].some((text) => text?.toLowerCase().includes(words));
  const found = words ? state.view.nodes.map((node, k) => [node, k]).filter(([node]) => node.kind !== "output" && fits(node)) : [];
  const isBetter = ([node]) => (node.name.toLowerCase().startsWith(words) ? 0 : 1);
  found.sort((a, b) => isBetter(a) - isBetter(b));
  const hits = found.slice(0, MOST_HITS).map(([node, k], place) => element(
    "li",
    { role: "option", id: `hit-${place}`, "data-goto": k, "aria-selected": place === 0 ? "true" : "false" },
    element("span", { dir: "auto" }, node.name),
    element("span", { class: "faint" }, kindOf(node)),
  ));
  if (found.length > MOST_HITS) hits.push(element("li", { class: "faint" }, `and ${count(found.length - MOST_HITS)} more`));
  if (words && !found.length) hits.push(element("li", { class: "faint" }, "nothing found"));
  $("hits").replaceChildren(...hits);
  $("hits").hidden = !words;
  $("search").setAttribute("aria-expanded", String(Boolean(words)));
  pickHit(0);
}

function pickHit(place) {
  const hits = [...$("hits").querySelectorAll("[role=option]")];
  if (!hits.length) return $("search").removeAttribute("aria-activedescendant");
  const picked = (place + hits.length) % hits.length;
  hits.forEach((hit, k) => hit.setAttribute("aria-selected", String(k === picked)));
  hits[picked].scrollIntoView({ block: "nearest" });
  return $("search").setAttribute("aria-activedescendant", hits[picked].id);
}

function searchKey(event) {
  const hits = [...$("hits").querySelectorAll("[role=option]")];
  const picked = hits.findIndex((hit) => hit.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    pickHit(picked + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter" && hits[picked]) {
    goToNode(Number(hits[picked].dataset.goto));
    endSearch();
  } else if (event.key === "Escape") close();
  event.stopPropagation();
}

function endSearch() {
  $("hits").hidden = true;
  $("search").setAttribute("aria-expanded", "false");
  $("search").value = "";
  $("search").blur();
}
