// Numbers and times as people read them.

import { h, setText } from "./dom.js";

const COUNT = new Intl.NumberFormat("en-US");
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

// What the server's clock is ahead of this one, ms: ages are by the clock that took the times.
let ahead = 0;

export function noteServerDate(date) {
  const difference = Date.parse(date) - Date.now();
  // The header has whole seconds; what is below that is no difference.
  if (Number.isFinite(difference)) ahead = Math.abs(difference) > 2000 ? difference : 0;
}

export function serverNow() {
  return Date.now() + ahead;
}

export function count(number) {
  return COUNT.format(number);
}

export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; number >= 1023.5 && at < units.length - 1; at += 1) number /= 1024;
  return `${at === 0 || number >= 99.95 ? Math.round(number) : number.toFixed(1)} ${units[at]}`;
}

// Three digits, for charts; what is exact stands beside them.
export function rough(number) {
  if (!Number.isFinite(number)) return Number.isNaN(number) ? "NaN" : number > 0 ? "+Inf" : "-Inf";
  if (number === 0) return "0";
  const size = Math.abs(number);
  if (size >= 1e15 || size < 1e-4) return number.toExponential(2).replace(/\.?0+e/, "e");
  for (const [unit, letter] of [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "k"],
  ]) {
    if (size >= unit) return `${trimmed((number / (letter === "k" ? 1e3 : unit)).toPrecision(3))}${letter}`;
  }
  return trimmed(number.toPrecision(size >= 1000 ? 4 : 3));
}

function trimmed(text) {
  const plain = text.includes("e") ? String(Number(text)) : text;
  return plain.includes(".") ? plain.replace(/\.?0+$/, "") : plain;
}

// The value of a sample in full: without an exponent, where that says the same.
export function full(text) {
  if (!/e/i.test(text)) return text;
  const plain = String(Number(text));
  return /e|NaN|Inf/i.test(plain) ? text : plain;
}

// A span of time, seconds, in one word or two.
export function span(seconds) {
  const steps = [
    [60, 1, "s"],
    [3600, 60, "min"],
    [86400, 3600, "h"],
    [86400 * 60, 86400, "d"],
    [86400 * 730, 86400 * 30.44, "mo"],
  ];
  for (const [below, unit, name] of steps) {
    if (seconds < below) return `${Math.floor(seconds / unit)} ${name}`;
  }
  return `${Math.floor(seconds / (86400 * 365.25))} y`;
}

// A longer span with its second unit: 3 d 4 h.
export function longSpan(seconds) {
  const parts = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = Math.max(
    parts.findIndex(([unit]) => seconds >= unit),
    0,
  );
  const shown = parts.slice(first, first + 2).map(([unit, name], at) => {
    const rest = at === 0 ? seconds : seconds % parts[first][0];
    return `${Math.floor(rest / unit)} ${name}`;
  });
  return shown.join(" ");
}

function ago(time) {
  const seconds = Math.max(0, (serverNow() - time) / 1000);
  return seconds < 1 ? "just now" : `${span(seconds)} ago`;
}

// The age of a time in words, which keeps up with the clock; the exact time on hover. `null` is never.
export function age(iso, never = "never") {
  if (!iso) return h("span", { class: "never" }, never);
  const time = Date.parse(iso);
  const node = h("time", { datetime: iso, title: `${EXACT.format(time)}\n${iso}`, "data-age": time });
  node.textContent = ago(time);
  return node;
}

// Lets all ages on the page keep up.
export function tick() {
  for (const node of document.querySelectorAll("time[data-age]")) setText(node, ago(Number(node.dataset.age)));
}

// Why a push was refused, in one line: the first problem, without the labels of the metric that it is about.
export function briefly(failure) {
  const [, number, first] = failure.match(/^(\d+) error\(s\) occurred:\n\* (.*)/) ?? [null, 1, failure];
  const plain = first.replace(/ \{ .*\}\}(?= (?:is|was|has|must) )/, "");
  return number > 1 ? `${plain} (and ${number - 1} more)` : plain;
}

export function exact(iso) {
  return `${EXACT.format(Date.parse(iso))}`;
}
