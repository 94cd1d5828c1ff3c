// Making elements. Text becomes text nodes and nothing else, so whatever was pushed stays text.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// An element with attributes, listeners (`onclick`, ...) and children: strings, elements, lists of them, or nothing.
export function h(name, properties, ...children) {
  return fill(document.createElement(name), properties, children);
}

// The same for SVG.
export function svg(name, properties, ...children) {
  return fill(document.createElementNS(SVG, name), properties, children);
}

export function byId(id) {
  return document.getElementById(id);
}

// Sets a text if it changed: a text node that is replaced takes the selection with it.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Says something to those who listen and, for a moment, to those who see.
export function say(text) {
  const node = byId("said");
  node.textContent = text;
  node.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => node.classList.remove("shown"), 2500);
}

// Remembered over visits, where storage is allowed.
export function remembered(key) {
  try {
    return localStorage.getItem(`pushgateway.${key}`);
  } catch {
    return null;
  }
}

export function remember(key, value) {
  try {
    if (value === null) localStorage.removeItem(`pushgateway.${key}`);
    else localStorage.setItem(`pushgateway.${key}`, value);
  } catch {
    // Then it holds for this visit.
  }
}
