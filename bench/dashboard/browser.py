"""Chromium as it watches the dashboard: what its pages hold after a collection, and its processor time."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from playwright.sync_api import sync_playwright

from bench.peers.processes import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, CDPSession, Page

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_READY_MS = 30_000


class Heap(NamedTuple):
    """What a page holds after a collection."""

    heap_mb: float
    nodes: int


class Frames(NamedTuple):
    """Of a page that is scrolled: frames a second, and how long the longest of them took."""

    per_s: float
    longest_ms: float


_SCROLL = """([seconds, step]) => new Promise((done) => {
  let frames = 0, longest = 0, before = performance.now();
  const began = before;
  const next = (now) => {
    frames += 1;
    longest = Math.max(longest, now - before);
    before = now;
    window.scrollBy(0, step);
    if (now < began + seconds * 1000) requestAnimationFrame(next);
    else done([(frames - 1) / ((now - began) / 1000), longest]);
  };
  requestAnimationFrame(next);
})"""
_SCROLL_PX = 40
"""A frame: some 30 rows a second."""
_LOADED = """() => performance.getEntries()
  .filter((entry) => entry.transferSize && !entry.name.includes("api/events"))
  .reduce((sum, entry) => sum + entry.transferSize, 0)"""
_HEADLINE = """() => {
  const words = document.querySelector(".verdict").textContent.replaceAll(",", "");
  const numbers = (words.match(/\\d+/g) ?? []).map(Number);
  if (words.startsWith("The timing of all")) return [numbers[0], numbers[0]];
  return numbers.length === 2 ? [numbers[1], numbers[1] - numbers[0]] : null;
}"""


class Watcher:
    """One page and what it holds."""

    def __init__(self, browser: Browser, url: str, ready: str, size: tuple[int, int] = (1280, 900)) -> None:
        self.page: Page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        self._session: CDPSession = self.page.context.new_cdp_session(self.page)
        self._session.send("Performance.enable")
        self.page.goto(url)
        self.page.wait_for_selector(ready, timeout=_READY_MS)

    def frames(self, seconds: float) -> Frames:
        """Scroll down for so long."""
        per_s, longest_ms = self.page.evaluate(_SCROLL, [seconds, _SCROLL_PX])
        return Frames(per_s, longest_ms)

    def loaded_bytes(self) -> int:
        """What it has loaded, headers included, without the stream."""
        return int(self.page.evaluate(_LOADED))

    def headline(self) -> list[int] | None:
        """How many vehicles its first line speaks of, and how many of them can be trusted."""
        numbers: list[int] | None = self.page.evaluate(_HEADLINE)
        return numbers

    def look_at_worst(self) -> float:
        """Seconds from a click on the first vehicle until its curves are drawn."""
        began_s = time.monotonic()
        self.page.locator("tbody .name").first.click()
        self.page.wait_for_selector('.graph .js-line[d^="M"]', state="attached", timeout=_READY_MS)
        return time.monotonic() - began_s

    def heap(self) -> Heap:
        self._session.send("HeapProfiler.collectGarbage")
        metrics = {
            one["name"]: one["value"] for one in self._session.send("Performance.getMetrics")["metrics"]
        }
        return Heap(metrics["JSHeapUsedSize"] / 1e6, int(metrics["Nodes"]))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium, driven by Playwright, without a network."""
    if PROGRAM is None:
        raise NotReadyError("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def cpu_s(browser: Browser) -> float:
    """Processor time of all of Chromium's processes since they started, in s."""
    session = browser.new_browser_cdp_session()
    try:
        processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    finally:
        session.detach()
    return float(sum(process["cpuTime"] for process in processes))
