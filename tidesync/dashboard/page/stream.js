// The live stream: how old each message is, whether the server still answers; it reconnects.
//
// Ages never use the browser's wall clock. Each message has the server's monotonic time. The least difference to
// ours is that of a message without delay; another message is older by what it exceeds that. A jump of the wall
// clock against the monotonic one shows that the page slept.

const SILENT_MS = 2500;
const AGAIN_MS = 1000;
const LATE_MS = 10000;
const SLEPT_MS = 1500;

export class Stream {
  constructor(path, { received, unauthorized }) {
    this.path = path;
    this.received = received;
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

  // For how long nothing has arrived.
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

  hear(update) {
    const at = performance.now();
    const difference = at - update.now_s * 1000;
    this.least = Math.min(this.least, difference);
    const late = difference - this.least;
    if (late > LATE_MS) {
      this.open(); // a backlog of old messages: reconnect
      return;
    }
    this.heardAt = at - late;
    this.distrusted = false;
    this.received(update);
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
      // no server; the stream keeps trying
    }
  }
}
