// Refreshing by itself: every few seconds, unless paused, and only while somebody can see the page.

import { byId, remember, remembered, setText } from "./dom.js";
import { tick } from "./format.js";

const EVERY_MS = 5000;

let isOn = remembered("live") !== "off";
let refresh = async () => {};
let timer = 0;

function show() {
  const button = byId("live");
  button.setAttribute("aria-pressed", String(isOn));
  setText(byId("live-text"), isOn ? "Live" : "Paused");
}

function schedule(delay = EVERY_MS) {
  clearTimeout(timer);
  if (isOn && !document.hidden) timer = setTimeout(turn, delay);
}

async function turn() {
  await refresh();
  schedule();
}

export function toggle() {
  isOn = !isOn;
  remember("live", isOn ? null : "off");
  show();
  schedule(0);
}

// Refreshes now, paused or not.
export function now() {
  clearTimeout(timer);
  return turn();
}

// Puts the next refresh off: what is shown is new already.
export function postpone() {
  schedule();
}

export function start(callback) {
  refresh = callback;
  show();
  byId("live").addEventListener("click", toggle);
  document.addEventListener("visibilitychange", () => schedule(0));
  setInterval(() => document.hidden || tick(), 1000);
}
