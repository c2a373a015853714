// The report of a training run: its curves, and the matrix that chooses examples.
(() => {
  const HEIGHT = 250;
  const FONT = "12px system-ui, sans-serif";
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    if (text != null) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };

  // Numbers ---------------------------------------------------------------------------------------------
  const short = (value) => {
    if (value == null) return "";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size < 1e-3 || size >= 1e6) return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
    if (size >= 1e4) return Math.round(value).toLocaleString("en");
    return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 10 });
  };
  const percent = (value) => (value == null ? "" : `${Number((100 * value).toPrecision(4))} %`);

  // Where a line stands on a logarithmic axis: at powers of ten.
  const decade = (value) => (Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-6 ? value : null);

  // Eight colours where that is enough; of more layers, hues in the order of the layers.
  const colour = (series) => {
    if (series.color === "raw") return css("--raw");
    if (!(series.of > 8)) return css(`--c${series.color % 8}`);
    const light = root.dataset.theme === "dark" ? 66 : 44;
    return `hsl(${Math.round(215 + (series.color / (series.of - 1)) * 205) % 360} 65% ${light}%)`;
  };

  // Charts ----------------------------------------------------------------------------------------------
  class Chart {
    constructor(place, spec) {
      this.place = place;
      this.spec = spec;
      this.along = "x";
      this.log = spec.log;
      this.hidden = spec.series.map((each) => Boolean(each.hidden));
      const head = element("div", null, { class: "head" });
      const tools = element("div", null, { class: "tools" });
      this.all = element("button", "Show all", { type: "button", class: "reset", hidden: "" });
      this.all.addEventListener("click", () => this.zoomOut());
      tools.append(this.all);
      if (spec.kind === "lines" && !spec.percent && spec.tables.some((t) => t.y.some((y) => y.some((v) => v > 0)))) {
        const log = element("button", "Log", { type: "button", class: "log", "aria-pressed": this.log, title: "Logarithmic scale" });
        log.addEventListener("click", () => {
          this.log = !this.log;
          log.setAttribute("aria-pressed", this.log);
          this.draw();
        });
        tools.append(log);
      }
      if (spec.percent && this.moves()) {
        this.whole = false;
        const whole = element("button", "All", { type: "button", class: "whole", "aria-pressed": "false", title: "All values, not only where the curves move" });
        whole.addEventListener("click", () => {
          this.whole = !this.whole;
          whole.setAttribute("aria-pressed", this.whole);
          this.draw();
        });
        tools.append(whole);
      }
      head.append(place.querySelector("figcaption"), tools);
      const words = `${spec.title}. ${place.querySelector(".summary").textContent}. Arrow keys read the values, + and - zoom, 0 shows all.`;
      this.plot = element("div", null, { class: "plot", tabindex: "0", role: "img", "aria-label": words });
      this.plot.addEventListener("keydown", (event) => this.key(event));
      this.legend = element("div", null, { class: "legend" });
      place.prepend(head, this.plot, this.legend);
      place.classList.add("drawn");
      this.makeLegend();
      this.draw();
      new ResizeObserver(() => {
        if (this.u && this.plot.clientWidth) this.u.setSize({ width: this.plot.clientWidth, height: HEIGHT });
      }).observe(this.plot);
    }

    makeLegend() {
      this.values = this.spec.series.map((series, k) => {
        const button = element("button", null, { type: "button", "aria-pressed": !this.hidden[k] });
        const key = element("span", null, { class: "key" });
        const value = element("span", "", { class: "value" });
        button.append(key, element("span", series.name, { class: "name", title: series.name }), value);
        button.addEventListener("click", () => {
          this.hidden[k] = !this.hidden[k];
          button.setAttribute("aria-pressed", !this.hidden[k]);
          this.u.setSeries(k + 1, { show: !this.hidden[k] });
        });
        this.legend.append(button);
        return { key, value };
      });
      this.where = element("span", "", { class: "where" });
      this.legend.append(this.where);
    }

    // One table on the union of all x. `undefined` is where a curve has no point, null is where it is broken.
    joined(log) {
      const tables = this.spec.tables.map((table) => {
        const x = table[this.along] ?? table.x;
        const ys = log ? table.y.map((y) => y.map((v) => (v > 0 ? v : null))) : table.y;
        return [x, ...ys];
      });
      return tables.length > 1 ? uPlot.join(tables) : tables[0];
    }

    draw() {
      const { spec } = this;
      const shown = spec.percent ? percent : short;
      this.u?.destroy();
      const data = this.joined(this.log);
      this.data = this.log ? this.joined(false) : data;  // what is read, zeros included
      const axis = (extra) => ({
        stroke: () => css("--faint"), font: FONT, labelFont: FONT, labelSize: 17, grid: { stroke: () => css("--track"), width: 1 },
        ticks: { show: false }, ...extra,
      });
      const nearest = (u, s, at) => {
        if (s === 0 || this.data[s][at] != null) return at;
        for (let step = 1; step < u.data[0].length; step++) {
          if (this.data[s][at - step] != null) return at - step;
          if (this.data[s][at + step] != null) return at + step;
        }
        return at;
      };
      const options = {
        width: this.plot.clientWidth || 400,
        height: HEIGHT,
        legend: { show: false },
        scales: {
          x: { time: false },
          y: this.log ? { distr: 3 } : { range: (u, low, high) => this.range(low, high) },
        },
        axes: [
          axis({ values: (u, all) => all.map((v) => short(v)), space: 70, size: 28, label: this.along === "seconds" ? "seconds" : spec.x }),
          axis({ values: (u, all) => all.map((v) => (v == null ? null : shown(v))), size: 58, gap: 6, grid: { stroke: () => css("--track"), width: 1, filter: (u, splits) => (this.log ? splits.map(decade) : splits) }, ...(spec.y && { label: spec.y }) }),
        ],
        cursor: {
          dataIdx: nearest,
          points: { size: 7 },
          drag: { x: true, y: false, uni: 10 },
          ...(spec.kind === "lines" && {
            sync: { key: `curves-${this.along}`, scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
          }),
        },
        series: [{}, ...spec.series.map((series, k) => this.series(series, k, data))],
        hooks: {
          setCursor: [(u) => this.read(u)],
          setScale: [(u, name) => name === "x" && this.zoomed(u)],
        },
      };
      this.u = new uPlot(options, data, this.plot);
      this.paint();
      this.read(this.u);
    }

    // Where shares begin to move by little: above the first climb, where that takes more than half of the axis.
    moves() {
      if (this.spec.from_zero) return null;
      const values = this.spec.tables.flatMap((table) => table.y.flat()).filter((v) => v != null).sort((a, b) => a - b);
      const [low, high] = [values[0], values[values.length - 1]];
      const usual = values[Math.floor(values.length * 0.15)];
      if (values.length < 8 || !(high > 0.5) || high - usual > 0.5 * (high - low)) return null;
      return Math.max(Math.min(usual - 0.3 * (high - usual), high - 0.01), low);
    }

    range(low, high) {
      if (low == null) return [0, 1];
      if (this.spec.percent) {
        const usual = this.spec.from_zero || low < 0.5 * high || low === high ? 0 : Math.max(0, low - 0.1 * (high - low));
        const bottom = (this.whole === false ? this.moves() : null) ?? usual;
        const top = high <= 1 && high > 0.9 ? 1 : Math.max(high + 0.05 * (high - low), low + 0.01);
        return [Math.min(bottom, top - 0.01), top];
      }
      const gap = high - low || Math.abs(high) || 1;
      const bottom = low >= 0 && low < 0.4 * high ? 0 : low - 0.08 * gap;
      return [bottom, high + 0.08 * gap];
    }

    series(series, k, data) {
      const stroke = () => colour(series);
      const count = data[k + 1].filter((v) => v != null).length;
      return {
        label: series.name,
        show: !this.hidden[k],
        stroke: series.dots ? undefined : stroke,
        width: series.width ?? 0,
        paths: series.dots ? () => null : undefined,
        points: series.dots
          ? { show: true, size: 5, stroke, fill: stroke, space: 0 }
          : { show: Boolean(series.points) && count <= 40, size: 5, stroke, fill: stroke },
      };
    }

    paint() {
      this.spec.series.forEach((series, k) => { this.values[k].key.style.background = colour(series); });
    }

    // The values under the cursor; without one, the last of each curve.
    read(u) {
      const shown = this.spec.percent ? percent : short;
      const points = this.spec.kind === "points";
      const inside = u.cursor.left >= 0 && u.cursor.idx != null;
      this.where.textContent = inside
        ? (this.along === "seconds" ? `${short(u.data[0][u.cursor.idx])} s` : `${this.spec.x} ${short(u.data[0][u.cursor.idx])}`)
        : "";
      this.values.forEach(({ value }, k) => {
        const ys = this.data[k + 1];
        let at = inside ? u.cursor.idxs?.[k + 1] : null;
        if (!inside && !points) for (at = ys.length - 1; at > 0 && ys[at] == null;) at--;
        value.textContent = at == null ? "" : shown(ys[at]);
      });
    }

    // The same curves, longer: what is zoomed stays so.
    update(spec) {
      const { min, max } = this.u.scales.x;
      const isZoomed = !this.all.hidden;
      this.spec = spec;
      const data = this.joined(this.log);
      this.data = this.log ? this.joined(false) : data;
      this.u.setData(data, !isZoomed);
      if (isZoomed) this.u.setScale("x", { min, max });
      this.read(this.u);
    }

    zoomed(u) {
      const xs = u.data[0];
      this.all.hidden = u.scales.x.min <= xs[0] && u.scales.x.max >= xs[xs.length - 1];
    }

    zoomOut() {
      const xs = this.u.data[0];
      this.u.setScale("x", { min: xs[0], max: xs[xs.length - 1] });
      this.plot.focus();
    }

    zoom(factor) {
      const { min, max } = this.u.scales.x;
      const xs = this.u.data[0];
      const middle = this.u.cursor.left >= 0 ? this.u.posToVal(this.u.cursor.left, "x") : (min + max) / 2;
      const low = Math.max(xs[0], middle - (middle - min) * factor);
      const high = Math.min(xs[xs.length - 1], middle + (max - middle) * factor);
      if (high > low) this.u.setScale("x", { min: low, max: high });
    }

    key(event) {
      const { u } = this;
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        const xs = u.data[0];
        const step = (event.key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 10 : 1);
        const from = u.cursor.left >= 0 && u.cursor.idx != null ? u.cursor.idx + step : step > 0 ? 0 : xs.length - 1;
        const at = Math.min(Math.max(from, 0), xs.length - 1);
        u.setCursor({ left: u.valToPos(xs[at], "x"), top: HEIGHT / 3 });
      } else if (event.key === "+" || event.key === "=") this.zoom(0.6);
      else if (event.key === "-") this.zoom(1 / 0.6);
      else if (event.key === "0" || event.key === "Escape") this.zoomOut();
      else return;
      event.preventDefault();
    }
  }

  let charts = [];
  const drawAll = (specs) => {
    charts.forEach((chart) => chart.u.destroy());
    charts = [...document.querySelectorAll("[data-chart]")].map(
      (place) => new Chart(place, specs[Number(place.dataset.chart)]),
    );
  };
  drawAll(pageData("charts"));
  // A page that grows while its run trains hands over new data, or new places.
  document.addEventListener("reportgrown", ({ detail }) => {
    if (detail.anew) drawAll(detail.charts);
    else charts.forEach((chart) => chart.update(detail.charts[Number(chart.place.dataset.chart)]));
  });
  document.addEventListener("themechange", () => charts.forEach((chart) => { chart.paint(); chart.u.redraw(false, true); }));

  const along = [...document.querySelectorAll("[data-along]")];
  along.forEach((button) => button.addEventListener("click", () => {
    along.forEach((each) => each.setAttribute("aria-pressed", each === button));
    charts.forEach((chart) => { chart.along = button.dataset.along; chart.draw(); });
  }));

  // Rows that can be swiped, on a narrow page, are reached by the keyboard too.
  const reach = () => document.querySelectorAll(".cards, .charts, .examples").forEach((row) => {
    if (row.scrollWidth > row.clientWidth) row.tabIndex = 0;
    else row.removeAttribute("tabindex");
  });
  reach();
  addEventListener("resize", reach);
  document.addEventListener("reportgrown", reach);

  // Lines to copy, and tables to sort -------------------------------------------------------------------------
  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    const line = button.parentElement.querySelector("code");
    getSelection().selectAllChildren(line);
    try {
      await navigator.clipboard.writeText(line.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected";  // where a page may not write: the keys copy it
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  document.addEventListener("click", (event) => {
    const head = event.target.closest("th[aria-sort]");
    if (!head || !event.target.closest("button")) return;
    const table = head.closest("table");
    const column = [...head.parentElement.children].indexOf(head);
    const isDown = head.getAttribute("aria-sort") === "ascending";
    head.parentElement.querySelectorAll("th[aria-sort]").forEach((each) => each.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
    const keyOf = (row) => {
      const cell = row.children[column];
      return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value === "" ? null : Number(cell.dataset.value);
    };
    const compare = (a, b) => {
      if (a === null || b === null) return (a === null) - (b === null);  // what is not there comes last
      const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
      return isDown ? -order : order;
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].map((row) => [keyOf(row), row]).sort((one, other) => compare(one[0], other[0])).map(([, row]) => row));
  });

  // The matrix and the examples that it chooses ------------------------------------------------------------
  const grid = document.querySelector(".confusion");
  const examples = [...document.querySelectorAll("#wrong .example")];
  const words = document.getElementById("example-words");
  const back = document.getElementById("all-examples");
  const more = document.getElementById("more-examples");
  const usual = words?.textContent;
  let count = Number(words?.dataset.shown ?? 0);

  const showMost = () => {
    examples.forEach((each, k) => { each.hidden = k >= count; });
    if (words) words.textContent = usual;
    if (back) back.hidden = true;
    if (more) more.hidden = count > 12;
    grid?.querySelectorAll(".chosen").forEach((cell) => cell.classList.remove("chosen"));
  };
  const choose = (cell) => {
    if (!cell.classList.contains("miss")) return;
    const fits = (each) => each.dataset.true === cell.dataset.true && each.dataset.given === cell.dataset.given;
    examples.forEach((each) => { each.hidden = !fits(each); });
    const kept = examples.filter(fits).length;
    grid.querySelectorAll(".chosen").forEach((other) => other.classList.remove("chosen"));
    cell.classList.add("chosen");
    words.textContent = `${cell.getAttribute("aria-label")}. ${kept ? `${kept} of them ${kept === 1 ? "is" : "are"} kept here.` : "None of them is kept here."}`;
    back.hidden = false;
    if (more) more.hidden = true;
    document.getElementById("examples").scrollIntoView({ block: "nearest" });
  };
  back?.addEventListener("click", showMost);
  more?.addEventListener("click", () => { count = 24; showMost(); });

  if (grid) {
    const readout = document.getElementById("confusion-words");
    const cellOf = (event) => event.target.closest("td[data-true]");
    const tell = (event) => { readout.textContent = cellOf(event)?.getAttribute("aria-label") ?? "\u00a0"; };
    grid.addEventListener("mouseover", tell);
    grid.addEventListener("focusin", tell);
    grid.addEventListener("click", (event) => { const cell = cellOf(event); if (cell) { move(cell); choose(cell); } });
    const move = (cell) => {
      grid.querySelectorAll('[tabindex="0"]').forEach((each) => { each.tabIndex = -1; });
      cell.tabIndex = 0;
      cell.focus({ preventScroll: true });
    };
    grid.addEventListener("keydown", (event) => {
      const cell = cellOf(event);
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!cell) return;
      if (step) {
        const next = grid.querySelector(`[data-true="${Number(cell.dataset.true) + step[0]}"][data-given="${Number(cell.dataset.given) + step[1]}"]`);
        if (next) { move(next); next.scrollIntoView({ block: "nearest", inline: "nearest" }); }
      } else if (event.key === "Enter" || event.key === " ") choose(cell);
      else return;
      event.preventDefault();
    });
  }
})();
