// The report of a training run: its curves, and the matrix that chooses examples.
(() => {
  const HEIGHT = 230;
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
    if (size < 1e-3 || size >= 1e6) return value.toExponential(1).replace("e+", "e");
    if (size >= 1e4) return Math.round(value).toLocaleString("en");
    return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 10 });
  };
  const percent = (value) => (value == null ? "" : `${Number((100 * value).toPrecision(4))} %`);

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
        stroke: () => css("--faint"), font: "12px system-ui, sans-serif", grid: { stroke: () => css("--track"), width: 1 },
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
          axis({ values: (u, all) => all.map((v) => (this.along === "seconds" ? `${short(v)} s` : short(v))), space: 70, size: 30 }),
          axis({ values: (u, all) => all.map((v) => (v == null ? null : shown(v))), size: 58, gap: 6 }),
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

    range(low, high) {
      if (low == null) return [0, 1];
      if (this.spec.percent) return [low < 0.5 * high ? 0 : Math.max(0, low - 0.1 * (high - low)), high <= 1 && high > 0.9 ? 1 : Math.max(high + 0.05 * (high - low), low + 0.01)];
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

  const specs = pageData("charts");
  const charts = [...document.querySelectorAll("[data-chart]")].map(
    (place) => new Chart(place, specs[Number(place.dataset.chart)]),
  );
  document.addEventListener("themechange", () => charts.forEach((chart) => { chart.paint(); chart.u.redraw(false, true); }));

  const along = [...document.querySelectorAll("[data-along]")];
  along.forEach((button) => button.addEventListener("click", () => {
    along.forEach((each) => each.setAttribute("aria-pressed", each === button));
    charts.forEach((chart) => { chart.along = button.dataset.along; chart.draw(); });
  }));

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
