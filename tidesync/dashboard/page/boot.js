// Loads the page again when it did not load completely: a module whose request failed, or was never answered, would
// leave "connecting …" for ever. A classic script that needs no other file, so no failure of those stops it.

(() => {
  const STARTS_MS = 10000; // by then app.js has started, on a link that works
  const AGAIN_MS = 1000;
  const LONGEST_MS = 60000;
  const KEPT = "tidesync-loads"; // how many loads in a row have failed
  let waiting = false;

  const started = () => "started" in document.documentElement.dataset;

  // A browser may keep nothing for a page in a frame: then every pause is the first one.
  function failures() {
    try {
      return Number(sessionStorage.getItem(KEPT)) || 0;
    } catch {
      return 0;
    }
  }

  function keep(count) {
    try {
      sessionStorage.setItem(KEPT, String(count));
    } catch {
      // see failures()
    }
  }

  const backoff = (first_ms) => Math.min(LONGEST_MS, first_ms * 2 ** Math.min(failures(), 10));

  function again() {
    if (waiting || started()) return;
    waiting = true;
    const alarm = document.getElementById("alarm");
    if (alarm !== null) {
      alarm.textContent = "The page could not be loaded completely; trying again …";
      alarm.hidden = false;
    }
    setTimeout(reload, backoff(AGAIN_MS));
  }

  // Only once the server answers: the browser's own page for an error would not try again.
  async function reload() {
    try {
      const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (answer.ok && !started()) {
        keep(failures() + 1);
        location.reload();
        return;
      }
    } catch {
      // still out of reach
    }
    waiting = false;
    again();
  }

  function failed(link) {
    try {
      return !link.sheet?.cssRules.length;
    } catch {
      return true; // a browser has an empty one instead, and does not let us read its rules
    }
  }

  // A style sheet that failed is asked for again alone: it need not end what runs.
  function restyle(link) {
    const next = link.cloneNode();
    next.onerror = () => setTimeout(() => restyle(next), AGAIN_MS * 10);
    link.replaceWith(next);
  }

  // By what is missing: this script may have come later than the events of failures.
  function check() {
    if (!started()) again();
    for (const link of document.querySelectorAll("link[rel=stylesheet]")) if (failed(link)) restyle(link);
  }

  if (document.readyState === "complete") check();
  else window.addEventListener("load", check);
  setTimeout(() => (started() ? keep(0) : again()), backoff(STARTS_MS));
})();
