// A report that grows while its run trains: asks its server for more, and puts it in place of what is there.
(() => {
  const EVERY = 1000;
  const PATIENCE = 5;
  let { version } = pageData("live");
  const { folder } = pageData("live");
  let failures = 0;

  const shapeOf = (charts) => charts.map((chart) => [chart.title, ...chart.series.map((series) => series.name)].join("\n")).join("\n\n");
  let shape = shapeOf(pageData("charts"));

  // Everything but the curves, which are drawn already and only get more points.
  const put = ({ body, charts }) => {
    const grown = new DOMParser().parseFromString(body, "text/html");
    const anew = shapeOf(charts) !== shape;
    shape = shapeOf(charts);
    const opened = [...document.querySelectorAll("details[open] summary")].map((each) => each.textContent);
    const focused = document.activeElement;
    if (!anew) {
      document.querySelectorAll("[data-chart]").forEach((figure) => {
        grown.querySelector(`[data-chart="${figure.dataset.chart}"]`)?.replaceWith(figure);
      });
    }
    for (const place of [".lead", "nav", ".cards", "main"]) {
      const [there, next] = [document.querySelector(place), grown.querySelector(place)];
      if (there && next) {
        const left = there.scrollLeft;
        there.replaceChildren(...next.childNodes);
        there.scrollLeft = left;
      }
    }
    document.querySelectorAll("details summary").forEach((each) => { each.parentElement.open = opened.includes(each.textContent); });
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
    document.dispatchEvent(new CustomEvent("reportgrown", { detail: { anew, charts } }));
  };

  const tell = (text) => { document.querySelector(".page .lead").textContent = text; };

  const grow = async () => {
    try {
      const answer = await fetch(`growth?version=${version}`, { cache: "no-store" });
      const grown = await answer.json();
      failures = 0;
      if (grown.over) {
        if (grown.has_page) {
          location.reload();
          return;
        }
        put(grown);
        tell(`The training has ended. chainrule report ${folder} makes its report.`);
        return;
      }
      if (grown.version !== version) {
        version = grown.version;
        put(grown);
      }
    } catch {
      failures += 1;
      if (failures === PATIENCE) {
        tell(`The training answers no more. chainrule report ${folder} makes its report.`);
        return;
      }
    }
    setTimeout(grow, EVERY);
  };
  setTimeout(grow, EVERY);
})();
