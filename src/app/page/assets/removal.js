// Deleting: one group, what a search finds, everything. Each asks first.

import { change } from "./api.js";
import { confirm } from "./dialog.js";
import { h, say } from "./dom.js";
import { count, counted } from "./format.js";
import { chips } from "./labels.js";

// Deletes one group, by its path; then calls `done`.
export function deleteGroup(group, done) {
  confirm({
    title: "Delete this group?",
    text: [
      h("p", { class: "chips wrap" }, chips(group.labels)),
      h("p", {}, `It holds ${counted(group.series, "series", "series")}. The next push to it makes it anew.`),
    ],
    action: "Delete group",
    act: async (_, signal) => {
      await change("DELETE", `metrics/${group.path}`, signal);
      say("The group was deleted.");
      done();
    },
  });
}

// Deletes what the list shows; then calls `done`. The gateway refuses if that is not as many groups as are known here.
export function deleteMatching(query, matching, describe, done) {
  confirm({
    title: `Delete ${counted(matching, "group")}?`,
    text: [h("p", {}, "All groups that match "), h("p", {}, h("code", {}, describe))],
    action: `Delete ${counted(matching, "group")}`,
    word: String(matching),
    act: async (progress, signal) => {
      let left = matching;
      try {
        while (left > 0) {
          const answer = await change("PUT", `api/v1/groups/delete?${query}&expect=${left}`, signal);
          left = JSON.parse(answer).data.left;
          progress(matching - left, matching);
        }
      } finally {
        // Also if it was stopped, or refused on its way.
        done();
      }
      say(`${counted(matching, "group was", "groups were")} deleted.`);
    },
  });
}

export function wipe(groups, done) {
  confirm({
    title: "Delete everything?",
    text: h("p", {}, `All ${count(groups)} groups and what they hold.`),
    action: "Delete everything",
    word: String(groups),
    act: async (_, signal) => {
      await change("PUT", "api/v1/admin/wipe", signal);
      say("Everything was deleted.");
      done();
    },
  });
}
