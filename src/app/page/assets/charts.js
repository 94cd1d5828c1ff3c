// Charts of plain SVG: histograms, summaries, and lines over time. Each says in words what it shows.

import { h, svg } from "./dom.js";
import { rough } from "./format.js";

const [WIDTH, HEIGHT] = [360, 96];

// The buckets of a histogram as the API has it, each by itself: `{ lower, upper, count, name }` in order of bounds.
export function buckets(metric) {
  if (Array.isArray(metric.buckets)) {
    return metric.buckets.map(([rule, lower, upper, count]) => {
      const [open, close] = [
        ["(", "]"],
        ["[", ")"],
        ["(", ")"],
        ["[", "]"],
      ][rule];
      return {
        lower: Number(lower),
        upper: Number(upper),
        count: Number(count),
        name: `${open}${lower}, ${upper}${close}`,
      };
    });
  }
  const bound = (text) => (text === "+Inf" ? Infinity : Number(text));
  const counts = Object.entries(metric.buckets ?? {}).sort((a, b) => bound(a[0]) - bound(b[0]));
  if (counts.at(-1)?.[0] !== "+Inf") counts.push(["+Inf", metric.count]);
  return counts.map(([upper, count], at) => {
    const [below, before] = counts[at - 1] ?? ["-Inf", "0"];
    const name = at === 0 ? `≤ ${upper}` : upper === "+Inf" ? `> ${below}` : `(${below}, ${upper}]`;
    return {
      lower: at === 0 ? -Infinity : bound(below),
      upper: bound(upper),
      count: Number(count) - Number(before),
      name,
    };
  });
}

// What a quantile is estimated to be, as Prometheus does: linear inside its bucket. `null` where there is nothing.
export function quantile(list, rank) {
  const all = list.reduce((sum, bucket) => sum + Math.max(bucket.count, 0), 0);
  if (!(all > 0)) return null;
  let below = 0;
  for (const { lower, upper, count } of list) {
    if (count > 0 && below + count >= rank * all) {
      if (upper === Infinity) return { value: lower, isAbove: true };
      // The lowest bucket of a classic histogram begins at zero, unless it ends below.
      const from = lower === -Infinity ? Math.min(0, upper) : lower;
      return { value: from + ((upper - from) * (rank * all - below)) / count };
    }
    below += Math.max(count, 0);
  }
  return null;
}

// The counts of buckets as bars of equal width.
export function histogram(list) {
  const highest = Math.max(...list.map((bucket) => bucket.count), 0);
  const all = list.reduce((sum, bucket) => sum + bucket.count, 0);
  const step = WIDTH / Math.max(list.length, 1);
  const gap = step > 6 ? 2 : step > 3 ? 1 : 0;
  const share = (count) => `${rough(count)}${all > 0 ? `, ${((100 * count) / all).toFixed(1)} %` : ""}`;
  const bars = list.map(({ count, name }, at) => {
    const height = highest > 0 ? Math.max((HEIGHT * count) / highest, count > 0 ? 1.5 : 0) : 0;
    return svg(
      "g",
      { class: "bucket" },
      svg("title", {}, `${name}: ${share(count)}`),
      svg("rect", { class: "area", x: at * step, y: 0, width: step, height: HEIGHT }),
      svg("rect", {
        class: "bar",
        x: at * step + gap / 2,
        y: HEIGHT - height,
        width: Math.max(step - gap, 0.5),
        height,
      }),
    );
  });
  const fullest = list.find((bucket) => bucket.count === highest);
  const words = highest > 0 ? `most in ${fullest.name}: ${share(highest)}` : "all empty";
  const chart = svg(
    "svg",
    {
      class: "histogram",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      "aria-label": `Histogram of ${list.length} buckets, ${words}`,
    },
    bars,
    svg("path", { class: "axis", d: `M0 ${HEIGHT - 0.5}H${WIDTH}` }),
  );
  return h("figure", { class: "chart" }, chart, axis(list));
}

// Bounds below the bars: as many as there is room for, each under the edge between two bars.
function axis(list) {
  const bounds = list.slice(0, -1).map((bucket, at) => [bucket.upper, at + 1]);
  const every = Math.ceil(bounds.length / 6) || 1;
  const shown = bounds.filter((_, at) => at % every === Math.floor(every / 2));
  return svg(
    "svg",
    { class: "bounds", viewBox: `0 0 ${WIDTH} 14`, "aria-hidden": "true" },
    shown.map(([bound, at]) => svg("text", { x: (at * WIDTH) / list.length, y: 11 }, rough(bound))),
  );
}

// The quantiles of a summary as bars from zero.
export function summary(quantiles) {
  const list = Object.entries(quantiles).sort((a, b) => Number(a[0]) - Number(b[0]));
  const finite = list.map(([, value]) => Number(value)).filter(Number.isFinite);
  const [least, most] = [Math.min(0, ...finite), Math.max(0, ...finite)];
  const scale = (value) => (WIDTH * (value - least)) / (most - least || 1);
  const height = 20 * list.length;
  const rows = list.map(([rank, text], at) => {
    const value = Number(text);
    const [from, to] = [scale(Math.min(value, 0)), scale(Math.max(value, 0))];
    return svg(
      "g",
      { class: "bucket" },
      svg("title", {}, `quantile ${rank}: ${text}`),
      svg("rect", { class: "area", x: 0, y: at * 20 + 2, width: WIDTH, height: 16 }),
      Number.isFinite(value) &&
        svg("rect", { class: "bar", x: from, y: at * 20 + 2, width: Math.max(to - from, 1), height: 16 }),
    );
  });
  const words = list.map(([rank, value]) => `${rank} is ${value}`).join(", ");
  const chart = svg(
    "svg",
    {
      class: "quantiles",
      viewBox: `0 0 ${WIDTH} ${height}`,
      preserveAspectRatio: "none",
      height,
      role: "img",
      "aria-label": `Quantiles: ${words}`,
    },
    rows,
  );
  const names = list.map(([rank, value]) => h("div", {}, h("dt", {}, rank), h("dd", {}, value)));
  return h("figure", { class: "chart beside" }, h("dl", { class: "ranks" }, names), chart);
}

// A line over time. `points` are `[ms, value]`, a value of `null` is a gap; the newest is at the right.
export function line(points, { span, label, format }) {
  const known = points.filter(([, value]) => value !== null);
  const highest = Math.max(...known.map(([, value]) => value), 0);
  const end = points.at(-1)?.[0] ?? 0;
  const x = (time) => 300 - (300 * (end - time)) / span;
  const y = (value) => 58 - (54 * value) / (highest || 1);
  const runs = [];
  for (const [time, value] of points) {
    if (value === null) runs.push([]);
    else (runs.at(-1) ?? runs[runs.push([]) - 1]).push(`${x(time).toFixed(1)} ${y(value).toFixed(1)}`);
  }
  const drawn = runs.filter((run) => run.length > 1);
  const areas = drawn.map((run) => `M${run[0].split(" ")[0]} 60L${run.join("L")}L${run.at(-1).split(" ")[0]} 60Z`);
  const last = known.at(-1)?.[1];
  const words = last === undefined ? "no value yet" : `now ${format(last)}, at most ${format(highest)}`;
  return svg(
    "svg",
    {
      class: "line",
      viewBox: "0 0 300 60",
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `${label}: ${words}`,
    },
    svg("path", { class: "axis", d: "M0 59.5H300M0 4.5H300" }),
    svg("path", { class: "fill", d: areas.join("") }),
    svg("path", { class: "stroke", d: drawn.map((run) => `M${run.join("L")}`).join("") }),
  );
}
