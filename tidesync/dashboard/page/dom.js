// Elements, made and changed with text alone: nothing that came over the network is ever parsed as HTML.

export function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Changing the page only where it differs keeps a fleet of fifty cheap.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  const text = String(value);
  if (node.dataset[name] !== text) node.dataset[name] = text;
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

// A value, and below it the exact number where the value is rounded.
export class Quantity {
  constructor() {
    this.value = element("span", { class: "value" });
    this.exact = element("span", { class: "exact" });
  }

  draw(text, exact = "") {
    setText(this.value, text);
    setText(this.exact, exact);
  }
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

const MOST_TOASTS = 3;

// A short message at the foot of the page: done, or why not.
export function toast(text, kind = "done") {
  const place = document.getElementById("toasts");
  const note = element("p", { class: `toast ${kind}` }, text);
  place.append(note);
  while (place.children.length > MOST_TOASTS) place.firstChild.remove();
  setTimeout(() => note.remove(), kind === "done" ? 4000 : 10000);
}
