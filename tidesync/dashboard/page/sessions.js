// The sessions, and the form that starts another.

import { post } from "./api.js";
import { element, mark, setText, show, toast } from "./dom.js";
import { count, duration, size, timeOfDay } from "./format.js";
import { ProductsView } from "./products.js";

const SHOWN = 5;
const SENSOR = "[A-Za-z][A-Za-z0-9_\\-]{0,63}";

export class SessionsView {
  constructor(fleet) {
    this.fleet = fleet;
    this.entries = new Map();
    this.list = element("ul", { class: "sessions" });
    this.none = element("p", { class: "detail none" }, "No session yet.");
    this.room = element("p", { class: "detail" });
    this.older = element("ul", { class: "sessions" });
    this.count = element("summary");
    this.more = element("details", { class: "older" }, this.count, this.older);
    this.form = new StartForm(fleet);
    this.node = element(
      "section",
      { class: "card sessions-card", "aria-label": "Sessions" },
      element("h2", {}, "Sessions"),
      this.list,
      this.none,
      this.more,
      this.room,
      this.form.node,
    );
  }

  draw() {
    const all = this.fleet.sessionsByTime();
    const recording = all.filter((session) => session.state !== "stopped" || session.closing).length;
    const shown = Math.max(SHOWN, recording);
    const wanted = new Set(all.map((session) => session.session));
    for (const [name, entry] of this.entries) {
      if (!wanted.has(name)) {
        entry.node.remove();
        this.entries.delete(name);
      }
    }
    all.forEach((session, at) => {
      const [list, place] = at < shown ? [this.list, at] : [this.older, at - shown];
      if (list === this.older && !this.more.open) return; // hundreds that nobody looks at cost nothing
      if (!this.entries.has(session.session)) this.entries.set(session.session, new Entry(this.fleet));
      const entry = this.entries.get(session.session);
      entry.draw(session);
      if (list.children[place] !== entry.node) list.insertBefore(entry.node, list.children[place] ?? null);
    });
    show(this.none, all.length === 0);
    show(this.more, all.length > shown);
    setText(this.count, `${all.length - shown} older ${all.length - shown === 1 ? "session" : "sessions"}`);
    const free = this.fleet.computer?.free_bytes ?? null;
    show(this.room, free !== null);
    setText(this.room, `${size(free)} free where sessions are written`);
    this.form.draw();
  }
}

class Entry {
  constructor(fleet) {
    this.fleet = fleet;
    this.session = "";
    this.badge = element("span", { class: "badge" });
    this.name = element("strong", { class: "session-name" });
    this.facts = element("span", { class: "facts" });
    this.fault = element("p", { class: "fault" });
    this.button = element("button", { class: "button small", type: "button", onclick: () => this.stop() }, "Stop");
    this.products = new ProductsView(fleet);
    this.node = element(
      "li",
      {},
      element("div", { class: "session" }, this.badge, element("div", { class: "session-text" }, this.name, this.facts), this.button),
      this.fault,
      this.products.node,
    );
    this.stopping = false;
  }

  draw(session) {
    this.session = session.session;
    this.node.dataset.session = session.session;
    const silent = this.fleet.sessionSilent_s(session);
    const now = !this.fleet.connected() ? "old" : silent !== null ? "silent" : "recording";
    const word = session.state === "recording" ? now : session.closing ? "closing" : session.state;
    mark(this.badge, "state", word);
    setText(this.badge, word);
    setText(this.name, `${session.mission ?? "?"} / ${session.session}`);
    const sensors = Object.entries(session.sensors).map(([sensor, vehicle]) => `${sensor}=${vehicle}`);
    const facts = [sensors.join(", ") || "every vehicle", `${count(session.exchanges)} exchanges`];
    const long_s = this.fleet.sessionFor_s(session);
    if (long_s !== null) facts.push(`${duration(long_s)} ${session.state === "recording" ? "since" : "from"} ${timeOfDay(Date.parse(session.started_at))} by the recorder’s clock`);
    if (session.closing) facts.push("its last exchanges and its track are still being written");
    setText(this.facts, facts.join(" · "));
    const faults = [session.error, session.alarm === session.error ? null : session.alarm];
    if (silent !== null) faults.push(`its recorder has reported nothing for ${duration(silent)}; does it run?`);
    const text = faults.filter(Boolean).join(" · ");
    setText(this.fault, text);
    show(this.fault, text !== "");
    this.products.draw(session);
    show(this.button, this.fleet.mayCommand() && session.state !== "stopped");
    this.button.disabled = this.stopping || !this.fleet.connected();
    setText(this.button, this.stopping ? "Stopping …" : "Stop");
  }

  async stop() {
    this.stopping = true;
    this.button.disabled = true;
    try {
      const stopped = await post(`api/sessions/${encodeURIComponent(this.session)}/stop`, {}, 100000);
      toast(`Stopped ${stopped.session}: ${count(stopped.exchanges)} exchanges, in ${stopped.path}.`);
    } catch (fault) {
      toast(`${this.session}: ${fault.message}`, "wrong");
    } finally {
      this.stopping = false;
    }
  }
}

class StartForm {
  constructor(fleet) {
    this.fleet = fleet;
    this.known = "";
    this.mission = element("input", {
      id: "mission", name: "mission", required: true, maxlength: "200", autocomplete: "off",
      placeholder: "reef-42", title: "a folder's name: no / \\ : * ? \" < > |, no space or dot at either end",
    });
    this.sensors = element("div", { class: "sensors" });
    this.button = element("button", { class: "button strong", type: "submit" }, "Start recording");
    this.fault = element("p", { class: "fault", role: "alert", hidden: true });
    this.options = element("datalist", { id: "vehicles" });
    this.node = element(
      "form",
      { class: "start", onsubmit: (event) => this.send(event) },
      element("div", { class: "field" }, element("label", { for: "mission" }, "Mission"), this.mission),
      element(
        "div",
        { class: "field wide" },
        element("span", { class: "label-like" }, "Sensors, and the vehicle whose clock stamps each"),
        this.sensors,
        element("button", { class: "button plain", type: "button", onclick: () => this.addSensor("", "") }, "Add a sensor"),
      ),
      element("div", { class: "field end" }, this.button),
      this.fault,
      this.options,
    );
    this.addSensor("inWater", "");
  }

  addSensor(sensor, vehicle) {
    const line = element(
      "div",
      { class: "sensor" },
      element("input", { "aria-label": "Sensor", value: sensor, pattern: SENSOR, placeholder: "inWater", autocomplete: "off" }),
      element("span", { class: "equals", "aria-hidden": "true" }, "="),
      element("input", { "aria-label": "Vehicle", value: vehicle, list: "vehicles", placeholder: "all", autocomplete: "off", pattern: "[a-z0-9][a-z0-9_\\-]{0,62}" }),
      element("button", { class: "button plain", type: "button", "aria-label": "Remove this sensor", onclick: () => line.remove() }, "×"),
    );
    this.sensors.append(line);
  }

  draw() {
    show(this.node, this.fleet.mayCommand());
    this.button.disabled = !this.fleet.connected() || this.sending === true;
    const names = this.fleet.names();
    if (names.join() === this.known) return;
    this.known = names.join();
    this.options.replaceChildren(...names.map((name) => element("option", { value: name })));
  }

  chosen() {
    const sensors = {};
    for (const line of this.sensors.children) {
      const [sensor, vehicle] = [...line.querySelectorAll("input")].map((input) => input.value.trim());
      if (sensor && vehicle) {
        if (sensor in sensors) throw new Error(`${sensor} is there twice.`);
        sensors[sensor] = vehicle;
      } else if (vehicle) throw new Error(`Which sensor does ${vehicle} stamp?`);
    }
    return sensors;
  }

  async send(event) {
    event.preventDefault();
    this.complain("");
    this.sending = true;
    this.button.disabled = true;
    try {
      const started = await post("api/sessions", { mission: this.mission.value.trim(), sensors: this.chosen() });
      toast(`Recording ${started.session} in ${started.path}.`);
      for (const warning of started.warnings) toast(warning, "wrong");
    } catch (fault) {
      this.complain(fault.message);
    } finally {
      this.sending = false;
    }
  }

  complain(sentence) {
    setText(this.fault, sentence);
    show(this.fault, sentence !== "");
  }
}
