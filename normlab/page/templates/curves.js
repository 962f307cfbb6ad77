// Curves as numbers: which lines there are, their medians, and their smoothed values.

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

// Numbers with two significant digits of their interval and at most three decimals, as in
// normlab.statistics.digits.
function rounded(point) {
  const width = point.high - point.low;
  if (!(width > 0) || Math.abs(point.high) >= 1e5 || width < 1e-6) return short;
  const count = Math.max(0, 1 - Math.floor(Math.log10(Number(width.toExponential(1)))));
  if (count > 3 && Math.max(Math.abs(point.low), Math.abs(point.high)) < 0.01) return (value) => value.toExponential(1);
  return (value) => value.toFixed(Math.min(count, 3));
}

// An exponential moving average without the bias of its start.
function smoothed(values, weight) {
  let sum = 0, share = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return sum / share;
  });
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
    return { name: [data.axes[0].values[at[0]], ...words].join(", "), colour: data.colours[at[0]], style: rest.get(other),
      xs, values, seeds: members.map((m) => data.axes[seeds].values[m.at[seeds]]),
      points: xs.map((_, i) => medianInterval(values.map((own) => own[i]))) };
  });
}
