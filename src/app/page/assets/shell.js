// Commands to be pasted into a shell, and the clipboard.

import { h, say } from "./dom.js";
import { base } from "./route.js";

// One word of a POSIX shell, whatever is in it.
export function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

// What can be done with a group, by its path as the API has it: escaped, and base64 where it has to be.
export function commands(path) {
  const push = quote(new URL(`metrics/${path}`, base).href);
  const one = quote(new URL(`api/v1/groups/${path}`, base).href);
  return [
    ["Push: replace the families that the body names", `echo 'some_metric 42' | curl --data-binary @- ${push}`],
    ["Push: replace the whole group", `echo 'some_metric 42' | curl -X PUT --data-binary @- ${push}`],
    ["Delete the group", `curl -X DELETE ${push}`],
    ["Show what it holds", `curl -H 'Accept: text/plain' ${one}`],
  ];
}

export async function copy(text) {
  try {
    // Only there on https and localhost.
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say(copyBySelection(text) ? "Copied." : "The browser does not allow copying.");
  }
}

function copyBySelection(text) {
  const field = h("textarea", { class: "hidden", "aria-hidden": "true", readonly: true });
  const focused = document.activeElement;
  field.value = text;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return isCopied;
}

export function copyButton(what, text) {
  return h(
    "button",
    { type: "button", class: "small", onclick: async () => copy(await text()), "aria-label": `Copy: ${what}` },
    "Copy",
  );
}
