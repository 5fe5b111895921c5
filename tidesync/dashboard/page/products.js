// What can be made of a stopped session: its report, its corrected tables and one fused table.

import { get, post } from "./api.js";
import { element, setText, show, toast } from "./dom.js";
import { size, timeOfDay } from "./format.js";

const NAMES = { report: "Report", tables: "Corrected tables", fused: "One fused table" };
const SHOWN_LINES = 200;
const MOST_FILES = 200;
const AGAIN_MS = 1000;

export class ProductsView {
  constructor(fleet) {
    this.fleet = fleet;
    this.session = null;
    this.fetching = false;
    this.fetchedAt = -Infinity;
    this.rows = null; // made when they are first looked at: there may be hundreds of sessions
    this.problem = element("p", { class: "problem", hidden: true });
    this.node = element(
      "details",
      { class: "products", hidden: true },
      element("summary", {}, "Report and tables"),
      this.problem,
    );
    this.node.addEventListener("toggle", () => this.fetch());
  }

  draw(session) {
    this.session = session.session;
    show(this.node, session.state === "stopped" && !session.closing && this.fleet.mayCommand() && this.fleet.about.products);
    if (this.node.open && performance.now() - this.fetchedAt > AGAIN_MS) this.fetch();
  }

  get path() {
    return `api/sessions/${encodeURIComponent(this.session)}/products`;
  }

  async fetch() {
    if (this.fetching || !this.node.open || document.hidden) return;
    this.fetching = true;
    try {
      const answer = await get(this.path);
      this.rows ??= this.place();
      for (const product of answer.products) this.rows.get(product.kind)?.draw(product, this.path);
      show(this.problem, false);
    } catch (fault) {
      setText(this.problem, fault.message);
      show(this.problem, true);
    } finally {
      this.fetching = false;
      this.fetchedAt = performance.now();
    }
  }

  place() {
    const rows = new Map(Object.keys(NAMES).map((kind) => [kind, new Product(kind, () => this.make(kind))]));
    this.problem.before(...[...rows.values()].map((row) => row.node));
    return rows;
  }

  async make(kind) {
    try {
      await post(`${this.path}/${kind}`, {});
    } catch (fault) {
      toast(fault.message, "wrong");
    }
    this.fetch();
  }
}

class Product {
  constructor(kind, make) {
    this.kind = kind;
    this.shown = "";
    this.files = element("ul", { class: "files" });
    this.bar = element("progress", { max: "1" });
    this.at = element("p", { class: "detail" });
    this.problem = element("p", { class: "problem" });
    this.button = element("button", { class: "button small", type: "button", onclick: make }, "Make");
    this.node = element(
      "div",
      { class: "product", "data-kind": kind },
      element("span", { class: "what" }, NAMES[kind]),
      element("div", { class: "made" }, this.bar, this.at, this.files, this.problem),
      this.button,
    );
  }

  draw(product, path) {
    const busy = product.state === "waiting" || product.state === "making";
    this.node.dataset.state = product.state;
    this.button.disabled = busy;
    setText(this.button, product.state === "ready" ? "Make again" : "Make");
    show(this.bar, busy);
    if (product.progress === null) this.bar.removeAttribute("value");
    else this.bar.value = product.progress;
    show(this.at, busy || product.made_unix_s !== null);
    setText(this.at, busy ? `${product.state} …` : `made ${timeOfDay(1000 * product.made_unix_s)} by the dashboard’s clock`);
    setText(this.problem, product.problem ?? "");
    show(this.problem, product.problem !== null);
    const files = JSON.stringify(product.files);
    if (files === this.shown) return;
    this.shown = files;
    this.files.replaceChildren(...product.files.slice(0, MOST_FILES).map((file) => this.file(file, path)));
  }

  file(file, path) {
    const address = `${path}/${this.kind}/${file.name.split("/").map(encodeURIComponent).join("/")}`;
    const look = this.kind === "report" ? address : `${address}?lines=${SHOWN_LINES}`;
    const seen = this.kind === "report" || /\.(csv|tsv|txt)$/.test(file.name);
    const blank = { target: "_blank", rel: "noopener" };
    return element(
      "li",
      {},
      element("span", {}, `${file.name}, ${size(file.bytes)} `),
      seen ? element("a", { href: look, ...blank }, this.kind === "report" ? "Look" : "First rows") : null,
      element("a", { href: `${address}?download=true`, download: "" }, "Download"),
    );
  }
}
