"""Chromium as it watches the dashboard: what its pages hold after a collection, and its processor time."""

from __future__ import annotations

import shutil
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


class Watcher:
    """One page and what it holds."""

    def __init__(self, browser: Browser, url: str, ready: str) -> None:
        self.page: Page = browser.new_page(viewport={"width": 1280, "height": 900})
        self._session: CDPSession = self.page.context.new_cdp_session(self.page)
        self._session.send("Performance.enable")
        self.page.goto(url)
        self.page.wait_for_selector(ready, timeout=_READY_MS)

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
