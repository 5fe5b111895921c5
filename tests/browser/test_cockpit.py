"""A page as Cockpit's, in a real browser: as the desktop application's it listens, and shows the widget."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import expect

from bench.dashboard.browser import FLAGS, PROGRAM
from tests.deadline import BUSY, PATIENCE_S

pytestmark = pytest.mark.browser

PAGE = Path(__file__).with_name("cockpit_page.html")


@pytest.fixture
def stand_in(chromium, dashboard, tmp_path):
    """Opens the stand-in as a file: an application's own with `application`, else one that was downloaded."""
    path = tmp_path / "cockpit.html"
    path.write_text(PAGE.read_text(encoding="utf-8").replace("ADDRESS", dashboard.url), encoding="utf-8")
    with ExitStack() as stack:

        def begin(*, application):
            # Electron's pages are of origin file://, a browser's files of none: this flag is the difference.
            flags = [*FLAGS, *["--allow-file-access-from-files"] * application]
            browser = chromium.browser_type.launch(executable_path=PROGRAM, args=flags)
            stack.callback(browser.close)
            page = browser.new_page()
            page.goto(path.as_uri(), wait_until="domcontentloaded")
            return page

        yield begin


def wait_for(page, name, value, timeout_s=PATIENCE_S):
    page.wait_for_function(
        "([name, value]) => window.lake[name] === value",
        arg=[f"tidesync-{name}", value],
        timeout=timeout_s * 1000,
    )


def test_cockpit_on_the_desktop_has_the_values_and_the_widget_and_hears_of_a_dead_broker(
    boat, broker, stand_in
):
    boat.topside()
    boat.vehicle("rov1", offset_ns=-3_000_000_000)
    page = stand_in(application=True)
    wait_for(page, "rov1-state", "locked")
    assert float(page.evaluate("window.lake['tidesync-rov1-offset-ms']")) == pytest.approx(-3000, abs=5)
    widget = page.frame_locator("iframe")
    expect(widget.locator('tr[data-vehicle="rov1"] .pill')).to_have_text("locked")
    expect(widget.get_by_role("button", name="Measure")).to_have_count(0)
    broker.kill()
    began = time.monotonic()
    wait_for(page, "rov1-state", "unknown")
    assert time.monotonic() - began < 3 * BUSY
    broker.start()
    wait_for(page, "rov1-state", "locked")


def test_a_dashboard_that_comes_back_is_heard_again(boat, dashboard, stand_in):
    boat.topside()
    boat.vehicle("rov1")
    page = stand_in(application=True)
    wait_for(page, "rov1-state", "locked")
    dashboard.stop()
    wait_for(page, "rov1-state", "unknown")  # the last that it says
    dashboard.start()
    wait_for(page, "rov1-state", "locked")


def test_a_downloaded_page_does_not_listen(boat, stand_in):
    boat.topside()
    boat.vehicle("rov1")
    page = stand_in(application=False)
    page.wait_for_function("window.losses > 0", timeout=PATIENCE_S * 1000)
    assert page.evaluate("Object.keys(window.lake).length") == 0
