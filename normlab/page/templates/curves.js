// Curves as numbers: which lines there are, their medians, and their smoothed values; and how they look.

// One line style never stands for two settings.
const DASHES = [[], [8, 4], [2, 3], [9, 3, 2, 3], [14, 4], [6, 2, 2, 2, 2, 2]], WIDTHS = [1.6, 3.2];
const MOST_STYLES = DASHES.length * WIDTHS.length, MOST_LINES = 30;
const height = () => (innerWidth < 640 ? 250 : 340);
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

// As `short`, with three digits also where the last are zeros.
const brief = (value) => (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e3 ? value.toPrecision(3) : short(value));

// Numbers with two significant digits of their interval and at most three decimals, as in
// normlab.statistics.digits.
function rounded(point) {
  const width = point.high - point.low;
  if (!(width > 0) || Math.abs(point.high) >= 1e5 || width < 1e-6) return short;
  const count = Math.max(0, 1 - Math.floor(Math.log10(Number(width.toExponential(1)))));
  if (count > 3 && Math.max(Math.abs(point.low), Math.abs(point.high)) < 0.01) return (value) => value.toExponential(1);
  return (value) => value.toFixed(Math.min(count, 3));
}

// The median over up to `reach` points on each side. Windows are symmetrical, so they are shorter
// near the ends: where a curve only falls or only rises, its values stay.
function smoothed(values, reach) {
  const places = [...values.keys()].filter((i) => values[i] !== null), all = Array(values.length).fill(null);
  places.forEach((place, i) => {
    const side = Math.min(reach, i, places.length - 1 - i), window = places.slice(i - side, i + side + 1);
    all[place] = window.map((k) => values[k]).sort((a, b) => a - b)[side];
  });
  return all;
}

// How far smoothing may reach on each side: a window has at most a quarter of a curve's points.
const mostReach = (points) => Math.floor(points / 8);

// The height at which a drawn curve passes a place on the screen, or null outside of it.
function heightAt(plot, values, left) {
  let before = null;
  for (let i = 0; i < values.length; i += 1) {
    if (values[i] === null || values[i] === undefined) continue;
    const x = plot.valToPos(plot.data[0][i], "x"), y = plot.valToPos(values[i], "y");
    if (x >= left) {
      if (before === null) return x === left ? y : null;
      return before.y + ((y - before.y) * (left - before.x)) / (x - before.x);
    }
    before = { x, y };
  }
  return null;
}

// Losses that span more than a factor of 20 are shown on a logarithmic axis.
function isWide(lines) {
  const medians = lines.flatMap((line) => line.points).filter((point) => point && point.median > 0).map((point) => point.median);
  return medians.length > 0 && Math.max(...medians) > 20 * Math.min(...medians);
}

// Steps of ticks: 1, 2 or 5 times a power of ten, and no shorter than the points are apart.
function tickSteps(xs, span) {
  const apart = xs.length > 1 ? (xs[xs.length - 1] - xs[0]) / (xs.length - 1) : 0;
  const steps = [...Array(16).keys()].flatMap((power) => [1, 2, 5].map((digit) => Number(`${digit}e${power - 6}`)));
  const least = steps.findLast((step) => step <= 1.01 * apart) ?? 0;
  return steps.filter((step) => step >= least || 2 * least > span);
}

// Of the ticks of a logarithmic axis, the powers of ten, if it has more than two.
function majorTicks(plot, ticks) {
  const major = ticks.map((tick) => (tick > 0 && Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-9 ? tick : null));
  return major.filter((tick) => tick !== null).length > 2 ? major : ticks;
}

// One line for every combination of values on the axes, except on the seed's axis (the last).
// Each has its members, with their values at the same places `xs`.
function linesOf(data, metric, chosen) {
  const seeds = data.axes.length - 1, groups = new Map();
  for (const member of data.members) {
    if (!member.data[metric] || member.at.some((value, i) => !chosen[i].has(value))) continue;
    const key = member.at.slice(0, seeds).join();
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(member);
  }
  const rest = new Map();
  return [...groups.values()].map((members) => {
    const at = members[0].at;
    const words = data.axes.slice(1, seeds).map((axis, i) =>
      (chosen[i + 1].size > 1 ? `${axis.name} ${axis.values[at[i + 1]]}` : "")).filter(Boolean);
    const other = words.join(", ");
    if (!rest.has(other)) rest.set(other, rest.size);
    const xs = [...new Set(members.flatMap((m) => data.grids[m.data[metric][0]]))].sort((a, b) => a - b);
    const place = new Map(xs.map((x, i) => [x, i]));
    const values = members.map((member) => {
      const [grid, own] = member.data[metric], all = Array(xs.length).fill(null);
      data.grids[grid].forEach((x, i) => { all[place.get(x)] = own[i]; });
      return all;
    });
    return { name: [data.axes[0].values[at[0]], ...words].join(", "), colour: data.colours[at[0]], place: at[0], style: rest.get(other),
      xs, values, seeds: members.map((m) => data.axes[seeds].values[m.at[seeds]]),
      points: xs.map((_, i) => medianInterval(values.map((own) => own[i]))) };
  });
}

// The lines as CSV: their medians, or the values of single seeds.
function csvOf(lines, singly) {
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  const singles = (line) => line.values.flatMap((own, k) => line.xs.map((x, i) => [quoted(line.name), line.seeds[k], x, own[i] ?? ""]));
  const medians = (line) => line.xs.map((x, i) => {
    const point = line.points[i];
    return [quoted(line.name), x, ...(point ? [point.median, point.low, point.high, point.n] : ["", "", "", 0])];
  });
  const head = singly ? "curve,seed,epoch,value" : "curve,epoch,median,low,high,n";
  return [head, ...lines.flatMap(singly ? singles : medians).map((row) => row.join())].join("\n") + "\n";
}

// The plot of an explorer's lines. `explorer.drawn` says what each series is.
function chart(explorer, form) {
  const logy = form.get("logy"), logx = form.get("logx"), { reach, singly } = explorer, steps = explorer.data.colours.length - 1;
  const style = getComputedStyle(explorer.root), ink = style.getPropertyValue("--muted"), faint = style.getPropertyValue("--line");
  const tables = [], series = [{}], bands = [];
  explorer.drawn = []; // what each series is, from the second on
  const add = (line, values, look, what = {}) => {
    series.push({ label: line.name, scale: "y", spanGaps: true, points: { show: false }, show: !explorer.hidden.has(line.name), alpha: 1, ...look });
    explorer.drawn.push({ line, ...what });
    return values.map((v) => (v === null || (logy && v <= 0) ? null : v));
  };
  for (const line of explorer.lines) {
    const colour = onPage(line.colour), dash = DASHES[line.style % DASHES.length], width = WIDTHS[Math.floor(line.style / DASHES.length)];
    const own = [line.xs.map((x) => (logx && x <= 0 ? null : x))];
    // Points are marked where there is room. Those of the first norms are larger, so that they are seen behind others.
    const size = singly || explorer.lines.length > 4 ? 4 : 4.5 + 2.5 * Math.min(3, steps - line.place);
    const points = { show: !reach && line.xs.length * 14 < explorer.frame.clientWidth, size, fill: colour, stroke: colour, width: 0 };
    const curve = (values, look, seed) => {
      if (reach) own.push(add(line, values, { stroke: faded(colour, 0.3), width: 1 }, { seed }));
      own.push(add(line, reach ? smoothed(values, reach) : values, { stroke: colour, dash, width, points, ...look }, { seed, named: true }));
    };
    if (singly) line.values.forEach((values, i) => curve(values, { width: width * 0.7 }, line.seeds[i]));
    else {
      const field = (name) => line.points.map((point) => point && point[name]);
      const edge = { stroke: faded(colour, explorer.lines.length > 4 ? 0.35 : 0.6), width: 1, dash };
      bands.push({ series: [series.length + 1, series.length], fill: faded(colour, 0.12 / explorer.lines.length) });
      own.push(add(line, field("low"), edge), add(line, field("high"), edge));
      curve(field("median"));
    }
    const kept = own[0].map((x, i) => [x, i]).filter(([x]) => x !== null);
    tables.push(own.map((column) => kept.map(([, i]) => column[i])));
  }
  const axis = { stroke: ink, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint }, font: "12px system-ui", labelFont: "12px system-ui" };
  const lessTicks = { grid: { ...axis.grid, filter: majorTicks }, ticks: { ...axis.ticks, filter: majorTicks } };
  const values = (u, splits) => splits.map((v) => (v === null ? "" : short(v)));
  return new uPlot({
    width: explorer.frame.clientWidth, height: height(), legend: { show: false }, series, bands,
    scales: { x: { time: false, distr: logx ? 3 : 1 }, y: { distr: logy ? 3 : 1, ...(explorer.metric.loss ? { range: (u, low, high) => valueRange(explorer.lines, low, high, logy) } : {}) } },
    axes: [{ ...axis, label: "epoch", labelSize: 20, space: 60, values, ...(logx ? lessTicks : { incrs: (u, i, low, high) => tickSteps(u.data[0], high - low) }) }, { ...axis, label: explorer.metric.name, labelSize: 20, size: 62, values, ...(logy ? lessTicks : {}) }],
    cursor: { y: false, drag: { x: true, y: true, uni: 30 }, points: { show: false },
      bind: { mousedown: (u, target, handler) => (event) => (event.shiftKey ? explorer.drag(event) : handler(event)) } },
    hooks: { setCursor: [(u) => explorer.pointed(u)] },
  }, uPlot.join(tables), explorer.frame);
}

// Curves that diverge must not flatten the others.
function valueRange(lines, low, high, log) {
  const firsts = lines.map((line) => line.points.find(Boolean)?.median ?? 0).sort((a, b) => a - b);
  const first = firsts[firsts.length >> 1] || high;
  if (log) return high > 0 ? uPlot.rangeLog(low, Math.max(low, Math.min(high, 20 * first)), 10, false) : [0.1, 1];
  const top = Math.min(high, 2 * first);
  return [Math.min(0, low), top > low ? top * 1.03 : low + 1];
}
