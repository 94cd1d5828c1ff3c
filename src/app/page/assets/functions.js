// Starts the page: its views, the way between them, refreshing. The file has the name of the original's script.

import { data } from "./api.js";
import { help } from "./dialog.js";
import { byId, remember, remembered, say } from "./dom.js";
import { GroupView } from "./group.js";
import { GroupsView } from "./groups.js";
import { listen } from "./keys.js";
import * as live from "./live.js";
import { follow, go, read } from "./route.js";
import { StatusView } from "./status.js";

let status = null;

// What the gateway says of itself; asked for once, and again if that failed.
function gateway() {
  status ??= data("api/v1/status").catch((error) => {
    status = null;
    throw error;
  });
  return status;
}

const isLive = () => byId("live").getAttribute("aria-pressed") === "true";
const views = { groups: new GroupsView(), group: new GroupView(), status: new StatusView(gateway, isLive) };
let view = views.groups;

async function show(route, scroll) {
  const next = views[route.view];
  if (next !== view) view.leave?.();
  view = next;
  for (const one of Object.values(views)) one.element.hidden = one !== view;
  for (const name of ["groups", "status"]) {
    const isCurrent = name === route.view || (name === "groups" && route.view === "group");
    if (isCurrent) byId(`nav-${name}`).setAttribute("aria-current", "page");
    else byId(`nav-${name}`).removeAttribute("aria-current");
  }
  if (scroll !== null) scrollTo(0, scroll);
  try {
    await view.show(route);
    if (scroll) scrollTo(0, scroll);
  } catch (error) {
    say(error.message);
  }
  live.postpone();
}

function focusSearch() {
  if (view !== views.groups) go({ ...read(), view: "groups", group: "", tab: "" });
  views.groups.search.focus();
  views.groups.search.select();
}

// As the system has it, light, dark.
function turnTheme() {
  const themes = [null, "light", "dark"];
  const now = remembered("theme") ?? document.documentElement.dataset.theme ?? null;
  const next = themes[(themes.indexOf(now) + 1) % themes.length];
  remember("theme", next);
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  showTheme();
  say(`Theme: ${next ?? "as the system has it"}.`);
}

function showTheme() {
  byId("theme").setAttribute(
    "aria-label",
    `Theme: ${document.documentElement.dataset.theme ?? "as the system has it"}`,
  );
}

byId("main").replaceChildren(...Object.values(views).map((one) => one.element));
byId("theme").addEventListener("click", turnTheme);
byId("help").addEventListener("click", help);
showTheme();
follow(show);
listen(
  {
    "/": focusSearch,
    g: () => go({ view: "groups" }),
    s: () => go({ view: "status" }),
    r: async () => {
      await live.now();
      say("Refreshed.");
    },
    p: live.toggle,
    t: turnTheme,
  },
  () => view,
);
live.start(() => view.refresh());
gateway().then(
  ({ flags }) => {
    views.groups.setAdminApi(flags["web.enable-admin-api"] === "true");
    byId("nav-metrics").setAttribute("href", `.${flags["web.telemetry-path"]}`);
  },
  (error) => say(error.message),
);
await show(read(), history.state?.scroll ?? 0);
performance.mark("interactive");
