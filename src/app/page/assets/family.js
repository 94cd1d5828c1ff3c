// One family of a group: its samples in pages, histograms and summaries with their charts.

import { buckets, histogram, quantile, summary } from "./charts.js";
import { h, setText } from "./dom.js";
import { age, count, counted, full, rough } from "./format.js";
import { chip, pairs } from "./labels.js";

const SAMPLES_PER_PAGE = 20;
const CHARTS_PER_PAGE = 4;

const TYPES = {
  COUNTER: "counter",
  GAUGE: "gauge",
  SUMMARY: "summary",
  UNTYPED: "untyped",
  HISTOGRAM: "histogram",
  GAUGE_HISTOGRAM: "gauge histogram",
};

export class FamilyView {
  #first = 0;
  #family = null;
  #labels = {};

  constructor(name) {
    this.name = name;
    this.type = h("span", { class: "type" });
    this.size = h("span", { class: "muted" });
    this.written = h("span", { class: "muted" });
    this.help = h("p", { class: "help" });
    this.body = h("div", { class: "samples" });
    this.position = h("span", { class: "muted", role: "status" });
    this.back = h(
      "button",
      { type: "button", class: "small", "aria-label": `Previous samples of ${name}`, onclick: () => this.#turn(-1) },
      "‹",
    );
    this.forward = h(
      "button",
      { type: "button", class: "small", "aria-label": `Next samples of ${name}`, onclick: () => this.#turn(1) },
      "›",
    );
    this.pager = h("div", { class: "pager" }, this.back, this.position, this.forward);
    this.element = h(
      "section",
      { class: "family", "aria-label": `Family ${name}` },
      h("header", {}, h("h2", {}, h("bdi", {}, name)), this.type, this.size, this.written),
      this.help,
      this.body,
      this.pager,
    );
  }

  // Shows the family of a group with these labels; nothing moves if it is the one that is shown.
  update(family, labels) {
    if (this.#family?.time_stamp === family.time_stamp && this.#family.metrics.length === family.metrics.length) return;
    this.#family = family;
    this.#labels = labels;
    setText(this.type, TYPES[family.type] ?? family.type);
    setText(this.size, family.metrics.length === 1 ? "" : this.#noun(family.metrics.length));
    this.written.replaceChildren("pushed ", age(family.time_stamp));
    setText(this.help, family.help ?? "");
    this.help.hidden = !family.help;
    this.#first = Math.min(this.#first, this.#lastPage);
    this.#draw();
  }

  get #hasCharts() {
    return ["SUMMARY", "HISTOGRAM", "GAUGE_HISTOGRAM"].includes(this.#family.type);
  }

  get #perPage() {
    return this.#hasCharts ? CHARTS_PER_PAGE : SAMPLES_PER_PAGE;
  }

  get #lastPage() {
    return Math.max(0, Math.floor((this.#family.metrics.length - 1) / this.#perPage) * this.#perPage);
  }

  #noun(number) {
    return this.#hasCharts
      ? counted(number, TYPES[this.#family.type], this.#family.type === "SUMMARY" ? "summaries" : undefined)
      : counted(number, "sample");
  }

  #turn(pages) {
    this.#first = Math.min(Math.max(0, this.#first + pages * this.#perPage), this.#lastPage);
    this.#draw();
  }

  #draw() {
    const { metrics } = this.#family;
    const shown = metrics.slice(this.#first, this.#first + this.#perPage);
    this.body.replaceChildren(
      this.#hasCharts
        ? h(
            "div",
            {},
            shown.map((metric) => this.#compound(metric)),
          )
        : this.#table(shown),
    );
    this.pager.hidden = metrics.length <= this.#perPage;
    setText(
      this.position,
      `${count(this.#first + 1)}–${count(this.#first + shown.length)} of ${count(metrics.length)}`,
    );
    this.back.disabled = this.#first === 0;
    this.forward.disabled = this.#first >= this.#lastPage;
  }

  // The labels that tell a metric from others of the group.
  #chips(metric) {
    const own = pairs(metric.labels).filter(
      ([name, value]) => this.#labels[name] !== value && !(name === "instance" && value === ""),
    );
    return own.length === 0
      ? h("span", { class: "muted" }, "no labels of its own")
      : own.map(([name, value]) => chip(name, value));
  }

  #table(metrics) {
    const rows = metrics.map((metric) =>
      h(
        "tr",
        {},
        h("td", {}, h("div", { class: "chips wrap" }, this.#chips(metric))),
        h("td", { class: "value" }, this.#value(metric.value)),
      ),
    );
    return h(
      "table",
      {},
      h(
        "thead",
        { class: "hidden" },
        h("tr", {}, h("th", { scope: "col" }, "Labels"), h("th", { scope: "col" }, "Value")),
      ),
      h("tbody", {}, rows),
    );
  }

  #value(text) {
    const number = Number(text);
    const isTime =
      /(_time|_timestamp|_unixtime)(_seconds)?$|_timestamp_seconds/.test(this.name) && number > 1e9 && number < 1e10;
    return [
      h("span", { title: text }, full(text)),
      isTime && h("span", { class: "muted" }, " ", age(new Date(number * 1000).toISOString())),
    ];
  }

  #compound(metric) {
    const isSummary = this.#family.type === "SUMMARY";
    const number = Number(metric.count);
    const facts = [
      ["count", full(metric.count)],
      ["sum", full(metric.sum)],
    ];
    if (number > 0) facts.push(["mean", rough(Number(metric.sum) / number)]);
    return h(
      "article",
      { class: "compound" },
      h("div", { class: "chips wrap" }, this.#chips(metric)),
      isSummary ? this.#summary(metric, facts) : this.#histogram(metric, facts),
    );
  }

  #summary(metric, facts) {
    const has = Object.keys(metric.quantiles).length > 0;
    return h("div", { class: "drawn" }, has && summary(metric.quantiles), list(facts));
  }

  #histogram(metric, facts) {
    const all = buckets(metric);
    for (const rank of [0.5, 0.9, 0.99]) {
      const found = quantile(all, rank);
      if (found) facts.push([`p${rank * 100}`, `${found.isAbove ? ">" : "≈"} ${rough(found.value)}`]);
    }
    const rows = all.map(({ name, count: number }) =>
      h("tr", {}, h("td", {}, name), h("td", { class: "value" }, full(String(number)))),
    );
    const numbers = h(
      "details",
      {},
      h("summary", {}, counted(all.length, "bucket")),
      h(
        "table",
        { class: "numbers" },
        h(
          "thead",
          { class: "hidden" },
          h("tr", {}, h("th", { scope: "col" }, "Bucket"), h("th", { scope: "col" }, "Count")),
        ),
        h("tbody", {}, rows),
      ),
    );
    return h("div", { class: "drawn" }, histogram(all), h("div", {}, list(facts), numbers));
  }
}

function list(facts) {
  return h(
    "dl",
    { class: "facts" },
    facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}
