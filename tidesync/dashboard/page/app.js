// The page: one stream, one view at a time, and the alarm above it.

import { post } from "./api.js";
import { element, mark, setText, show } from "./dom.js";
import { FleetView } from "./fleet.js";
import { count, duration } from "./format.js";
import { Fleet } from "./state.js";
import { Stream } from "./stream.js";
import { VehicleView } from "./vehicle.js";

const main = document.getElementById("main");
const waiting = document.getElementById("waiting");
const alarm = document.getElementById("alarm");
const link = document.getElementById("link");
const linkText = document.getElementById("link-text");

const stream = new Stream("api/events?deltas=true", {
  received(update) {
    if (instance !== null && update.about && update.about.instance !== instance) view?.restarted?.();
    if (update.about) instance = update.about.instance;
    if (!fleet.take(update)) {
      stream.open();
      return;
    }
    if (view instanceof Login) route();
    draw();
  },
  unauthorized() {
    if (!(view instanceof Login)) open(new Login());
  },
});
const fleet = new Fleet(stream);
let view = null;
let instance = null;

class Login {
  constructor() {
    this.input = element("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
    this.fault = element("p", { class: "fault", role: "alert" });
    const form = element(
      "form",
      { class: "card login", onsubmit: (event) => this.send(event) },
      element("h1", {}, "Log in"),
      element("input", { class: "aside", type: "text", autocomplete: "username", value: "tidesync", tabindex: "-1", "aria-hidden": "true", readonly: true }),
      element("label", { for: "token" }, "The dashboard's token"),
      this.input,
      element("button", { class: "button strong", type: "submit" }, "Log in"),
      this.fault,
    );
    this.node = form;
  }

  async send(event) {
    event.preventDefault();
    try {
      await post("api/login", { token: this.input.value });
      stream.open();
    } catch (fault) {
      setText(this.fault, fault.message);
    }
  }

  draw() {}
}

function route() {
  const parts = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  if (parts[0] === "vehicle" && parts[1]) open(new VehicleView(fleet, parts[1], parts[2] || null));
  else open(new FleetView(fleet));
  draw();
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

function open(next) {
  view?.close?.();
  view = next;
  main.replaceChildren(view.node);
  window.scrollTo(0, 0);
}

// What concerns everything that is shown, worst first; null if nothing.
function trouble() {
  const silent = stream.silent_s();
  if (!stream.alive()) {
    if (fleet.about === null) return silent > 2 ? "The dashboard's server does not answer. Trying again …" : null;
    return `The dashboard's server has not answered for ${duration(silent)}. What is shown is old. Trying again …`;
  }
  if (!fleet.broker.connected) {
    const reason = fleet.broker.problem.replace(/^broker \S+: /, "");
    return `No broker at ${fleet.broker.address}: ${reason}. What is shown is old. Trying again …`;
  }
  if (fleet.broker.problem) return fleet.broker.problem;
  const quiet = fleet.quiet_s();
  if (quiet !== null)
    return `Nothing has arrived from the broker for ${duration(quiet)}: do it and the topside still run?`;
  if (fleet.not_shown > 0) return `${count(fleet.not_shown)} ${fleet.not_shown === 1 ? "vehicle is" : "vehicles are"} not shown: more names were heard than there is room for.`;
  return null;
}

function draw() {
  if (fleet.about !== null) fleet.look();
  const wrong = trouble();
  show(alarm, wrong !== null);
  setText(alarm, wrong ?? "");
  const live = stream.alive() && fleet.broker.connected;
  mark(document.body, "live", live && wrong === null);
  mark(link, "state", live ? (wrong ? "quiet" : "live") : "lost");
  setText(linkText, linkWords(live, wrong));
  const title = fleet.about === null ? "Tidesync" : `${wrong ? "! " : ""}${fleet.tally()} · Tidesync`;
  if (document.title !== title) document.title = title;
  // Before the server's first message nothing is known: neither the vehicles, nor whether commands are allowed.
  const unknown = fleet.about === null && !(view instanceof Login);
  show(waiting, unknown);
  mark(document.body, "waiting", unknown);
  if (fleet.about !== null || view instanceof Login) view.draw();
}

function linkWords(live, wrong) {
  if (fleet.about === null) return "connecting …";
  if (!stream.alive()) return "server lost";
  if (!live) return "broker lost";
  return wrong ? "silent" : "live";
}

window.addEventListener("hashchange", route);
route();
stream.start();
setInterval(draw, 250);
mark(document.documentElement, "started", true); // for boot.js
