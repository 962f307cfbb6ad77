// Curves to explore, drawn by uPlot. One line style never stands for two settings.
const DASHES = [[], [8, 4], [2, 3], [9, 3, 2, 3], [14, 4], [6, 2, 2, 2, 2, 2]], WIDTHS = [1.6, 3.2];
const MOST_STYLES = DASHES.length * WIDTHS.length, MOST_LINES = 30, HEIGHT = 340;
const dark = matchMedia("(prefers-color-scheme: dark)");

function html(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A colour that is seen on the page's background: dark ones are lighter in the dark.
function onPage(colour) {
  const parts = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  const light = (0.3 * parts[0] + 0.59 * parts[1] + 0.11 * parts[2]) / 255;
  const share = dark.matches ? Math.max(0, 0.62 - light) : Math.min(0, 0.62 - light);
  return `rgb(${parts.map((x) => Math.round(x + (share > 0 ? (255 - x) * share * 1.25 : x * share))).join()})`;
}

const faded = (colour, share) => colour.replace("rgb(", "rgba(").replace(")", `,${share})`);

// The data of a run's curves, as normlab.page.series.packed writes them.
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

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
    this.slider = html("input", { type: "range", min: 0, value: 0, "aria-label": `Epoch for the values of ${this.name}` });
    this.where = html("output");
    this.body = html("tbody");
    this.caption = html("caption");
    const head = ["curve (press to hide)", "median", "interval", "n"].map((word, i) =>
      html("th", i ? { scope: "col", class: "number" } : { scope: "col" }, word));
    const table = html("table", { class: "legend" }, this.caption, html("thead", {}, html("tr", {}, ...head)), this.body);
    this.controls();
    root.append(this.form, this.frame, this.buttons(), html("p", { class: "at" }, this.slider, this.where),
      html("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": `Values of ${this.name} at an epoch` }, table));
    this.slider.addEventListener("input", () => this.read());
    this.form.addEventListener("input", () => this.changed());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    restored.set(this.section.id, (state) => this.restore(state));
    const { id, state } = readAddress();
    if (id === this.section.id) this.restore(state); else this.draw();
    new ResizeObserver(() => { if (this.plot && this.frame.clientWidth !== this.plot.width) this.plot.setSize({ width: this.frame.clientWidth, height: HEIGHT }); }).observe(this.frame);
    dark.addEventListener("change", () => this.draw());
  }

  controls() {
    const box = (name, words) => html("label", {}, html("input", { type: "checkbox", name }), words);
    const metric = html("select", { name: "metric" }, ...this.data.metrics.map((one) => html("option", { value: one.id }, one.name)));
    if (this.data.metrics.some((one) => one.id === this.data.main)) metric.value = this.data.main;
    const seeds = html("select", { name: "seeds" }, html("option", { value: "band" }, "median and interval"), html("option", { value: "single" }, "singly"));
    const smooth = html("input", { type: "range", name: "smooth", min: 0, max: 0.95, step: 0.05, value: 0 });
    this.form.append(html("fieldset", {}, html("legend", {}, "view"), html("label", {}, "metric ", metric), html("label", {}, "seeds ", seeds),
      html("label", {}, "smoothing ", smooth), box("logx", "logarithmic epochs"), box("logy", "logarithmic values")));
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
    this.start = this.state().toString();
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
    found.append(html("span", { class: "what" }, "Drag to zoom, Shift and drag to pan, double-click for all."));
    return found;
  }

  // The state of the form, without what the page starts with.
  state() {
    const state = new URLSearchParams();
    for (const [name, value] of new FormData(this.form)) state.append(name, value);
    for (const name of this.hidden) state.append("hide", name);
    return state;
  }

  changed() {
    const state = this.state();
    writeAddress(this.section.id, state.toString() === this.start ? new URLSearchParams() : state);
    this.draw();
  }

  restore(state) {
    const from = state.size ? state : new URLSearchParams(this.start);
    for (const input of this.form.elements) {
      if (!input.name) continue;
      if (input.type === "checkbox") input.checked = from.getAll(input.name).includes(input.value);
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
    this.plot?.destroy();
    this.plot = null;
    this.frame.replaceChildren();
    this.body.replaceChildren();
    this.slider.disabled = !this.lines.length;
    if (!this.lines.length) {
      this.frame.textContent = "Nothing is selected. Select a value in every filter.";
      this.caption.textContent = this.where.textContent = "";
      return;
    }
    const left = every.length - this.lines.length;
    const fixed = this.data.axes.slice(1, -1).filter((axis, i) => this.chosen[i + 1].size === 1)
      .map((axis) => `, ${axis.name} ${axis.values[[...this.chosen[this.data.axes.indexOf(axis)]][0]]}`).join("");
    this.caption.replaceChildren(html("span", {}, `${this.metric.name}${fixed}.${left ? ` ${this.lines.length} of ${every.length} curves are shown, so that no style repeats.` : ""}`));
    this.frame.setAttribute("aria-label", `${this.metric.name} by epoch: ${this.lines.map((line) => line.name).join("; ")}. The table below has the values.`);
    this.plot = this.chart(form);
    this.xs = this.plot.data[0];
    this.slider.max = this.xs.length - 1;
    this.slider.value = this.xs.length - 1;
    this.readings = this.lines.map((line) => this.row(line));
    this.read();
    stops();
  }

  chart(form) {
    const logy = form.get("logy"), logx = form.get("logx"), weight = Number(form.get("smooth"));
    const style = getComputedStyle(this.root), ink = style.getPropertyValue("--muted"), faint = style.getPropertyValue("--line");
    const tables = [], series = [{}], bands = [];
    const add = (line, values, look) => {
      series.push({ label: line.name, scale: "y", spanGaps: true, points: { show: false }, show: !this.hidden.has(line.name), ...look });
      return values.map((v) => (v === null || (logy && v <= 0) ? null : v));
    };
    for (const line of this.lines) {
      const colour = onPage(line.colour), dash = DASHES[line.style % DASHES.length], width = WIDTHS[Math.floor(line.style / DASHES.length)];
      const own = [line.xs.map((x) => (logx && x <= 0 ? null : x))];
      const curve = (values, look) => {
        if (weight) own.push(add(line, values, { stroke: faded(colour, 0.3), width: 1 }));
        own.push(add(line, weight ? smoothed(values, weight) : values, { stroke: colour, dash, width, ...look }));
      };
      if (form.get("seeds") === "single") for (const values of line.values) curve(values, { width: width * 0.7 });
      else {
        const field = (name) => line.points.map((point) => point && point[name]);
        bands.push({ series: [series.length + 1, series.length], fill: faded(colour, 0.16) });
        own.push(add(line, field("low"), { width: 0 }), add(line, field("high"), { width: 0 }));
        curve(field("median"));
      }
      const kept = own[0].map((x, i) => [x, i]).filter(([x]) => x !== null);
      tables.push(own.map((column) => kept.map(([, i]) => column[i])));
    }
    const axis = { stroke: ink, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint }, font: "12px system-ui", labelFont: "12px system-ui" };
    const values = (u, splits) => splits.map((v) => (v === null ? "" : short(v)));
    return new uPlot({
      width: this.frame.clientWidth, height: HEIGHT, legend: { show: false }, series, bands,
      scales: { x: { time: false, distr: logx ? 3 : 1 }, y: { distr: logy ? 3 : 1, ...(logy || !this.metric.loss ? {} : { range: (u, low, high) => this.range(low, high) }) } },
      axes: [{ ...axis, label: "epoch", labelSize: 20, values }, { ...axis, label: this.metric.name, labelSize: 20, size: 62, values }],
      cursor: { y: false, drag: { x: true, y: true, uni: 30 }, points: { show: false },
        bind: { mousedown: (u, target, handler) => (event) => (event.shiftKey ? this.drag(event) : handler(event)) } },
      hooks: { setCursor: [(u) => { if (this.readings && u.cursor.idx !== null && u.cursor.event) { this.slider.value = u.cursor.idx; this.read(false); } }] },
    }, uPlot.join(tables), this.frame);
  }

  // Curves that diverge must not flatten the others.
  range(low, high) {
    const firsts = this.lines.map((line) => line.points.find(Boolean)?.median ?? 0).sort((a, b) => a - b);
    const top = Math.min(high, 2 * firsts[firsts.length >> 1] || high);
    return [Math.min(0, low), top > low ? top * 1.03 : low + 1];
  }

  row(line) {
    const colour = onPage(line.colour), cells = [0, 1, 2].map(() => html("td", { class: "number" }));
    const canvas = html("canvas", { width: 72, height: 20, class: "swatch", "aria-hidden": "true" }), pen = canvas.getContext("2d");
    Object.assign(pen, { strokeStyle: colour, lineWidth: 2 * WIDTHS[Math.floor(line.style / DASHES.length)] });
    pen.setLineDash(DASHES[line.style % DASHES.length].map((x) => 2 * x));
    pen.moveTo(0, 10); pen.lineTo(72, 10); pen.stroke();
    const button = html("button", { type: "button", "aria-pressed": String(!this.hidden.has(line.name)) }, canvas, line.name);
    button.addEventListener("click", () => {
      if (!this.hidden.delete(line.name)) this.hidden.add(line.name);
      button.setAttribute("aria-pressed", String(!this.hidden.has(line.name)));
      this.plot.series.forEach((one, i) => { if (i && one.label === line.name) this.plot.setSeries(i, { show: !this.hidden.has(line.name) }); });
      writeAddress(this.section.id, this.state());
    });
    this.body.append(html("tr", {}, html("th", { scope: "row" }, button), ...cells));
    return cells;
  }

  read(move = true) {
    const at = this.xs[this.slider.value];
    this.lines.forEach((line, i) => {
      let best = 0;
      line.xs.forEach((x, k) => { if (Math.abs(x - at) < Math.abs(line.xs[best] - at)) best = k; });
      const point = line.points[best], [median, interval, n] = this.readings[i];
      const text = point && rounded(point);
      median.textContent = point ? text(point.median) : "diverged";
      interval.textContent = point && point.n > 1 ? `[${text(point.low)}, ${text(point.high)}]` : "–";
      n.textContent = point ? point.n : 0;
    });
    this.where.textContent = `epoch ${short(at)}`;
    this.slider.setAttribute("aria-valuetext", `epoch ${short(at)}`);
    if (move) this.plot.setCursor({ left: this.plot.valToPos(at, "x"), top: 0 });
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
    const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
    const rows = this.lines.filter((line) => !this.hidden.has(line.name)).flatMap((line) => line.xs.map((x, i) => {
      const point = line.points[i];
      return [quoted(line.name), x, ...(point ? [point.median, point.low, point.high, point.n] : ["", "", "", 0])].join();
    }));
    this.save(new Blob([`curve,epoch,median,low,high,n\n${rows.join("\n")}\n`], { type: "text/csv" }), "csv");
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
