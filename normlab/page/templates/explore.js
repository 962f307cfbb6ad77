// Curves to explore, drawn by uPlot.
const touched = matchMedia("(hover: none)");

class Explorer {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.section = root.closest(".run");
    this.name = this.section.querySelector("h2, summary b").textContent;
    this.hidden = new Set();
    this.chosen = this.data.axes.map((axis) => new Set(axis.first));
    this.form = html("form", { class: "choose" });
    this.frame = html("div", { class: "plot", role: "img" });
    this.named = html("p", { class: "what named" });
    this.pinned = null; // a seed that was pressed
    this.slider = html("input", { type: "range", min: 0, value: 0, "aria-label": `Epoch for the values of ${this.name}` });
    this.where = html("output");
    this.body = html("tbody");
    this.caption = html("caption");
    this.head = html("tr");
    const table = html("table", { class: "legend" }, this.caption, html("thead", {}, this.head), this.body);
    this.controls();
    root.append(this.form, this.frame, this.named, html("p", { class: "at" }, this.slider, this.where),
      html("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": `Values of ${this.name} at an epoch` }, table), this.buttons());
    this.slider.addEventListener("input", () => this.read());
    this.form.addEventListener("input", (event) => this.changed(event));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    restored.set(this.section.id, (state) => this.restore(state));
    const { id, state } = readAddress();
    if (id === this.section.id) this.restore(state); else this.draw();
    new ResizeObserver(() => { if (this.plot && this.frame.clientWidth !== this.plot.width) this.plot.setSize({ width: this.frame.clientWidth, height: height() }); }).observe(this.frame);
    dark.addEventListener("change", () => this.draw());
  }

  controls() {
    const box = (name, words) => html("label", {}, html("input", { type: "checkbox", name }), words);
    const metric = html("select", { name: "metric" }, ...this.data.metrics.map((one) => html("option", { value: one.id }, one.name)));
    if (this.data.metrics.some((one) => one.id === this.data.main)) metric.value = this.data.main;
    const seeds = html("select", { name: "seeds" }, html("option", { value: "band" }, "median and interval"), html("option", { value: "single" }, "singly"));
    this.smooth = html("input", { type: "range", name: "smooth", min: 0, max: 0, value: 0 });
    this.amount = html("span", { class: "what" });
    this.form.append(html("fieldset", {}, html("legend", {}, "view"), html("label", {}, "metric ", metric), html("label", {}, "seeds ", seeds),
      html("label", {}, "smoothing ", this.smooth, this.amount), box("logx", "logarithmic epochs"), box("logy", "logarithmic values")));
    this.data.axes.forEach((axis, place) => {
      if (axis.values.length < 2 || place === 0) return;
      const set = html("fieldset", { "data-axis": axis.id }, html("legend", {}, axis.name));
      axis.values.forEach((value, i) => {
        const input = html("input", { type: "checkbox", name: axis.id, value: i });
        input.checked = axis.first.includes(i);
        set.append(html("label", {}, input, value));
      });
      this.form.append(set);
    });
    this.suggest();
    this.start = this.state().toString();
  }

  // Whether values are logarithmic at first.
  suggest() {
    this.metric = this.data.metrics.find((one) => one.id === this.form.elements.metric.value);
    this.form.elements.logy.checked = this.metric.loss && isWide(linesOf(this.data, this.metric.id, this.chosen));
  }

  buttons() {
    const all = { "Zoom in": () => this.zoom(0.5), "Zoom out": () => this.zoom(2), "Left": () => this.pan(-0.25), "Right": () => this.pan(0.25),
      "All": () => this.draw(), "Save PNG": () => this.png(), "Save CSV": () => this.csv() };
    const found = html("p", { class: "buttons" });
    for (const [name, act] of Object.entries(all)) {
      const button = html("button", { type: "button" }, name);
      button.addEventListener("click", act);
      found.append(button);
    }
    if (!touched.matches) found.append(html("span", { class: "what" }, "Drag to zoom, Shift and drag to pan, double-click for all."));
    return found;
  }

  // The state of the form, without what the page starts with.
  state() {
    const state = new URLSearchParams();
    for (const [name, value] of new FormData(this.form)) if (name !== "smooth" || value !== "0") state.append(name, value);
    for (const name of this.hidden) state.append("hide", name);
    return state;
  }

  changed(event) {
    if (event.target.name === "metric") this.suggest();
    const state = this.state();
    writeAddress(this.section.id, state.toString() === this.start ? new URLSearchParams() : state);
    this.draw();
  }

  restore(state) {
    const from = state.size ? state : new URLSearchParams(this.start);
    this.smooth.max = 99; // until the curves are known
    for (const input of this.form.elements) {
      if (!input.name) continue;
      if (input.type === "checkbox") input.checked = from.getAll(input.name).includes(input.value);
      else if (input === this.smooth) input.value = from.get("smooth") ?? 0;
      else if (from.has(input.name)) input.value = from.get(input.name);
    }
    this.hidden = new Set(from.getAll("hide"));
    this.draw();
    if (from.has("xmin")) this.plot?.setScale("x", { min: Number(from.get("xmin")), max: Number(from.get("xmax")) });
  }

  draw() {
    const form = new FormData(this.form);
    this.data.axes.forEach((axis, i) => {
      if (i && axis.values.length > 1) this.chosen[i] = new Set(form.getAll(axis.id).map(Number));
    });
    this.metric = this.data.metrics.find((one) => one.id === form.get("metric"));
    const every = linesOf(this.data, this.metric.id, this.chosen);
    this.lines = every.filter((line) => line.style < MOST_STYLES).slice(0, MOST_LINES);
    this.singly = form.get("seeds") === "single";
    const most = mostReach(Math.max(0, ...this.lines.map((line) => line.xs.length)));
    this.smooth.max = most;
    this.smooth.disabled = !most;
    this.reach = Number(this.smooth.value);
    this.amount.textContent = this.reach ? `median of ${2 * this.reach + 1} points` : most ? "off" : "too few points";
    this.smooth.setAttribute("aria-valuetext", this.amount.textContent);
    this.plot?.destroy();
    this.plot = null;
    this.heads();
    this.frame.replaceChildren();
    this.body.replaceChildren();
    this.slider.disabled = !this.lines.length;
    if (!this.lines.length) {
      this.frame.textContent = "Nothing is selected. Select a value in every filter.";
      this.caption.textContent = this.where.textContent = this.named.textContent = "";
      return;
    }
    const left = every.length - this.lines.length;
    const fixed = this.data.axes.slice(1, -1).filter((axis, i) => this.chosen[i + 1].size === 1)
      .map((axis) => `, ${axis.name} ${axis.values[[...this.chosen[this.data.axes.indexOf(axis)]][0]]}`).join("");
    this.caption.replaceChildren(html("span", {}, `${this.metric.name}${fixed}.${left ? ` ${this.lines.length} of ${every.length} curves are shown, so that no style repeats.` : ""}${this.reach ? " These values are not smoothed." : ""}`));
    this.frame.setAttribute("aria-label", `${this.metric.name} by epoch: ${this.lines.map((line) => line.name).join("; ")}. The table below has the values.`);
    this.plot = chart(this, form);
    this.xs = this.plot.data[0];
    this.slider.max = this.xs.length - 1;
    this.slider.value = this.xs.length - 1;
    this.readings = this.lines.map((line) => this.row(line));
    this.read();
    this.emphasis = "";
    this.emphasize();
    stops();
  }

  // Reads the values under the pointer, and names the curves next to it: of some that coincide, each.
  pointed(plot) {
    const { left, top, idx, event } = plot.cursor;
    if (!this.readings || !event || this.moving) return;
    if (idx !== null) {
      this.slider.value = idx;
      this.read(false);
    }
    const heights = this.drawn.map((one, i) => (left >= 0 && one.named && plot.series[i + 1].show ? heightAt(plot, plot.data[i + 1], left) : null));
    const nearest = heights.filter((one) => one !== null).sort((a, b) => Math.abs(a - top) - Math.abs(b - top))[0];
    const near = this.drawn.filter((_, i) => heights[i] !== null && Math.abs(heights[i] - nearest) < 1.5);
    if (!near.length || Math.abs(nearest - top) > 25) return this.emphasize();
    const names = near.map((one) => one.line.name + (this.singly ? `, seed ${one.seed}` : ""));
    const more = names.length > 4 ? `; ${names.length - 4} more` : "";
    this.emphasize({ name: names.slice(0, 4).join("; ") + more, has: (one) => near.some((own) => own.line === one.line && own.seed === one.seed) });
  }

  // Pales all curves but those under the pointer or the focus, or else of the seed that was pressed.
  emphasize(over = null) {
    const meant = over ?? this.pinned, name = meant?.name ?? "";
    const point = touched.matches ? "Tap" : "Point at";
    this.named.textContent = name || (this.singly ? `Seeds of one setting share a style. ${point} a curve to see its name, or press a seed in the table.`
      : `${point} a curve to see its name.`);
    if (name === this.emphasis) return;
    this.emphasis = name;
    this.drawn.forEach((one, i) => { this.plot.series[i + 1].alpha = !meant || meant.has(one) ? 1 : 0.15; });
    queueMicrotask(() => this.plot?.redraw(false)); // uPlot forgets what is asked while it draws
  }

  // Makes a part of the table point at curves.
  points(element, meant) {
    for (const [on, off] of [["mouseenter", "mouseleave"], ["focusin", "focusout"]]) {
      element.addEventListener(on, () => this.emphasize(this.hidden.has(meant.name) ? null : meant));
      element.addEventListener(off, () => this.emphasize());
    }
  }

  // The head of the table: what is read of each curve, or its seeds.
  heads() {
    const axis = this.data.axes.at(-1);
    this.seeds = this.singly ? [...this.chosen.at(-1)].map((i) => axis.values[i]) : [];
    if (!this.seeds.includes(this.pinned?.seed)) this.pinned = null;
    const pressed = (seed) => String(seed === this.pinned?.seed);
    const buttons = this.seeds.map((seed) => html("button", { type: "button", "aria-pressed": pressed(seed) }, `seed ${seed}`));
    buttons.forEach((button, i) => {
      const seed = this.seeds[i], meant = { name: `seed ${seed}`, seed, has: (one) => one.seed === seed };
      this.points(button, meant);
      button.addEventListener("click", () => {
        this.pinned = this.pinned?.seed === seed ? null : meant;
        buttons.forEach((one, k) => one.setAttribute("aria-pressed", pressed(this.seeds[k])));
        this.emphasize();
      });
    });
    this.head.replaceChildren(html("th", { scope: "col" }, "curve (press to hide)"),
      ...(this.singly ? buttons : ["median", "interval", "n"]).map((word) => html("th", { scope: "col", class: "number" }, word)));
  }

  row(line) {
    const colour = onPage(line.colour), cells = [...this.head.cells].slice(1).map(() => html("td", { class: "number" }));
    const canvas = html("canvas", { width: 72, height: 20, class: "swatch", "aria-hidden": "true" }), pen = canvas.getContext("2d");
    Object.assign(pen, { strokeStyle: colour, lineWidth: 2 * WIDTHS[Math.floor(line.style / DASHES.length)] });
    pen.setLineDash(DASHES[line.style % DASHES.length].map((x) => 2 * x));
    pen.moveTo(0, 10); pen.lineTo(72, 10); pen.stroke();
    const button = html("button", { type: "button", "aria-pressed": String(!this.hidden.has(line.name)) }, canvas, line.name);
    const meant = { name: line.name, has: (one) => one.line === line };
    button.addEventListener("click", () => {
      if (!this.hidden.delete(line.name)) this.hidden.add(line.name);
      button.setAttribute("aria-pressed", String(!this.hidden.has(line.name)));
      this.plot.series.forEach((one, i) => { if (i && one.label === line.name) this.plot.setSeries(i, { show: !this.hidden.has(line.name) }); });
      this.emphasize(this.hidden.has(line.name) ? null : meant);
      writeAddress(this.section.id, this.state());
    });
    const row = html("tr", {}, html("th", { scope: "row" }, button), ...cells);
    this.points(row, meant);
    this.body.append(row);
    return cells;
  }

  read(move = true) {
    const at = this.xs[this.slider.value];
    this.lines.forEach((line, i) => {
      let best = 0;
      line.xs.forEach((x, k) => { if (Math.abs(x - at) < Math.abs(line.xs[best] - at)) best = k; });
      if (this.singly) {
        const told = (value) => (value === undefined ? "–" : value === null ? "diverged" : brief(value));
        this.seeds.forEach((seed, k) => { this.readings[i][k].textContent = told(line.values[line.seeds.indexOf(seed)]?.[best]); });
        return;
      }
      const point = line.points[best], [median, interval, n] = this.readings[i];
      const text = point && rounded(point);
      median.textContent = point ? text(point.median) : "diverged";
      interval.textContent = point && point.n > 1 ? `[${text(point.low)}, ${text(point.high)}]` : "–";
      n.textContent = point ? point.n : 0;
    });
    this.where.textContent = `epoch ${short(at)}`;
    this.slider.setAttribute("aria-valuetext", `epoch ${short(at)}`);
    if (!move) return;
    this.moving = true; // no pointer is at the curves
    this.plot.setCursor({ left: this.plot.valToPos(at, "x"), top: 0 });
    this.moving = false;
  }

  shift(change) {
    const { min, max } = this.plot.scales.x, log = this.plot.scales.x.distr === 3;
    const ends = log ? [Math.log(min), Math.log(max)] : [min, max];
    const [from, to] = change(...ends).map((x) => (log ? Math.exp(x) : x));
    this.plot.setScale("x", { min: from, max: to });
    const state = this.state();
    state.set("xmin", short(from));
    state.set("xmax", short(to));
    writeAddress(this.section.id, state);
  }

  zoom(by) {
    this.shift((a, b) => [(a + b) / 2 - (by * (b - a)) / 2, (a + b) / 2 + (by * (b - a)) / 2]);
  }

  pan(by) {
    this.shift((a, b) => [a + by * (b - a), b + by * (b - a)]);
  }

  drag(event) {
    let last = event.clientX;
    const width = this.plot.over.clientWidth;
    const move = (next) => { this.pan((last - next.clientX) / width); last = next.clientX; };
    addEventListener("mousemove", move);
    addEventListener("mouseup", () => removeEventListener("mousemove", move), { once: true });
  }

  png() {
    const from = this.plot.ctx.canvas, ratio = from.width / this.plot.width, row = 18 * ratio;
    const shown = this.lines.filter((line) => !this.hidden.has(line.name));
    const canvas = html("canvas", { width: from.width, height: Math.ceil(from.height + row * (shown.length + 1)) }), pen = canvas.getContext("2d");
    const style = getComputedStyle(this.root);
    pen.fillStyle = style.getPropertyValue("--paper");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(from, 0, 0);
    pen.font = `${13 * ratio}px system-ui`;
    shown.forEach((line, i) => {
      const y = from.height + row * (i + 0.7);
      Object.assign(pen, { strokeStyle: onPage(line.colour), lineWidth: ratio * WIDTHS[Math.floor(line.style / DASHES.length)], fillStyle: style.getPropertyValue("--ink") });
      pen.setLineDash(DASHES[line.style % DASHES.length].map((x) => x * ratio));
      pen.beginPath(); pen.moveTo(20 * ratio, y); pen.lineTo(56 * ratio, y); pen.stroke();
      pen.fillText(line.name, 64 * ratio, y + 4 * ratio);
    });
    canvas.toBlob((blob) => this.save(blob, "png"));
  }

  csv() {
    const text = csvOf(this.lines.filter((line) => !this.hidden.has(line.name)), this.singly);
    this.save(new Blob([text], { type: "text/csv" }), "csv");
  }

  save(blob, kind) {
    const link = html("a", { href: URL.createObjectURL(blob), download: `${this.name}_${this.metric.id}.${kind}` });
    link.click();
    URL.revokeObjectURL(link.href);
  }
}

// Curves are drawn when they come into view.
const watching = new IntersectionObserver((found) => {
  for (const { isIntersecting, target } of found) {
    if (!isIntersecting) continue;
    watching.unobserve(target);
    unpacked(target.querySelector("script").textContent).then((data) => new Explorer(target, data));
  }
}, { rootMargin: "300px" });
for (const root of document.querySelectorAll(".explore")) {
  root.hidden = false;
  watching.observe(root);
}
