// The status view: what runs here, how it was started, and how it is doing.

import { data, isAbort, Latest } from "./api.js";
import { line } from "./charts.js";
import { h, setText } from "./dom.js";
import { age, bytes, count, counted, exact, full, longSpan, rough, serverNow } from "./format.js";

const EVERY_MS = 2000;
const SPAN_MS = 5 * 60 * 1000;

const BUILD = [
  ["version", "Version"],
  ["revision", "Revision"],
  ["branch", "Branch"],
  ["buildUser", "Built by"],
  ["buildDate", "Built"],
  ["goVersion", "Compiler"],
];

// When changes get into the persistence file.
const when = (flags) =>
  flags["persistence.sync"] === "always"
    ? " before changes are answered."
    : `, at most every ${flags["persistence.interval"]}.`;

const perSecond = (value) => `${rough(value)}/s`;
const seconds = (value) => (value < 1 ? `${rough(value * 1000)} ms` : `${rough(value)} s`);

// What is drawn over time: from a reading, and the one before with the seconds between them.
const CHARTS = [
  {
    label: "Pushes accepted",
    format: perSecond,
    of: (now, last, span) => last && (now.accepted - last.accepted) / span,
    note: (now) => `${count(now.accepted)} since the start`,
  },
  {
    label: "Pushes refused",
    format: perSecond,
    isBad: true,
    of: (now, last, span) => last && (now.refused - last.refused) / span,
    note: (now) => `${count(now.refused)} since the start`,
  },
  { label: "Push duration, p90", format: seconds, of: (now) => now.slowest, note: () => "of the last ten minutes" },
  {
    label: "Stored text",
    format: bytes,
    of: (now) => now.bytes,
    note: (now) => `${counted(now.groups, "group")}, ${counted(now.pages, "page")}`,
  },
  {
    label: "Scrapes",
    format: perSecond,
    of: (now, last, span) => last && (now.scrapes - last.scrapes) / span,
    note: (now) => `${bytes(now.bytes)} each${now.packed ? `, ${bytes(now.packed)} with gzip` : ""}`,
  },
  {
    label: "Resident memory",
    format: bytes,
    of: (now) => now.memory,
    note: (now) => (now.cpu === null ? "" : `${rough(now.cpu)} s of CPU time`),
  },
];

export class StatusView {
  #status;
  #latest = new Latest();
  #readings = [];
  #packed = 0;
  #timer = 0;
  #isShown = false;
  #isLive = () => true;

  // `status()` gives what the gateway says of itself; `isLive()` whether to go on asking.
  constructor(status, isLive) {
    this.#status = status;
    this.#isLive = isLive;
    this.error = h("p", { class: "error", role: "alert", hidden: true });
    this.build = h("dl", { class: "pairs" });
    this.persistence = h("div", {});
    // What the gateway tells of it as it runs.
    this.writes = h("dl", { class: "pairs wide" });
    this.flags = h("tbody", {});
    this.samples = h("tbody", {});
    this.cards = CHARTS.map(({ label, isBad }) => {
      const card = {
        value: h("p", { class: "big" }, "–"),
        peak: h("p", { class: "muted" }),
        chart: h("div", { class: "plot" }),
        note: h("p", { class: "muted" }, " "),
      };
      card.element = h(
        "section",
        { class: isBad ? "card bad" : "card", "aria-label": label },
        h("header", {}, h("h2", {}, label), card.peak),
        card.value,
        card.chart,
        card.note,
      );
      return card;
    });
    const table = (name, heads, body) =>
      h(
        "table",
        { class: "plain", "aria-label": name },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            heads.map((head) => h("th", { scope: "col" }, head)),
          ),
        ),
        body,
      );
    this.element = h(
      "section",
      { class: "status", "aria-label": "Status" },
      h("h1", { class: "hidden" }, "Status"),
      this.error,
      h(
        "div",
        { class: "cards" },
        this.cards.map((card) => card.element),
      ),
      h(
        "div",
        { class: "columns" },
        h(
          "section",
          { class: "box" },
          h("h2", {}, "This gateway"),
          this.build,
          h("h2", {}, "Persistence"),
          this.persistence,
          this.writes,
        ),
        h("section", { class: "box" }, h("h2", {}, "Flags"), table("Flags", ["Flag", "Value"], this.flags)),
      ),
      h(
        "details",
        { class: "box" },
        h("summary", {}, "All own metrics"),
        table("Own metrics", ["Sample", "Value"], this.samples),
      ),
    );
  }

  async show() {
    document.title = "Status – Prometheus Pushgateway";
    this.#isShown = true;
    this.#drawStatus(await this.#status());
    clearTimeout(this.#timer);
    await this.#turn();
  }

  leave() {
    this.#isShown = false;
    clearTimeout(this.#timer);
    this.#latest.stop();
  }

  async refresh() {
    // Otherwise it is read at its own, even pace: rates over uneven spans jump.
    if (!this.#isLive()) await this.#read();
  }

  key() {
    return false;
  }

  async #turn() {
    if (!document.hidden && (this.#isLive() || this.#readings.length === 0)) await this.#read();
    if (this.#isShown) this.#timer = setTimeout(() => this.#turn(), EVERY_MS);
  }

  async #read() {
    try {
      const found = await data("api/v1/telemetry", this.#latest.next());
      this.#readings.push(reading(found));
      this.#readings = this.#readings.filter(({ time }) => time > Date.now() - SPAN_MS - EVERY_MS);
      this.#draw(found);
      this.error.hidden = true;
    } catch (error) {
      if (isAbort(error)) return;
      this.error.hidden = false;
      setText(this.error, error.message);
    }
  }

  // ---- drawing ----

  #drawStatus({ build_information: build, flags, flags_changed: changed, start_time: started }) {
    this.uptime = h("dd", {}, longSpan((serverNow() - Date.parse(started)) / 1000));
    this.started = started;
    const rows = BUILD.filter(([key]) => build[key]).map(([key, name]) => [name, build[key]]);
    this.build.replaceChildren(
      ...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
      h("div", {}, h("dt", {}, "Started"), h("dd", {}, exact(started))),
      h("div", {}, h("dt", {}, "Uptime"), this.uptime),
    );
    const file = flags["persistence.file"];
    this.persistence.replaceChildren(
      file
        ? h("p", {}, "Written to ", h("code", {}, file), when(flags))
        : h(
            "p",
            {},
            "In memory only: a restart loses what was pushed. ",
            h("code", {}, "--persistence.file"),
            " keeps it.",
          ),
    );
    this.flags.replaceChildren(
      ...Object.entries(flags).map(([name, value]) => {
        const isChanged = changed.includes(name);
        return h(
          "tr",
          { class: isChanged ? "changed" : null },
          h("th", { scope: "row" }, `--${name}`, isChanged && h("span", { class: "mark" }, "changed")),
          h("td", {}, value === "" ? h("span", { class: "never" }, "empty") : value),
        );
      }),
    );
  }

  #draw({ families }) {
    if (this.started) setText(this.uptime, longSpan((serverNow() - Date.parse(this.started)) / 1000));
    const now = this.#readings.at(-1);
    if (now.packed) this.#packed = now.packed;
    CHARTS.forEach(({ label, format, of, note }, at) => {
      const points = this.#readings.map((reading, place) => {
        const last = this.#readings[place - 1];
        const value = of(reading, last, last ? (reading.time - last.time) / 1000 : 0) ?? null;
        // The gateway was started anew: its counters are lower than before.
        return [reading.time, value === null || value < 0 ? null : value];
      });
      const card = this.cards[at];
      const value = points.at(-1)[1];
      setText(card.value, value === null ? "–" : format(value));
      setText(card.note, note({ ...now, packed: this.#packed }) || " ");
      const known = points.map(([, number]) => number).filter((number) => number !== null);
      setText(card.peak, known.length > 1 ? `at most ${format(Math.max(...known))}` : "");
      card.chart.replaceChildren(line(points, { span: SPAN_MS, label, format }));
    });
    const writes = Object.entries(families)
      .filter(([name]) => /persist/.test(name))
      .flatMap(([, family]) => family.samples);
    this.writes.replaceChildren(
      ...writes.map(({ name, value }) => h("div", {}, h("dt", {}, name), h("dd", {}, full(value)))),
    );
    this.samples.replaceChildren(
      ...Object.values(families).flatMap(({ help, samples }) =>
        samples.map(({ name, labels, value }) => {
          const shown = Object.entries(labels)
            .map(([label, text]) => `${label}="${text}"`)
            .join(", ");
          return h(
            "tr",
            { title: help },
            h("th", { scope: "row" }, name, shown && h("span", { class: "muted" }, `{${shown}}`)),
            h("td", {}, full(value)),
          );
        }),
      ),
    );
  }
}

// The numbers that are drawn, out of what the gateway tells of itself.
function reading({ families, store }) {
  const samples = (name) => families[name]?.samples ?? [];
  const sum = (name, isCounted) =>
    samples(name)
      .filter(({ labels }) => isCounted(labels))
      .reduce((all, { value }) => all + Number(value), 0);
  const requests = (isCounted) =>
    sum("pushgateway_http_requests_total", (labels) => labels.handler === "push" && isCounted(labels.code));
  const only = (name) => (samples(name).length ? Number(samples(name)[0].value) : null);
  const slow = samples("pushgateway_http_push_duration_seconds")
    .filter(({ labels }) => labels.quantile === "0.9")
    .map(({ value }) => Number(value))
    .filter(Number.isFinite);
  return {
    time: Date.now(),
    accepted: requests((code) => code < "300"),
    refused: requests((code) => code >= "300"),
    slowest: slow.length ? Math.max(...slow) : null,
    scrapes: sum("promhttp_metric_handler_requests_total", () => true),
    bytes: store.bytes,
    groups: store.groups,
    pages: store.pages,
    // What is not compressed at the moment was changed since the last scrape.
    packed: store.compressed_pages === store.pages ? store.compressed_bytes : 0,
    memory: only("process_resident_memory_bytes"),
    cpu: only("process_cpu_seconds_total"),
  };
}
