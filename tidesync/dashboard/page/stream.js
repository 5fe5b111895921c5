// The live stream, watched: how old each message is, whether the server still speaks, coming back by itself.
//
// Ages are never taken from the browser's wall clock. The server says its own monotonic time in each message; the
// least difference to ours that has been seen is a message that was not held up, and one that was is older by
// what it exceeds that. A page that slept is told apart from one that was awake by the wall clock's jump.

const SILENT_MS = 2500;
const AGAIN_MS = 1000;
const LATE_MS = 10000;
const SLEPT_MS = 1500;

export class Stream {
  constructor(path, { news, unauthorized }) {
    this.path = path;
    this.news = news;
    this.unauthorized = unauthorized;
    this.source = null;
    this.heardAt = null;
    this.openedAt = 0;
    this.startedAt = performance.now();
    this.least = Infinity;
    this.ahead = Date.now() - performance.now();
    this.distrusted = true;
  }

  start() {
    this.open();
    setInterval(() => this.watch(), 250);
    document.addEventListener("visibilitychange", () => this.watch());
    window.addEventListener("pageshow", () => this.watch());
  }

  // The server's monotonic time now, in seconds; null before the first message.
  now_s() {
    return this.least === Infinity ? null : (performance.now() - this.least) / 1000;
  }

  // Whether what is shown may be taken for current, and else for how long it has not been so.
  silent_s() {
    if (this.heardAt === null) return (performance.now() - this.startedAt) / 1000;
    return (performance.now() - this.heardAt) / 1000;
  }

  alive() {
    return !this.distrusted && this.heardAt !== null && performance.now() - this.heardAt < SILENT_MS;
  }

  open() {
    this.source?.close();
    this.least = Infinity;
    this.openedAt = performance.now();
    const source = new EventSource(this.path);
    this.source = source;
    source.onmessage = (message) => this.hear(JSON.parse(message.data));
    source.onerror = () => {
      if (source !== this.source) return;
      source.close();
      this.source = null;
      this.openedAt = performance.now();
      this.checkAccess();
    };
  }

  hear(news) {
    const at = performance.now();
    const difference = at - news.now_s * 1000;
    this.least = Math.min(this.least, difference);
    const late = difference - this.least;
    if (late > LATE_MS) {
      this.open(); // what comes is old, and there is more of it: begin anew
      return;
    }
    this.heardAt = at - late;
    this.distrusted = false;
    this.news(news);
  }

  watch() {
    const ahead = Date.now() - performance.now();
    if (Math.abs(ahead - this.ahead) > SLEPT_MS) this.distrusted = true; // until the next message
    this.ahead = ahead;
    const since = performance.now() - Math.max(this.openedAt, this.heardAt ?? 0);
    if (this.source === null ? since > AGAIN_MS : since > SILENT_MS + AGAIN_MS) this.open();
  }

  async checkAccess() {
    try {
      const answer = await fetch("api/about", { cache: "no-store", signal: AbortSignal.timeout(2000) });
      if (answer.status === 401) this.unauthorized();
    } catch {
      // it is not there; the stream keeps trying
    }
  }
}
