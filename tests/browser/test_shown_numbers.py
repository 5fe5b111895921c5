"""What the page shows of numbers that are long, conditional, stale, or of two clocks; results are made up."""

import re
import threading
from datetime import UTC, datetime, timedelta

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import expect

from schemas.messages import Event
from schemas.names import session_level
from tests.deadline import until
from tests.results import offset_result
from tests.unit.dashboards import session

pytestmark = pytest.mark.browser

YEARS_MS = 57 * 365 * 86_400_000.0 + 14 * 86_400_000.0
CUT = "nodes => nodes.filter((node) => node.scrollWidth > node.clientWidth + 1).map((node) => node.innerText)"
"""The texts that have no room."""
DUPLICATE = {"state": "acquiring", "error": "duplicate_vehicle"}
MADE_UP = "<b>moon</b> phase"
NARROW = {
    "max_error_ms": 0.000709,
    "u95_ms": 0.000087,
    "drift_ppm": -34.9987,
    "drift_error_ppm": 0.0378,
    "delay_min_ms": 0.000625,
    "path": "udp",
}
FLEET = {
    "near": (1.25, {}),
    "narrow": (44_996.476_887, NARROW),
    "hour": (3_600_123.456, {}),
    "years": (-YEARS_MS, {}),
    "twice": (-150.312, DUPLICATE),
    "silent": (77.7, {"state": "holdover", "conditional": True}),
    "alone": (12.0, {"conditional": True}),
    "stale": (-86_400_000.5, {"state": "stale", "conditional": True, "max_error_ms": 7_312_345.0}),
    "later": (3.0, {"error": MADE_UP}),
    "odd": (4.0, {"state": MADE_UP}),
    "doubted": (5.0, {}),
    "doubted too": (5.0, DUPLICATE | {"vehicle": "doubted", "topside": "other"}),
}


@pytest.fixture
def surface(broker):
    """Publishes the results of the vehicles named, four times a second, as a topside does."""
    ended = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", int(broker.url.rpartition(":")[2]))
    client.loop_start()
    threads = []

    def send(topic, message, *, retain=False):
        client.publish(f"tidesync/v1/{topic}", message.encode(), 1, retain=retain)

    def publish(names):
        while not ended.wait(0.25):
            for name in names:
                offset_ms, changes = FLEET[name]
                at = datetime.now(UTC)
                error_ms = changes.get("max_error_ms", 0.42)
                near = {"lower_ms": offset_ms - error_ms, "upper_ms": offset_ms + error_ms}
                when = {"measured_at": at, "measured_unix_ms": int(at.timestamp() * 1000)}
                fields = near | when | {"vehicle": name, "topside": "laptop"} | changes
                result = offset_result(offset_ms=offset_ms, **fields)
                send(f"vehicle/{result.vehicle}/offset/{result.topside}", result, retain=True)

    def begin(*names):
        threads.append(threading.Thread(target=publish, args=(names,), daemon=True))
        threads[-1].start()

    def stepped(vehicle="years", step_ms=-YEARS_MS):
        """To be said once the results are heard: an event is not retained."""
        at = datetime.now(UTC)
        step = Event(vehicle=vehicle, kind="step", at=at, at_raw_ns=0, step_ms=step_ms, boot_id="b")
        send(f"vehicle/{vehicle}/event", step)

    def stopped(name, **fields):
        state = session(name, "stopped", **fields)
        send(f"session/{session_level(name)}/state", state, retain=True)

    begin.session, begin.stepped = stopped, stepped
    yield begin
    ended.set()
    for thread in threads:
        thread.join()
    client.loop_stop()


def until_none_is_cut(page, what):
    def cut():
        return page.locator(what).evaluate_all(CUT)

    until(lambda: not cut(), what=lambda: f"room for {cut()}")


def cell(visited, vehicle, name):
    return visited.row(vehicle).locator(f".c-{name}")


@pytest.mark.parametrize("width", [390, 1366])
def test_numbers_can_be_read_and_none_looks_better_than_it_is(visit, surface, width):
    visited = visit(viewport={"width": width, "height": 800})
    page = visited.open()
    expect(page.locator("#link-text")).to_have_text("live")
    surface(*FLEET.keys() - {"alone", "later", "odd", "doubted", "doubted too", "narrow"})
    expect(cell(visited, "near", "offset").locator(".value")).to_have_text("+1.250")
    expect(cell(visited, "near", "offset").locator(".exact")).to_be_hidden()
    expect(cell(visited, "hour", "offset").locator(".value")).to_have_text("1 h ahead")
    expect(cell(visited, "hour", "offset").locator(".exact")).to_have_text("+3,600,123.456 ms")
    expect(cell(visited, "years", "offset").locator(".value")).to_have_text("57 y 14 d behind")
    surface.stepped()
    expect(cell(visited, "years", "steps")).to_contain_text("1−57 y 14 d")
    expect(cell(visited, "years", "offset")).to_contain_text(
        re.compile(r"shows 19\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC")
    )
    expect(cell(visited, "stale", "error").locator(".value")).to_have_text("2 h 1 min")
    for name in ("offset", "error", "drift"):
        expect(cell(visited, "twice", name).locator(".value")).to_have_text("–")
    expect(visited.row("twice").locator(".remark")).to_contain_text("two vehicles use this name")
    expect(page.locator(".verdict")).to_have_text("The timing of 3 of 6 vehicles cannot be trusted")
    visited.until_not_wider(width)
    until_none_is_cut(page, ".fleet td, .fleet th, .tile, .card")

    visited.row("years").locator(".name").click()
    expect(page.locator(".tile").first).to_contain_text("57 y 14 d behind")
    expect(page.locator(".tile", has_text="Time by the vehicle’s clock")).to_contain_text(
        re.compile("clock19")
    )
    expect(page.locator(".tile", has_text="Time by topside’s clock")).to_contain_text(re.compile("clock20"))
    expect(page.locator(".incidents li[data-kind=step]")).to_have_count(1)
    expect(page.locator(".tile", has_text="Steps")).to_contain_text("1since the dashboard started")
    expect(page.locator('.graph .js-line[d^="M"]')).not_to_have_count(0)
    expect(page.locator(".graph")).to_contain_text("ms from" if width > 700 else "Offset inside its bound")
    until_none_is_cut(page, ".tile")
    page.get_by_role("link", name="All vehicles").click()
    visited.row("twice").locator(".name").click()
    expect(page.locator(".tile")).not_to_have_count(0)  # then the list, which has many remarks, is gone
    expect(page.locator(".remark")).to_contain_text("two vehicles use this name")
    for tile in ("Offset", "Max error", "Drift", "Min delay"):
        expect(page.locator(".tile", has_text=tile).first).to_have_text(f"{tile}–")
    expect(page.locator(".graph .y2tick")).not_to_have_count(0)
    expect(page.locator('.graph .js-line[d^="M"]')).to_have_count(0)
    visited.check()


@pytest.mark.parametrize("width", [390, 1366])
def test_what_is_known_to_less_than_a_microsecond_is_shown_so(visit, surface, width):
    visited = visit(viewport={"width": width, "height": 800})
    page = visited.open()
    surface("narrow")
    expect(cell(visited, "narrow", "offset").locator(".value")).to_have_text("+44,996.47689")
    expect(cell(visited, "narrow", "error").locator(".value")).to_have_text("0.00072")  # around what is shown
    expect(cell(visited, "narrow", "drift").locator(".value")).to_have_text("−34.999")
    expect(cell(visited, "narrow", "seen")).to_contain_text("direct (UDP)")
    surface.stepped("narrow", -0.4)
    expect(cell(visited, "narrow", "steps")).to_contain_text("1−0.400 ms")
    expect(page.locator(".headline .detail")).to_have_text("worst max error ± 0.00071 ms")
    visited.until_not_wider(width)
    until_none_is_cut(page, ".fleet td, .fleet th, .card")

    visited.row("narrow").locator(".name").click()
    for tile, text in {
        "Offset": "+44,996.47689 ms",
        "Max error": "± 0.00072 ms",
        "95 % error (u95)": "± 0.000090 ms",
        "Drift": "−34.999 ± 0.039 ppm",
        "Min delay": "0.00063 ms",
        "Path": "direct (UDP)",
    }.items():
        expect(page.locator(".tile", has_text=tile).first).to_have_text(f"{tile}{text}")
    expect(page.locator(".graph")).to_contain_text("Max error, ms")
    expect(page.locator(".graph .y2tick")).not_to_have_count(0)
    until_none_is_cut(page, ".tile")
    visited.check()


def test_a_vehicle_that_is_alone_and_conditional_is_not_trusted(visit, surface):
    visited = visit()
    page = visited.open()
    surface("alone")
    expect(visited.row("alone").locator(".pill")).to_have_text("locked")
    expect(page.locator(".verdict")).to_have_text("The vehicle’s timing cannot be trusted now")
    expect(page.locator(".headline .detail")).to_have_text("1 conditional")
    visited.check()


def test_a_vehicle_whose_name_only_another_topside_found_used_twice_is_not_trusted(visit, surface):
    visited = visit()
    page = visited.open()
    surface("near", "doubted", "doubted too")
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.locator(".verdict")).to_have_text("The timing of 1 of 2 vehicles cannot be trusted")
    expect(page.locator("tbody tr", has_text="by laptop").locator(".remark").nth(0)).to_contain_text(
        "used twice"
    )
    visited.check()


def test_sessions_are_in_the_order_of_time_and_old_ones_are_folded(visit, surface):
    days = range(1, 10)
    started = {f"{'zyxwvutsrq'[day]} dive": datetime(2026, 5, day, 12, tzinfo=UTC) for day in days}
    for name, at in started.items():
        surface.session(name, started_at=at, last_exchange_at=at + timedelta(hours=1.5))
    visited = visit()
    page = visited.open()
    entries = page.locator(".sessions li:visible .session-name")
    expect(entries).to_have_count(5)
    newest = [f"reef / {name}" for name in reversed(started)]
    expect(entries).to_have_text(newest[:5])
    expect(page.locator(".facts").first).to_contain_text(
        "1 h 30 min from 2026-05-09 12:00:00 UTC by the recorder’s clock"
    )
    page.get_by_text("4 older sessions").click()
    expect(entries).to_have_text(newest)
    visited.check()


def test_words_of_a_later_topside_are_shown_as_they_are_and_not_trusted(visit, surface):
    visited = visit()
    page = visited.open()
    surface("near", "later", "odd")
    expect(visited.row("later").locator(".remark")).to_have_text(f"{MADE_UP}: not known to this version")
    expect(cell(visited, "later", "offset").locator(".value")).to_have_text("–")
    expect(visited.row("odd").locator(".pill")).to_have_text(MADE_UP)
    expect(page.locator(".verdict")).to_have_text("The timing of 2 of 3 vehicles cannot be trusted")
    expect(page.locator(".headline .detail")).to_contain_text(f"1 acquiring · 1 {MADE_UP}")
    visited.row("odd").locator(".name").click()
    expect(page.locator('.graph .js-line[d^="M"]')).not_to_have_count(0)
    visited.check()
