// The view of one group: what it holds, its text, and the commands to push to it and to delete it.

import { changed, isAbort, Latest, Refused, text } from "./api.js";
import { h, setText } from "./dom.js";
import { age, bytes, count } from "./format.js";
import { FamilyView } from "./family.js";
import { chipLinks, described } from "./labels.js";
import { deleteGroup } from "./removal.js";
import { go, href } from "./route.js";
import { commands, copyButton } from "./shell.js";

const TABS = [
  ["", "Metrics"],
  ["text", "Text"],
  ["commands", "Commands"],
];
// Families that are drawn at once, and characters of text that are shown of a long one.
const FAMILIES_PER_STEP = 50;
const TEXT_SHOWN = 200000;

export class GroupView {
  #route = null;
  #found = null;
  #latest = new Latest();
  #families = new Map();
  #drawn = FAMILIES_PER_STEP;
  #textOf = null;

  constructor() {
    this.title = h("h1", { class: "chips wrap" });
    this.back = h("a", { class: "back", href: "./" }, "← Groups");
    this.remove = h(
      "button",
      { type: "button", class: "danger quiet", onclick: () => this.#delete() },
      "Delete group…",
    );
    this.error = h("p", { class: "error", role: "alert", hidden: true });
    this.failure = h("div", { class: "failure", hidden: true });
    this.facts = h("dl", { class: "facts wide" });
    this.tabs = h("nav", { class: "tabs", "aria-label": "Parts of the group" });
    this.filter = h("input", {
      type: "search",
      id: "families",
      placeholder: "Filter families",
      "aria-label": "Filter families by name or help",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.#drawFamilies(),
    });
    this.list = h("div", { class: "families" });
    this.more = h("button", { type: "button", class: "more", onclick: () => this.#showMore() });
    this.metrics = h("div", { class: "part" }, h("div", { class: "search inside" }, this.filter), this.list, this.more);
    this.text = h("div", { class: "part" });
    this.commands = h("div", { class: "part" });
    this.content = h("div", {}, this.failure, this.facts, this.tabs, this.metrics, this.text, this.commands);
    this.element = h(
      "section",
      { class: "group", "aria-label": "Group" },
      this.back,
      h("div", { class: "heading" }, this.title, this.remove),
      this.error,
      this.content,
    );
  }

  async show(route) {
    const isOther = route.group !== this.#route?.group;
    this.#route = route;
    this.back.href = href({ ...route, view: "groups" });
    this.#showTabs();
    if (isOther) {
      this.#found = null;
      this.#families.clear();
      this.#drawn = FAMILIES_PER_STEP;
      this.#textOf = null;
      this.filter.value = "";
      this.#showName();
    }
    if (isOther || !this.#found) await this.refresh();
    else await this.#showPart();
  }

  async refresh() {
    const { group } = this.#route;
    try {
      // Addresses can be written by hand; this one would lead elsewhere.
      if (/(^|\/)(\.|%2e){1,2}(\/|$)/i.test(group)) throw new Refused(404, "");
      const answer = await changed(`api/v1/groups/${group}`, this.#found?.tag, this.#latest.next());
      if (answer) {
        this.#found = answer;
        this.#draw();
      }
      this.error.hidden = true;
    } catch (error) {
      if (isAbort(error)) return;
      if (error.status === 404) {
        this.#found = null;
        this.#showName();
      }
      this.error.hidden = false;
      setText(this.error, error.status === 404 ? "This group is not there, or not any more." : error.message);
    }
    await this.#showPart();
  }

  // All that is known of a group that is not there, or not yet: its path.
  #showName() {
    let name = this.#route.group;
    try {
      name = decodeURIComponent(name);
    } catch {
      // Somebody wrote it by hand.
    }
    this.title.replaceChildren(name);
    document.title = `${name} – Prometheus Pushgateway`;
    this.content.hidden = this.remove.hidden = true;
  }

  leave() {
    this.#latest.stop();
  }

  key(event) {
    if (event.key === "Escape") go({ ...this.#route, view: "groups", group: "", tab: "" });
    else if (event.key === "d" && this.#found) this.#delete();
    else if (event.key === "f") this.filter.focus();
    else return false;
    return true;
  }

  // ---- drawing ----

  #draw() {
    const { data } = this.#found;
    const { labels } = data.group;
    this.content.hidden = this.remove.hidden = false;
    this.title.replaceChildren(...chipLinks(labels));
    document.title = `${described(labels)} – Prometheus Pushgateway`;
    const facts = [
      ["Last push", age(data.pushed)],
      ["Last failure", age(data.failed)],
      ["Families", count(data.families)],
      ["Series", count(data.series)],
      ["Size", bytes(data.bytes)],
    ];
    this.facts.replaceChildren(...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    this.#drawFailure(data);
    this.#drawFamilies();
    this.#drawCommands(data.path);
  }

  #drawFailure({ failed, failure, group }) {
    const isFailing = !group.last_push_successful;
    this.failure.hidden = !failed || (!isFailing && !failure);
    this.failure.classList.toggle("past", !isFailing);
    if (this.failure.hidden) return;
    const what = isFailing ? "The last push was refused " : "A push was refused, before the last one was accepted: ";
    this.failure.replaceChildren(
      h("p", {}, what, age(failed)),
      h("pre", {}, failure ?? "The reason is not known any more."),
    );
  }

  get #matching() {
    const { group } = this.#found.data;
    const wanted = this.filter.value.trim().toLowerCase();
    const names = Object.keys(group).filter((name) => Array.isArray(group[name]?.metrics));
    const own = ["push_time_seconds", "push_failure_time_seconds"];
    // The gateway's own come last: they are in every group.
    names.sort((a, b) => own.includes(a) - own.includes(b) || (a < b ? -1 : 1));
    return names.filter((name) => `${name}\n${group[name].help ?? ""}`.toLowerCase().includes(wanted));
  }

  #drawFamilies() {
    const { group } = this.#found.data;
    const names = this.#matching;
    const shown = names.slice(0, this.#drawn).map((name) => {
      if (!this.#families.has(name)) this.#families.set(name, new FamilyView(name));
      const view = this.#families.get(name);
      view.update(group[name], group.labels);
      return view.element;
    });
    for (const name of this.#families.keys()) if (!group[name]) this.#families.delete(name);
    // Elements that stay where they are keep focus and open parts.
    const present = [...this.list.children];
    if (present.length !== shown.length || present.some((element, at) => element !== shown[at]))
      this.list.replaceChildren(...shown);
    this.more.hidden = names.length <= this.#drawn;
    setText(this.more, `Show more of ${count(names.length)} families`);
  }

  #showMore() {
    this.#drawn += FAMILIES_PER_STEP;
    this.#drawFamilies();
  }

  #drawCommands(path) {
    const rows = commands(path).map(([what, command]) =>
      h(
        "div",
        { class: "command" },
        h("h2", {}, what),
        h("pre", { tabindex: 0, "aria-label": what }, command),
        copyButton(what, () => command),
      ),
    );
    this.commands.replaceChildren(...rows);
  }

  // ---- parts ----

  #showTabs() {
    this.tabs.replaceChildren(
      ...TABS.map(([tab, name]) => {
        const isCurrent = this.#route.tab === tab;
        return h("a", { href: href({ ...this.#route, tab }), "aria-current": isCurrent ? "page" : null }, name);
      }),
    );
  }

  async #showPart() {
    const parts = { "": this.metrics, text: this.text, commands: this.commands };
    for (const [tab, part] of Object.entries(parts)) part.hidden = tab !== this.#route.tab;
    if (this.#route.tab === "text" && this.#found && this.#textOf !== this.#found.tag) await this.#showText();
  }

  async #showText() {
    const { tag, data } = this.#found;
    try {
      const whole = await text(`api/v1/groups/${data.path}`, this.#latest.next());
      this.#textOf = tag;
      const cut = whole.length > TEXT_SHOWN ? whole.lastIndexOf("\n", TEXT_SHOWN) + 1 : whole.length;
      const note =
        cut < whole.length
          ? `The first ${bytes(cut)} of ${bytes(whole.length)}; all of it is copied.`
          : "As the scrape has it.";
      this.text.replaceChildren(
        h(
          "div",
          { class: "above" },
          h("p", { class: "muted" }, note),
          copyButton("text of the group", () => whole),
        ),
        h("pre", { class: "exposition", tabindex: 0, "aria-label": "Exposition text" }, whole.slice(0, cut)),
      );
    } catch (error) {
      if (!isAbort(error)) this.text.replaceChildren(h("p", { class: "error", role: "alert" }, error.message));
    }
  }

  #delete() {
    const { group, path, series } = this.#found.data;
    deleteGroup({ labels: group.labels, path, series }, () =>
      go({ ...this.#route, view: "groups", group: "", tab: "" }),
    );
  }
}
