// The keyboard, where no field has it.

import { help, isOpen } from "./dialog.js";

// Calls what is named by the key; keys that nobody here knows go to the view at hand.
export function listen(actions, view) {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea, select");
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isOpen()) return;
    if (isTyping) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const action = event.key === "?" ? help : actions[event.key];
    const isDone = action ? (action(), true) : view().key(event);
    if (isDone) event.preventDefault();
  });
}
