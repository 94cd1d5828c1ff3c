// Dialogs: a question before something is deleted, with the errors and the progress where it was asked; and the help.

import { h, setText } from "./dom.js";

const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title" });
document.body.append(dialog);

export function isOpen() {
  return dialog.open;
}

function open(children) {
  dialog.replaceChildren(...children);
  dialog.showModal();
}

// Asks, and does it if the answer is yes. `word` has to be typed first, if there is one. `act` gets a function that
// shows progress and a signal that tells when to stop; what it throws is shown, and it can be tried again.
export function confirm({ title, text, action, word, act }) {
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const progress = h("progress", { "aria-label": "Progress", hidden: true });
  const note = h("p", { class: "muted", role: "status" });
  const field =
    word && h("input", { id: "dialog-word", autocomplete: "off", spellcheck: "false", inputmode: "numeric" });
  const yes = h("button", { type: "button", class: "danger" }, action);
  const no = h("button", { type: "button" }, "Cancel");
  const controller = new AbortController();
  const allow = () => (yes.disabled = Boolean(word) && field.value.trim().replaceAll(",", "") !== word);

  const run = async () => {
    yes.disabled = true;
    if (field) field.disabled = true;
    error.hidden = true;
    setText(no, "Stop");
    try {
      await act((done, all) => {
        progress.hidden = false;
        progress.max = all;
        progress.value = done;
        setText(note, `${done.toLocaleString("en-US")} of ${all.toLocaleString("en-US")} deleted`);
      }, controller.signal);
      dialog.close();
    } catch (failure) {
      error.textContent = failure.message;
      error.hidden = false;
      setText(no, "Close");
    }
  };

  yes.addEventListener("click", run);
  no.addEventListener("click", () => dialog.close());
  field?.addEventListener("input", allow);
  field?.addEventListener("keydown", (event) => event.key === "Enter" && !yes.disabled && run());
  dialog.addEventListener("close", () => controller.abort(), { once: true });
  allow();
  open(
    [
      h("h2", { id: "dialog-title" }, title),
      h("div", { class: "dialog-text" }, text),
      field && h("label", { for: "dialog-word" }, "Type ", h("b", {}, word), " to go on"),
      field,
      error,
      progress,
      note,
      h("div", { class: "buttons" }, no, yes),
    ].filter(Boolean),
  );
  (field ?? no).focus();
}

const KEYS = [
  ["/", "search"],
  ["↓ ↑ or j k", "next, previous group"],
  ["Enter", "open the group"],
  ["Esc", "clear the search, close the group"],
  ["d", "delete the group in focus, or the open one"],
  ["g / s", "groups, status"],
  ["r", "refresh now"],
  ["p", "pause or go on refreshing"],
  ["t", "light, dark, as the system"],
  ["?", "this help"],
];

const TERMS = [
  ["db1", "in any label name or value, in any case"],
  ["job=import", "the label has this value"],
  ["job!=import", "it has another"],
  ["instance=~db*.example", "* stands for anything"],
  ['dc="FRA 1"', "quotes for blanks and operators"],
  ["job=a dc=b", "both have to hold"],
];

export function help() {
  const rows = (list) =>
    h(
      "dl",
      { class: "keys" },
      list.map(([key, text]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, text))),
    );
  const close = h("button", { type: "button", onclick: () => dialog.close() }, "Close");
  open([
    h("h2", { id: "dialog-title" }, "Help"),
    h("h3", {}, "Keys"),
    rows(KEYS),
    h("h3", {}, "Search"),
    rows(TERMS),
    h("div", { class: "buttons" }, close),
  ]);
  close.focus();
}
