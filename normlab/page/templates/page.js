"use strict";

// Line patterns distinguish lines that colour alone does not.
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
const EDGES = { left: 62, right: 14, top: 12, bottom: 42 };
const MOST_LINES = 24, MOST_TOLD = 8;

function html(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// The median and its interval from order statistics, as in normlab.statistics.intervals.
function medianInterval(values) {
  const x = values.filter((v) => v !== null).sort((a, b) => a - b);
  const n = x.length;
  if (n === 0) return null;
  const middle = (x[(n - 1) >> 1] + x[n >> 1]) / 2;
  let tail = 0.5 ** n, choose = 1, k = 1;
  while (2 * (k + 1) <= n) {
    choose *= (n - k + 1) / k;
    tail += choose * 0.5 ** n;
    if (1 - 2 * tail < 0.95) break;
    k += 1;
  }
  return { median: middle, low: x[k - 1], high: x[n - k], n };
}

function short(value) {
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

function ticks(low, high, log) {
  if (log) {
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
    if (last - first >= 2) {
      const every = Math.ceil((last - first) / 7);
      return range(first, last, every).map((power) => 10 ** power);
    }
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= last; power += 1)
      for (const by of [1, 2, 5]) found.push(by * 10 ** power);
    return found.filter((value) => value >= low && value <= high);
  }
  const rough = (high - low) / 5, unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((by) => by * unit).find((by) => by >= rough);
  return range(Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9), 1)
    .map((count) => Number((count * step).toPrecision(12)));
}

function range(first, last, step) {
  const found = [];
  for (let value = first; value <= last; value += step) found.push(value);
  return found;
}

function swatch(line) {
  return svg("svg", { class: "swatch", viewBox: "0 0 36 12", "aria-hidden": "true" },
    svg("line", { x1: 0, x2: 36, y1: 6, y2: 6, stroke: line.colour, "stroke-width": 3, "stroke-dasharray": line.dash }));
}

class Explorer {
  constructor(root) {
    this.root = root;
    this.data = JSON.parse(root.querySelector("script").textContent);
    this.name = root.closest("section").querySelector("h2").textContent;
    this.chosen = this.data.axes.map((axis) => new Set(axis.first));
    this.controls();
    this.plot = svg("svg", { role: "img" });
    this.tip = html("div", { class: "tip", "aria-hidden": "true" });
    this.tip.hidden = true;
    const frame = html("div", { class: "plot" }, this.plot, this.tip);
    this.slider = html("input", { type: "range", min: 0, value: 0, "aria-label": `Epoch for the table of values of ${this.name}` });
    this.where = html("output");
    this.body = html("tbody");
    this.caption = html("caption");
    const head = ["curve", "median", "interval", "n"].map((word, i) =>
      html("th", i ? { scope: "col", class: "number" } : { scope: "col" }, word));
    const table = html("table", {}, this.caption, html("thead", {}, html("tr", {}, ...head)), this.body);
    root.append(frame, html("p", { class: "at" }, this.slider, this.where),
      html("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": `Values of ${this.name} at an epoch` }, table));
    this.slider.addEventListener("input", () => this.read());
    for (const kind of ["pointermove", "pointerdown"])
      this.plot.addEventListener(kind, (event) => this.hover(event));
    this.plot.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    root.hidden = false;
    // Drawn at its actual width, so that its text is as large as the page's.
    new ResizeObserver(() => {
      if (frame.clientWidth !== this.width) this.draw();
    }).observe(frame);
    this.frame = frame;
    this.draw();
  }

  controls() {
    const box = html("div", { class: "choose" });
    this.metric = html("select", {});
    for (const metric of this.data.metrics)
      this.metric.append(html("option", { value: metric.id }, metric.name));
    if (this.data.metrics.some((metric) => metric.id === this.data.main)) this.metric.value = this.data.main;
    this.log = html("input", { type: "checkbox" });
    const redraw = () => this.draw();
    this.metric.addEventListener("change", redraw);
    this.log.addEventListener("change", redraw);
    box.append(html("fieldset", {}, html("legend", {}, "metric"),
      html("label", {}, html("span", { class: "sr" }, "metric"), this.metric),
      html("label", {}, this.log, "logarithmic axis")));
    this.data.axes.forEach((axis, place) => {
      if (axis.values.length < 2) return;
      const set = html("fieldset", { "data-axis": axis.id }, html("legend", {}, axis.name));
      axis.values.forEach((value, i) => {
        const input = html("input", { type: "checkbox" });
        input.checked = this.chosen[place].has(i);
        input.addEventListener("change", () => {
          if (input.checked) this.chosen[place].add(i); else this.chosen[place].delete(i);
          this.draw();
        });
        set.append(html("label", {}, input, value));
      });
      box.append(set);
    });
    this.root.append(box);
  }

  // One line for every combination of values on the axes, except on the seed's axis (the last).
  lines(metric) {
    const seeds = this.data.axes.length - 1, groups = new Map();
    for (const member of this.data.members) {
      if (!member.data[metric] || member.at.some((value, i) => !this.chosen[i].has(value))) continue;
      const key = member.at.slice(0, seeds).join();
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(member);
    }
    const rest = new Map();
    return [...groups].map(([key, members]) => {
      const at = members[0].at.slice(0, seeds), other = key.split(",").slice(1).join();
      if (!rest.has(other)) rest.set(other, rest.size);
      const words = at.map((value, i) => {
        const axis = this.data.axes[i];
        return i === 0 ? axis.values[value] : this.chosen[i].size > 1 ? `${axis.name} ${axis.values[value]}` : "";
      });
      const at_x = new Map();
      for (const member of members) {
        const [grid, values] = member.data[metric];
        this.data.grids[grid].forEach((x, i) => {
          if (!at_x.has(x)) at_x.set(x, []);
          at_x.get(x).push(values[i]);
        });
      }
      const points = [...at_x].sort((a, b) => a[0] - b[0])
        .map(([x, values]) => ({ x, ...medianInterval(values) })).filter((point) => point.n);
      return { name: words.filter(Boolean).join(", "), points, colour: this.data.colours[at[0]], dash: DASHES[rest.get(other) % DASHES.length] };
    }).filter((line) => line.points.length);
  }

  draw() {
    this.width = this.frame.clientWidth;
    this.height = Math.min(Math.max(this.width * 0.45, 240), 400);
    this.plot.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const metric = this.data.metrics.find((one) => one.id === this.metric.value);
    const all = this.lines(metric.id);
    this.shown = all.slice(0, MOST_LINES);
    this.log.disabled = !metric.loss;
    const log = metric.loss && this.log.checked;
    this.plot.replaceChildren();
    this.body.replaceChildren();
    this.readings = [];
    const note = all.length > MOST_LINES ? ` ${MOST_LINES} of ${all.length} curves are shown.` : "";
    if (!this.shown.length) {
      this.plot.setAttribute("aria-label", `${metric.name}: nothing is selected`);
      this.plot.append(svg("text", { x: this.width / 2, y: this.height / 2, "text-anchor": "middle" }, "Nothing is selected. Select a value in every filter."));
      this.slider.disabled = true;
      this.where.textContent = "";
      this.caption.textContent = "Nothing is selected.";
      return;
    }
    this.scales(metric, log);
    this.axes(metric, log);
    for (const line of this.shown) this.line(line);
    this.cross = svg("g", { "aria-hidden": "true" });
    this.plot.append(this.cross);
    this.plot.setAttribute("aria-label", `${metric.name} by epoch: ${this.shown.map((line) => line.name).join("; ")}. The slider below reads the values.`);
    this.xs = [...new Set(this.shown.flatMap((line) => line.points.map((point) => point.x)))].sort((a, b) => a - b);
    const old = this.slider.max > 0 ? this.slider.value / this.slider.max : 1;
    this.slider.disabled = false;
    this.slider.max = this.xs.length - 1;
    this.slider.value = Math.round(old * (this.xs.length - 1));
    const fixed = this.data.axes.slice(1, -1).filter((axis, i) => this.chosen[i + 1].size === 1)
      .map((axis) => `, ${axis.name} ${axis.values[[...this.chosen[this.data.axes.indexOf(axis)]][0]]}`).join("");
    this.caption.replaceChildren(html("span", {}, `${metric.name}${fixed}: median over the selected seeds, with its interval.${note}`));
    for (const line of this.shown) this.row(line);
    this.read();
  }

  scales(metric, log) {
    const points = this.shown.flatMap((line) => line.points);
    const xs = points.map((point) => point.x);
    this.left = Math.min(...xs, 0);
    this.right = Math.max(...xs) || 1;
    let values = points.flatMap((point) => [point.low, point.median, point.high]);
    if (log) values = values.filter((value) => value > 0);
    let low = Math.min(...values), high = Math.max(...values);
    if (metric.loss && !log) {
      // Diverging curves must not flatten the others.
      const firsts = this.shown.map((line) => line.points[0].median).sort((a, b) => a - b);
      high = Math.min(high, 2 * firsts[firsts.length >> 1] || high);
      low = Math.min(0, low);
    }
    if (!(high > low)) [low, high] = log ? [low / 2 || 0.1, high * 2 || 1] : [low - 0.5, low + 0.5];
    const room = log ? 1.08 : 0.03 * (high - low);
    this.low = log ? low / room : low === 0 ? 0 : low - room;
    this.high = log ? high * room : high + room;
    const inner = this.height - EDGES.top - EDGES.bottom, across = this.width - EDGES.left - EDGES.right;
    const share = (value) => log
      ? Math.log(Math.max(value, this.low) / this.low) / Math.log(this.high / this.low)
      : (value - this.low) / (this.high - this.low);
    this.x = (value) => EDGES.left + across * (value - this.left) / (this.right - this.left);
    this.y = (value) => EDGES.top + inner * (1 - Math.min(Math.max(share(value), -0.02), 1.02));
  }

  axes(metric, log) {
    const bottom = this.height - EDGES.bottom, group = svg("g", { "aria-hidden": "true" });
    for (const value of ticks(this.low, this.high, log)) {
      const y = this.y(value);
      group.append(svg("line", { class: "grid", x1: EDGES.left, x2: this.width - EDGES.right, y1: y, y2: y }),
        svg("text", { x: EDGES.left - 8, y: y + 4, "text-anchor": "end" }, short(value)));
    }
    for (const value of ticks(this.left, this.right, false)) {
      const x = this.x(value);
      group.append(svg("line", { class: "axis", x1: x, x2: x, y1: bottom, y2: bottom + 5 }),
        svg("text", { x, y: bottom + 19, "text-anchor": "middle" }, short(value)));
    }
    const middle = (EDGES.top + bottom) / 2;
    group.append(svg("line", { class: "axis", x1: EDGES.left, x2: this.width - EDGES.right, y1: bottom, y2: bottom }),
      svg("text", { x: (EDGES.left + this.width) / 2, y: this.height - 6, "text-anchor": "middle" }, "epoch"),
      svg("text", { x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, metric.name));
    this.plot.append(group);
  }

  line(line) {
    const place = (key) => (point) => `${this.x(point.x).toFixed(1)},${this.y(point[key]).toFixed(1)}`;
    const up = line.points.map(place("high")), down = line.points.map(place("low")).reverse();
    this.plot.append(
      svg("path", { class: "band", d: `M${[...up, ...down].join("L")}Z`, fill: line.colour, "fill-opacity": 0.15 }),
      svg("path", { class: "curve", d: `M${line.points.map(place("median")).join("L")}`, fill: "none", stroke: line.colour, "stroke-width": 1.8, "stroke-dasharray": line.dash, "stroke-linejoin": "round" }));
  }

  row(line) {
    const cells = [0, 1, 2].map(() => html("td", { class: "number" }));
    this.body.append(html("tr", {}, html("th", { scope: "row" }, swatch(line), line.name), ...cells));
    this.readings.push(cells);
  }

  hover(event) {
    if (!this.shown.length) return;
    const box = this.plot.getBoundingClientRect();
    const x = (event.clientX - box.left) * this.width / box.width;
    this.slider.value = nearest(this.xs, (value) => Math.abs(this.x(value) - x));
    this.read();
    this.tip.hidden = false;
    this.tip.style.left = x < box.width / 2 ? `${this.x(this.xs[this.slider.value]) + 12}px` : "";
    this.tip.style.right = x < box.width / 2 ? "" : `${box.width - this.x(this.xs[this.slider.value]) + 12}px`;
  }

  read() {
    const at = this.xs[this.slider.value], x = this.x(at);
    this.cross.replaceChildren(svg("line", { class: "cross", x1: x, x2: x, y1: EDGES.top, y2: this.height - EDGES.bottom }));
    const words = [];
    this.shown.forEach((line, i) => {
      const point = line.points[nearest(line.points, (one) => Math.abs(one.x - at))];
      const [median, interval, n] = this.readings[i];
      median.textContent = short(point.median);
      interval.textContent = point.n > 1 ? `[${short(point.low)}, ${short(point.high)}]` : "–";
      n.textContent = point.n;
      words.push(`${line.name} ${short(point.median)}`);
      this.cross.append(svg("circle", { cx: this.x(point.x), cy: this.y(point.median), r: 4, fill: line.colour, stroke: "#fff" }));
    });
    this.where.textContent = `epoch ${short(at)}`;
    this.tip.replaceChildren(html("p", {}, html("b", {}, `epoch ${short(at)}`)),
      ...this.shown.slice(0, MOST_TOLD).map((line, i) => html("p", {}, swatch(line), `${line.name}: `, html("b", {}, this.readings[i][0].textContent))));
    this.slider.setAttribute("aria-valuetext", `epoch ${short(at)}: ${words.slice(0, MOST_TOLD).join(", ")}`);
  }
}

function nearest(items, distance) {
  let best = 0;
  items.forEach((item, i) => { if (distance(item) < distance(items[best])) best = i; });
  return best;
}

for (const root of document.querySelectorAll(".explore")) new Explorer(root);

// Only boxes that overflow can be focused with the keyboard.
function stops() {
  for (const box of document.querySelectorAll(".scroll")) {
    const wide = box.scrollWidth > box.clientWidth;
    if (wide) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
    box.classList.toggle("wide", box.scrollWidth > 1.05 * box.clientWidth);
  }
}
addEventListener("resize", stops);
addEventListener("toggle", stops, true);
stops();
