// A list of any length: only the rows in sight exist, and only the pages in sight are fetched.
//
// The page scrolls, not the list, so phones and printers treat it as they treat every page. All rows are of one
// height, `--row` in the style sheet.

import { isAbort, Latest } from "./api.js";
import { h } from "./dom.js";

const PAGE = 100;
// Rows that are kept ready above and below what is in sight.
const AHEAD = 12;

export class List {
  #fetch;
  #fill;
  #fail;
  #keyOf;
  #latest = new Latest();
  // The rows that exist, by their place in the list.
  #rows = new Map();
  #pages = new Map();
  #rowHeight = 0;
  #asked = 0;
  // Whether the pages at hand are of an older answer than the one that is waited for.
  #isStale = true;
  total = 0;

  // `fetch(offset, limit, signal)` gives `{ total, items }`; `fill(row, item, index)` shows an item in a row, an item
  // that is not there yet as `undefined`; `fail(error)` shows what went wrong; `keyOf(item)` tells items apart.
  constructor(label, { fetch, fill, fail, keyOf }) {
    this.#fetch = fetch;
    this.#fill = fill;
    this.#fail = fail;
    this.#keyOf = keyOf;
    this.element = h("div", { class: "rows", role: "rowgroup", "aria-label": label });
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
    addEventListener("resize", () => this.#resized());
  }

  get isShown() {
    return this.element.offsetParent !== null;
  }

  // Fetches what is in sight anew, and forgets the rest. What is shown stays until the new rows are there.
  async refresh() {
    return this.#load(true);
  }

  item(index) {
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  row(index) {
    return this.#rows.get(index);
  }

  // The row that has the focus, by its place; -1 if none has.
  get focused() {
    for (const [index, row] of this.#rows) if (row.contains(document.activeElement)) return index;
    return -1;
  }

  // The first row that is wholly in sight.
  get firstInSight() {
    return Math.max(0, Math.ceil((this.#cover - this.#top) / this.#rowHeight));
  }

  // Scrolls a row into sight and gives it the focus.
  focus(index) {
    const at = Math.min(Math.max(index, 0), this.total - 1);
    if (at < 0) return;
    const [top, bottom] = [at * this.#rowHeight, (at + 1) * this.#rowHeight];
    const from = this.#cover - this.#top;
    if (top < from) scrollBy(0, top - from);
    else if (this.#top + bottom > innerHeight) scrollBy(0, this.#top + bottom - innerHeight + this.#rowHeight / 2);
    this.render();
    this.#rows.get(at)?.querySelector("a")?.focus({ preventScroll: true });
  }

  // Where the list begins, from the top of the window.
  get #top() {
    return this.element.getBoundingClientRect().top;
  }

  // How much of the window is covered by what sticks to its top.
  get #cover() {
    return this.element.previousElementSibling?.getBoundingClientRect().bottom ?? 0;
  }

  #measure() {
    this.#rowHeight = parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 44;
  }

  #resized() {
    if (!this.isShown) return;
    this.#measure();
    this.#setHeight();
    this.render();
  }

  #setHeight() {
    this.element.style.height = `${this.total * this.#rowHeight}px`;
  }

  // The places from and to which rows have to exist.
  #sight() {
    const top = -this.#top;
    const first = Math.floor(top / this.#rowHeight) - AHEAD;
    const last = Math.ceil((top + innerHeight) / this.#rowHeight) + AHEAD;
    return [Math.max(0, first), Math.min(this.total, last)];
  }

  #scrolled() {
    if (!this.isShown) return;
    this.render();
    clearTimeout(this.#asked);
    this.#asked = setTimeout(() => this.#load(false), 80);
  }

  // Makes the rows in sight exist, and no others; a row that stays keeps its element, and with it the focus.
  render() {
    if (!this.isShown) return;
    if (this.#rowHeight === 0) this.#measure();
    const [from, to] = this.#sight();
    for (const [index, row] of this.#rows) {
      if (index < from || index >= to) {
        row.remove();
        this.#rows.delete(index);
      }
    }
    for (let index = from; index < to; index += 1) {
      let row = this.#rows.get(index);
      if (!row) {
        row = h("div", { class: "row", role: "row", "aria-rowindex": index + 2 });
        row.style.transform = `translateY(${index * this.#rowHeight}px)`;
        this.#rows.set(index, row);
        this.#place(row, index);
      }
      this.#fill(row, this.item(index), index);
    }
  }

  // Rows stand in the document in their order, which is that of the tab key and of screen readers.
  #place(row, index) {
    let next = null;
    for (const [other, element] of this.#rows) {
      if (other > index && (next === null || other < next[0])) next = [other, element];
    }
    this.element.insertBefore(row, next?.[1] ?? null);
  }

  // The focus stays with its item, wherever in the list that is now.
  #follow(key) {
    for (const [index, row] of this.#rows) {
      const item = this.item(index);
      if (!item || this.#keyOf(item) !== key || row.contains(document.activeElement)) continue;
      const isButton = document.activeElement.matches("button");
      row.querySelector(isButton ? "button" : "a").focus({ preventScroll: true });
    }
  }

  async #load(isAnew) {
    if (this.#rowHeight === 0) this.#measure();
    const [from, to] = this.#sight();
    // At first nobody knows how long the list is.
    const [first, last] = [Math.floor(from / PAGE), Math.floor(Math.max(to - 1, 0) / PAGE)];
    const numbers = Array.from({ length: last - first + 1 }, (_, at) => first + at);
    if (!isAnew && numbers.every((number) => this.#pages.has(number))) return;
    this.#isStale ||= isAnew;
    const signal = this.#latest.next();
    try {
      const answer = await this.#fetch(first * PAGE, numbers.length * PAGE, signal);
      const held = this.item(this.focused);
      if (this.#isStale) this.#pages.clear();
      this.#isStale = false;
      numbers.forEach((number, at) => this.#pages.set(number, answer.items.slice(at * PAGE, (at + 1) * PAGE)));
      this.total = answer.total;
      this.#setHeight();
      this.render();
      if (held) this.#follow(this.#keyOf(held));
      this.#fail(null);
      // A shorter list may have moved other places into sight.
      const [now] = this.#sight();
      if (now < this.total && this.item(now) === undefined) await this.#load(false);
    } catch (error) {
      if (!isAbort(error)) this.#fail(error);
    }
  }
}
