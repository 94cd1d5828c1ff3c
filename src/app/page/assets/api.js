// Requests to the gateway, relative to the page; whether it can be reached is shown at the top.

import { byId } from "./dom.js";
import { noteServerDate } from "./format.js";
import { base } from "./route.js";

// An answer that is no success, in the gateway's own words.
export class Refused extends Error {
  constructor(status, text) {
    super(text.trim() || `The gateway answered ${status}.`);
    this.status = status;
  }
}

function noteReachable(isReachable) {
  const node = byId("offline");
  node.textContent = isReachable ? "" : "The gateway cannot be reached. What is shown may be old.";
  node.hidden = isReachable;
}

async function request(path, options) {
  let answer;
  try {
    answer = await fetch(new URL(path, base), { cache: "no-cache", ...options });
  } catch (error) {
    if (error.name !== "AbortError") {
      noteReachable(false);
      throw new Error("The gateway cannot be reached.", { cause: error });
    }
    throw error;
  }
  noteReachable(true);
  noteServerDate(answer.headers.get("Date"));
  if (!answer.ok && answer.status !== 304) throw new Refused(answer.status, await answer.text());
  return answer;
}

// The `data` of an answer of the JSON API.
export async function data(path, signal) {
  const answer = await request(path, { signal, headers: { Accept: "application/json" } });
  return (await answer.json()).data;
}

// The same, unless it is what `tag` stands for; then `null`. Gives the data and its tag.
export async function changed(path, tag, signal) {
  const headers = { Accept: "application/json", ...(tag ? { "If-None-Match": tag } : {}) };
  const answer = await request(path, { signal, headers, cache: "no-store" });
  return answer.status === 304 ? null : { data: (await answer.json()).data, tag: answer.headers.get("ETag") };
}

export async function text(path, signal) {
  return (await request(path, { signal, headers: { Accept: "text/plain" }, cache: "no-store" })).text();
}

// A change, and what the gateway says to it.
export async function change(method, path, signal) {
  return (await request(path, { method, signal })).text();
}

// Lets one request at a time go on: a new one ends the one before.
export class Latest {
  #controller = null;

  next() {
    this.stop();
    this.#controller = new AbortController();
    return this.#controller.signal;
  }

  stop() {
    this.#controller?.abort();
    this.#controller = null;
  }
}

export function isAbort(error) {
  return error.name === "AbortError";
}
