"""`python -m bench.dashboard.pictures`: the dashboard as a laptop and a phone show it, live, into docs/."""

from __future__ import annotations

import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.dashboard.browser import chromium
from bench.peers.processes import Programs, free_port, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_DOCS = Path(__file__).parents[2] / "docs"
_LAPTOP, _PHONE = (1280, 800), (390, 844)
_SECONDS_TO_DRAW = 100.0
"""Long enough for a step of the second vehicle and a stretch of curve after it."""


def main() -> None:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="pictures-") as made, Programs(Path(made)) as programs:
        options = (
            "--dashboard",
            "--dashboard-port",
            port,
            "--vehicles",
            12,
            "--duration",
            60,
            "--root",
            made,
        )
        programs.python("demo", "tidesync", "-q", "demo", *options)
        url = f"http://127.0.0.1:{port}/"
        wait_until(lambda: _serves(url), "the demo's dashboard", 30)
        time.sleep(_SECONDS_TO_DRAW)
        with chromium() as browser:
            _take(browser, f"{url}#/", _LAPTOP, "dashboard-laptop.png")
            _take(browser, f"{url}#/vehicle/rov2/topside", _LAPTOP, "dashboard-vehicle.png", full=True)
            _take(browser, f"{url}#/", _PHONE, "dashboard-phone.png")


def _take(browser: Browser, url: str, size: tuple[int, int], name: str, *, full: bool = False) -> None:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(url)
    page.wait_for_selector(".pill[data-state=locked]")
    if full:
        page.wait_for_selector('.graph .js-line[d^="M"]', state="attached")
    page.wait_for_timeout(1500)
    page.screenshot(path=_DOCS / name, full_page=full)
    page.close()


def _serves(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}health", timeout=1) as answer:  # noqa: S310 - our own
        return bool(answer.status == 200)
    return False


if __name__ == "__main__":
    main()
