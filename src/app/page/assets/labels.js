// Labels as chips, and as terms of a search.

import { h } from "./dom.js";
import { href } from "./route.js";

// Pairs with the job in front, the others by name.
export function pairs(labels) {
  const rank = ([name]) => (name === "job" ? 0 : 1);
  return Object.entries(labels).sort((a, b) => rank(a) - rank(b) || (a[0] < b[0] ? -1 : 1));
}

// A label. Its value has a direction of its own, so that no script turns the row around it.
export function chip(name, value, address) {
  const shown = value === "" ? '""' : value.replaceAll("\n", "⏎");
  const parts = [
    h("span", { class: "name" }, name.replaceAll("\n", "⏎"), "="),
    h("bdi", { class: value === "" ? "value empty" : "value" }, shown),
  ];
  const properties = { class: name === "job" ? "chip job" : "chip", title: `${name}="${value}"` };
  return address ? h("a", { ...properties, href: address }, parts) : h("span", properties, parts);
}

export function chips(labels) {
  return pairs(labels).map(([name, value]) => chip(name, value));
}

// Chips that lead to the groups with the same label.
export function chipLinks(labels) {
  return pairs(labels).map(([name, value]) => chip(name, value, href({ view: "groups", search: term(name, value) })));
}

export function described(labels) {
  return pairs(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(" ");
}

function quoted(text) {
  const isPlain = text !== "" && !/[ "\\=!*]/.test(text);
  return isPlain ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

// The search for groups with this label.
export function term(name, value) {
  return `${quoted(name)}=${quoted(value)}`;
}
