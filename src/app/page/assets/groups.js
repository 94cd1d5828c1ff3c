// The groups view: search, state, order, and the list itself.

import { data } from "./api.js";
import { h, setText } from "./dom.js";
import { age, briefly, bytes, count, counted } from "./format.js";
import { chips, described } from "./labels.js";
import { List } from "./list.js";
import { deleteGroup, deleteMatching, wipe } from "./removal.js";
import { go, href } from "./route.js";

// How long somebody has to stop typing to be searched for, ms.
const TYPING_MS = 120;

const COLUMNS = [
  { name: "Group", sort: "job", first: "" },
  { name: "Last push", sort: "pushed", first: "-" },
  { name: "Last failure", sort: "failed", first: "-" },
  { name: "Series", sort: "series", first: "-" },
  { name: "Size" },
];

const ORDERS = [
  ["job", "by group"],
  ["-pushed", "latest push first"],
  ["pushed", "oldest push first"],
  ["-failed", "latest failure first"],
  ["-series", "most series first"],
  ["series", "fewest series first"],
];

export class GroupsView {
  #route = { view: "groups", search: "", state: "", sort: "" };
  #totals = { groups: 0, matching: 0, failing: 0, series: 0 };
  #hasAdminApi = false;
  #typing = 0;

  constructor() {
    this.list = new List("Groups", {
      fetch: (offset, limit, signal) => this.#fetch(offset, limit, signal),
      fill: (row, group, index) => this.#fill(row, group, index),
      fail: (error) => this.#fail(error),
      keyOf: (group) => group.path,
    });
    this.#build();
  }

  // ---- what the page asks of a view ----

  show(route) {
    const isOther = ["search", "state", "sort"].some((name) => route[name] !== this.#route[name]);
    this.#route = route;
    if (document.activeElement !== this.search || this.search.value.trim() !== route.search)
      this.search.value = route.search;
    this.#showOrder();
    document.title = route.search ? `${route.search} – Prometheus Pushgateway` : "Prometheus Pushgateway";
    // What was shown before is shown at once, and brought up to date.
    if (!isOther) this.list.render();
    return this.list.refresh();
  }

  refresh() {
    return this.list.refresh();
  }

  setAdminApi(isThere) {
    this.#hasAdminApi = isThere;
    this.#showRemoval();
  }

  get query() {
    const query = new URLSearchParams();
    for (const name of ["search", "state"]) if (this.#route[name]) query.set(name, this.#route[name]);
    return query;
  }

  key(event) {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    const at = this.list.focused;
    if (step) {
      this.list.focus(at < 0 ? this.list.firstInSight : at + step);
    } else if (event.key === "d" && at >= 0) {
      this.#deleteAt(at);
    } else if (event.key === "Escape" && this.#route.search) {
      this.#refine({ search: "" });
    } else {
      return false;
    }
    return true;
  }

  // ---- building ----

  #build() {
    this.search = h("input", {
      type: "search",
      id: "search",
      placeholder: "Search labels: text, job=import, instance=~db*",
      "aria-label": "Search groups by their labels",
      "aria-describedby": "search-error",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      oninput: () => this.#typed(),
      onkeydown: (event) => this.#searchKey(event),
    });
    this.error = h("p", { id: "search-error", class: "error", role: "alert", hidden: true });
    this.all = h("button", { type: "button", onclick: () => this.#refine({ state: "" }) }, "All");
    this.failing = h("button", { type: "button", onclick: () => this.#refine({ state: "failing" }) }, "Failing");
    this.order = h(
      "select",
      {
        id: "order",
        "aria-label": "Order",
        onchange: () => this.#refine({ sort: this.order.value === "job" ? "" : this.order.value }),
      },
      ORDERS.map(([value, text]) => h("option", { value }, text)),
    );
    this.remove = h(
      "button",
      { type: "button", class: "danger quiet", id: "remove", onclick: () => this.#delete() },
      "Delete…",
    );
    this.counts = h("p", { class: "counts", id: "counts", role: "status" });
    this.headers = COLUMNS.map(({ name, sort }) =>
      h(
        "div",
        { role: "columnheader" },
        sort
          ? h(
              "button",
              { type: "button", onclick: () => this.#sortBy(sort) },
              name,
              h("span", { class: "arrow", "aria-hidden": "true" }),
            )
          : name,
      ),
    );
    this.empty = h("p", { class: "note", id: "empty", hidden: true });
    const head = h(
      "div",
      { class: "row head", role: "row", "aria-rowindex": 1 },
      this.headers,
      h("div", { role: "columnheader", class: "last" }, h("span", { class: "hidden" }, "Delete")),
    );
    this.table = h(
      "div",
      { class: "table", role: "table", "aria-label": "Groups" },
      h("div", { role: "rowgroup", class: "sticky" }, head),
      this.list.element,
    );
    this.element = h(
      "section",
      { class: "groups", "aria-label": "Groups" },
      h("h1", { class: "hidden" }, "Groups"),
      h(
        "div",
        { class: "toolbar" },
        h("div", { class: "search", role: "search" }, this.search, h("kbd", { "aria-hidden": "true" }, "/")),
        h("div", { class: "choice", role: "group", "aria-label": "State of the last push" }, this.all, this.failing),
        this.order,
        this.remove,
      ),
      this.error,
      this.counts,
      this.table,
      this.empty,
    );
  }

  // ---- asking ----

  async #fetch(offset, limit, signal) {
    const query = this.query;
    if (this.#route.sort) query.set("sort", this.#route.sort);
    const found = await data(`api/v1/groups?${query}${query.size ? "&" : ""}offset=${offset}&limit=${limit}`, signal);
    this.#totals = found.totals;
    this.#showTotals();
    return { total: found.totals.matching, items: found.groups };
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#refine({ search: this.search.value.trim() }), TYPING_MS);
  }

  #searchKey(event) {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      this.list.focus(this.list.firstInSight);
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (this.search.value) this.#refine({ search: (this.search.value = "") });
      else this.search.blur();
    }
  }

  // Another search, state or order of the same list: from its top, and no step of its own in the history.
  #refine(change) {
    clearTimeout(this.#typing);
    scrollTo(0, 0);
    go({ ...this.#route, ...change }, true);
  }

  #sortBy(sort) {
    const { first } = COLUMNS.find((column) => column.sort === sort);
    const now = this.#route.sort || "job";
    const isReversed = now === `${first}${sort}`;
    const next = isReversed ? (first === "-" ? sort : `-${sort}`) : `${first}${sort}`;
    this.#refine({ sort: next === "job" ? "" : next });
  }

  // ---- showing ----

  #showOrder() {
    const now = this.#route.sort || "job";
    this.order.value = now;
    this.headers.forEach((header, at) => {
      const { sort } = COLUMNS[at];
      const order = now === sort ? "ascending" : now === `-${sort}` ? "descending" : null;
      if (order) header.setAttribute("aria-sort", order);
      else header.removeAttribute("aria-sort");
    });
    this.all.setAttribute("aria-pressed", String(this.#route.state === ""));
    this.failing.setAttribute("aria-pressed", String(this.#route.state === "failing"));
  }

  #showTotals() {
    const { groups, matching, series, failing } = this.#totals;
    const isAll = this.query.size === 0;
    const what = isAll ? counted(groups, "group") : `${count(matching)} of ${counted(groups, "group")}`;
    setText(
      this.counts,
      `${what} · ${counted(series, "series", "series")}${failing ? ` · ${count(failing)} failing` : ""}`,
    );
    setText(this.failing, failing ? `Failing ${count(failing)}` : "Failing");
    this.failing.classList.toggle("some", failing > 0);
    this.table.setAttribute("aria-rowcount", matching + 1);
    this.empty.hidden = matching > 0;
    setText(this.empty, groups === 0 ? "Nothing was pushed yet." : "No group matches.");
    this.#showRemoval();
  }

  #showRemoval() {
    const { groups, matching } = this.#totals;
    const isAll = this.query.size === 0;
    this.remove.hidden = isAll && !this.#hasAdminApi;
    this.remove.disabled = (isAll ? groups : matching) === 0;
    setText(this.remove, isAll ? "Delete all…" : `Delete ${count(matching)}…`);
  }

  #fail(error) {
    this.error.hidden = error === null;
    setText(this.error, error?.message ?? "");
    if (error?.status === 400) this.search.setAttribute("aria-invalid", "true");
    else this.search.removeAttribute("aria-invalid");
  }

  #fill(row, group, index) {
    const shown = group ? JSON.stringify([group, this.#route]) : "";
    if (row.shown === shown) return;
    row.shown = shown;
    row.classList.toggle("failing", group !== undefined && !group.last_push_successful);
    if (!group) {
      const waiting = h("span", { class: "hidden" }, "Loading");
      row.replaceChildren(h("div", { class: "cell labels loading", role: "cell" }, waiting));
      return;
    }
    const focused = row.contains(document.activeElement) ? document.activeElement.localName : null;
    row.replaceChildren(...this.#cells(group, index));
    if (focused) row.querySelector(focused).focus({ preventScroll: true });
  }

  #cells(group, index) {
    const failed = !group.last_push_successful;
    const name = described(group.labels);
    const reason =
      failed &&
      h(
        "div",
        { class: "reason", title: group.failure ?? "" },
        group.failure ? briefly(group.failure) : "The last push was refused.",
      );
    const remove = h(
      "button",
      {
        type: "button",
        class: "remove",
        "aria-label": `Delete ${name}`,
        title: "Delete this group (d)",
        onclick: () => this.#deleteAt(index),
      },
      "×",
    );
    const cell = (kind, ...children) => h("div", { class: `cell ${kind}`, role: "cell" }, children);
    return [
      cell(
        "labels",
        h(
          "a",
          { class: "chips", href: href({ ...this.#route, view: "group", group: group.path }) },
          chips(group.labels),
        ),
        reason,
      ),
      cell("pushed", age(group.pushed)),
      cell("failed", group.failed ? age(group.failed) : h("span", { class: "never" }, "–")),
      cell("series", count(group.series), h("span", { class: "unit" }, " series")),
      cell("size", bytes(group.bytes)),
      cell("last", remove),
    ];
  }

  // ---- deleting ----

  #deleteAt(index) {
    const group = this.list.item(index);
    if (!group) return;
    deleteGroup(group, async () => {
      await this.refresh();
      this.list.focus(index);
    });
  }

  #delete() {
    const { groups, matching } = this.#totals;
    const done = () => this.refresh();
    if (this.query.size === 0) return wipe(groups, done);
    const parts = [this.#route.search, this.#route.state && `state: ${this.#route.state}`];
    return deleteMatching(this.query, matching, parts.filter(Boolean).join(", "), done);
  }
}
