// Fills the page from the JSON API, relative to the page. Whatever came from a push is set as text, never as markup.
"use strict";

function element(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function report(error) {
  const node = document.getElementById("error");
  node.textContent = String(error);
  node.hidden = false;
}

async function data(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${answer.statusText}`);
  return (await answer.json()).data;
}

// URL-safe base64 of the UTF-8 bytes; the = makes an empty value a path component.
function base64(text) {
  const bytes = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "") + "=";
}

// With UTF-8 names on, a name may hold a slash or look like an escape itself.
function escapedName(name, utf8Names) {
  if (!utf8Names || (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) && !name.startsWith("U__"))) return name;
  const escape = (c) => (c === "_" ? "__" : /[a-zA-Z0-9]/.test(c) ? c : `_${c.codePointAt(0).toString(16)}_`);
  return "U__" + Array.from(name, escape).join("");
}

function groupPath(labels, utf8Names) {
  const others = Object.keys(labels).filter((name) => name !== "job");
  const rest = others.map((name) => `/${escapedName(name, utf8Names)}@base64/${base64(labels[name])}`);
  return `metrics/job@base64/${base64(labels.job)}${rest.join("")}`;
}

async function deleteGroup(path, title, card) {
  if (!confirm(`Delete the group ${title}?`)) return;
  try {
    const answer = await fetch(path, { method: "DELETE" });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    card.remove();
  } catch (error) {
    report(error);
  }
}

function table(rows) {
  const node = element("table");
  for (const row of rows) {
    const line = node.appendChild(element("tr"));
    for (const cell of row) line.appendChild(element("td", cell));
  }
  return node;
}

function groupCard(group, utf8Names) {
  const card = element("section");
  const names = Object.keys(group.labels).sort((a, b) => (b === "job") - (a === "job") || (a < b ? -1 : 1));
  const badges = names.map((name) => `${name}=${JSON.stringify(group.labels[name])}`);
  const button = card.appendChild(element("button", "Delete Group"));
  button.onclick = () => deleteGroup(groupPath(group.labels, utf8Names), badges.join(", "), card);
  for (const badge of badges) card.appendChild(element("span", badge, "badge"));
  if (!group.last_push_successful) card.appendChild(element("span", "Last push failed!", "badge failed"));
  const pushed = Number(group.push_time_seconds?.metrics?.[0]?.value);
  card.appendChild(element("p", "Last pushed: " + (pushed ? new Date(pushed * 1000).toISOString() : "never successfully")));
  const families = Object.keys(group).filter((key) => Array.isArray(group[key]?.metrics)).sort();
  card.appendChild(table(families.map((name) => {
    const { type, help, metrics } = group[name];
    return [name, type, `${metrics.length} metric${metrics.length === 1 ? "" : "s"}`, help ?? ""];
  })));
  return card;
}

async function fill() {
  const [status, groups] = await Promise.all([data("api/v1/status"), data("api/v1/metrics")]);
  const utf8Names = status.flags["push.enable-utf8-names"] === "true";
  const exposition = status.flags["web.telemetry-path"] ?? "/metrics";
  document.getElementById("exposition").href = "." + exposition;
  const cards = groups.map((group) => groupCard(group, utf8Names));
  document.getElementById("groups").replaceChildren(...(cards.length ? cards : [element("p", "No groups.")]));
  const flags = table(Object.entries(status.flags));
  const build = table([["Started", status.start_time], ...Object.entries(status.build_information)]);
  document.getElementById("status").replaceChildren(build, element("h3", "Flags"), flags);
}

fill().catch(report);
