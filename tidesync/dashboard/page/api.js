// Requests to the server: JSON both ways, its own sentence when it refuses. Every address is relative.

export class Refused extends Error {
  constructor(status, word, sentence) {
    super(sentence);
    this.status = status;
    this.word = word;
  }
}

async function fetched(path, options, timeout_ms) {
  const signal = AbortSignal.timeout(timeout_ms);
  let answer;
  try {
    answer = await fetch(path, { ...options, signal, credentials: "same-origin", cache: "no-store" });
  } catch (fault) {
    const why = fault.name === "TimeoutError" ? "did not answer in time" : "cannot be reached";
    throw new Refused(0, "unreachable", `The dashboard's server ${why}.`);
  }
  const body = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return body;
  throw new Refused(answer.status, body?.error ?? "unknown", body?.detail ?? `The server answered ${answer.status}.`);
}

export const get = (path, timeout_ms = 5000) => fetched(path, {}, timeout_ms);

export const post = (path, body, timeout_ms = 10000) =>
  fetched(
    path,
    { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) },
    timeout_ms,
  );
