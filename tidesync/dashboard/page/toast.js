// A short word at the foot of the page: done, or why not.

import { element } from "./dom.js";

const MOST = 3;

export function toast(text, kind = "done") {
  const place = document.getElementById("toasts");
  const note = element("p", { class: `toast ${kind}` }, text);
  place.append(note);
  while (place.children.length > MOST) place.firstChild.remove();
  setTimeout(() => note.remove(), kind === "done" ? 4000 : 10000);
}
