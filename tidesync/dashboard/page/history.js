// A vehicle's last hours, fetched once and then added to; bounded here as it is at the server.

import { get } from "./api.js";

const COLUMNS = [
  "at_unix_ms", "offset_ms", "lower_ms", "upper_ms", "max_error_ms", "drift_ppm", "delay_min_ms", "segment", "state",
];
const ANEW_MS = 300000;
const MOST_INCIDENTS = 200;

export class History {
  constructor(vehicle, topside) {
    this.path = `api/vehicles/${encodeURIComponent(vehicle)}/history`;
    this.topside = topside;
    this.forget();
  }

  forget() {
    this.last = 0;
    this.instance = null;
    this.fetchedAt = null;
    this.wholeAt = -Infinity;
    this.now_unix_ms = null;
    this.incidents = [];
    this.columns = Object.fromEntries(COLUMNS.map((name) => [name, []]));
  }

  // The server's wall clock now, as far as its last answer tells.
  now() {
    return this.now_unix_ms === null ? Date.now() : this.now_unix_ms + performance.now() - this.fetchedAt;
  }

  async update() {
    const whole = performance.now() - this.wholeAt > ANEW_MS;
    const asked = new URLSearchParams({ after: whole ? 0 : this.last });
    if (this.topside) asked.set("topside", this.topside);
    const news = await get(`${this.path}?${asked}`);
    if (this.instance !== null && news.instance !== this.instance && !whole) {
      this.forget();
      return this.update();
    }
    if (whole) {
      this.forget();
      this.wholeAt = performance.now();
    }
    this.instance = news.instance;
    this.last = news.last;
    this.now_unix_ms = news.now_unix_ms;
    this.fetchedAt = performance.now();
    for (const name of COLUMNS) this.columns[name].push(...news[name]);
    this.incidents.push(...news.incidents);
    this.incidents.splice(0, this.incidents.length - MOST_INCIDENTS);
    return news.at_unix_ms.length > 0 || news.incidents.length > 0;
  }
}
