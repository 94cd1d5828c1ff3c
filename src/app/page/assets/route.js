// What the address says: which view, which search, which group. Every state that can be shared is in it.

// The folder that the page is in, whatever prefix it is served below.
export const base = new URL(".", location.href);

const LIST = ["search", "state", "sort"];

// The state that an address stands for.
export function read(address = location) {
  const query = new URLSearchParams(address.search);
  const route = { view: address.pathname.endsWith("/status") ? "status" : "groups" };
  for (const name of [...LIST, "group", "tab"]) route[name] = query.get(name) ?? "";
  if (route.view === "groups" && route.group) route.view = "group";
  return route;
}

// The address of a state.
export function href(route) {
  if (route.view === "status") return new URL("status", base).href;
  const query = new URLSearchParams();
  const names = route.view === "group" ? [...LIST, "group", "tab"] : LIST;
  for (const name of names) if (route[name]) query.set(name, route[name]);
  const url = new URL(base);
  url.search = query;
  return url.href;
}

let show = () => {};

// Calls this with every state from now on.
export function follow(callback) {
  show = callback;
  history.scrollRestoration = "manual";
  let timer = 0;
  addEventListener(
    "scroll",
    () => {
      clearTimeout(timer);
      timer = setTimeout(noteScroll, 200);
    },
    { passive: true },
  );
  addEventListener("popstate", (event) => show(read(), event.state?.scroll ?? 0));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!link || !isPlain || link.target || !isOwn(link)) return;
    event.preventDefault();
    go(read(link));
  });
}

// Whether a link leads to another state of this page.
function isOwn(link) {
  const names = [base.pathname, new URL("status", base).pathname];
  return link.origin === base.origin && names.includes(link.pathname) && !link.hash;
}

// Notes how far the page is scrolled, for whoever comes back to it.
export function noteScroll() {
  history.replaceState({ scroll: scrollY }, "");
}

// Goes to a state; `isSame` if it is a refinement of the one at hand, which is not worth a step back.
export function go(route, isSame = false) {
  if (isSame) {
    history.replaceState({ scroll: scrollY }, "", href(route));
  } else {
    noteScroll();
    history.pushState({ scroll: 0 }, "", href(route));
  }
  show(read(), isSame ? null : 0);
}
