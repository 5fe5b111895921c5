"""The page with a large fleet: all are counted and found, only rows in sight exist, and keys reach each."""

import threading
import time
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from bench.dashboard.chatter import Topside, Vehicles
from schemas.presence import Member
from tests.deadline import until
from tests.results import offset_result

pytestmark = pytest.mark.browser

MANY = 300
STATES = {"stale": range(7, 300, 100), "holdover": range(11, 300, 60)}
BAD = sum(map(len, STATES.values()))
MOST_ROWS = 60
"""That exist at a time in a window of 800 pixels."""
MOVED = "before => scrollY !== before || scrollY + innerHeight >= document.documentElement.scrollHeight - 1"
"""Since it was at `before`, unless it is at its end."""


@pytest.fixture
def many(broker):
    """Three hundred vehicles with a result each second."""
    vehicles = Vehicles(MANY, 1.0, changes=0.0)
    vehicles.states = ["locked"] * MANY
    for state, numbers in STATES.items():
        for number in numbers:
            vehicles.states[number] = state
    topside, ended, began_s = Topside(int(broker.url.rpartition(":")[2])), threading.Event(), time.monotonic()

    def publish():
        while not ended.is_set():
            elapsed_s, at = time.monotonic() - began_s, datetime.now(UTC)
            topside.publish([*more, *(vehicles.result(number, elapsed_s, at) for number in range(MANY))])
            ended.wait(1.0)

    more = vehicles.more = []
    thread = threading.Thread(target=publish, daemon=True)
    thread.start()
    yield vehicles
    ended.set()
    thread.join()


@pytest.fixture
def page(many, visit):  # noqa: ARG001 - they publish
    visited = visit()
    shown = visited.open()
    expect(shown.locator(".verdict")).to_have_text(
        f"The timing of {BAD} of {MANY} vehicles cannot be trusted"
    )
    shown.visited = visited
    return shown


def names(page):
    return page.locator("tbody .name").all_inner_texts()


def test_all_are_counted_the_worst_are_first_and_only_rows_in_sight_exist(page):
    worst = ["rov0007", "rov0107", "rov0207", *(f"rov{n:04d}" for n in STATES["holdover"])]
    until(lambda: names(page)[: len(worst)] == worst, what=lambda: f"the worst first, not {names(page)}")
    assert len(names(page)) < MOST_ROWS
    expect(page.get_by_role("table")).to_have_attribute("aria-rowcount", str(MANY + 1))
    expect(page.get_by_role("button", name=f"locked {MANY - BAD}")).to_be_visible()
    expect(page.get_by_role("rowheader").first).to_contain_text("rov0007")
    offset = page.visited.row("rov0007").locator(".c-offset .value")
    before = offset.inner_text()
    expect(offset).not_to_have_text(before)
    page.get_by_label("Order").select_option("name")
    expect(page.locator("tbody .name").first).to_have_text("rov0000")
    page.visited.check()


def test_a_name_and_a_state_leave_what_is_like_that_also_after_a_look_at_a_vehicle(page):
    page.get_by_label("Find").fill("ROV020")
    expect(page.locator(".count")).to_have_text(f"10 of {MANY} rows")
    expect(page.locator("tbody .name").first).to_have_text("rov0207")
    page.get_by_role("button", name="stale").click()
    expect(page.locator(".count")).to_have_text(f"1 of {MANY} rows")
    page.locator("tbody .name").click()
    expect(page.locator("h1")).to_contain_text("rov0207")
    page.get_by_role("link", name="All vehicles").click()
    expect(page.locator(".count")).to_have_text(f"1 of {MANY} rows")
    expect(page.get_by_role("button", name="stale")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Find").fill("submarine")
    expect(page.locator(".count")).to_have_text("No vehicle is like that.")
    page.get_by_label("Find").fill("")
    page.get_by_role("button", name="all").click()
    expect(page.locator(".count")).to_have_text("")
    page.visited.check()


@pytest.mark.parametrize("width", [1280, 390])
def test_every_row_is_reached_by_scrolling_and_by_keys(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("tbody .name").first.focus()
    page.keyboard.press("End")
    last = page.visited.row("rov0299")
    expect(last.locator(".name")).to_be_focused()
    expect(last).to_be_in_viewport()
    expect(last).to_have_attribute("aria-rowindex", str(MANY + 1))
    page.keyboard.press("ArrowUp")
    expect(page.visited.row("rov0298").locator(".name")).to_be_focused()
    page.keyboard.press("Home")
    expect(page.visited.row("rov0007").locator(".name")).to_be_focused()
    seen = set()

    def scrolled_to_the_end():
        seen.update(names(page))
        before = page.evaluate("scrollY")
        page.mouse.wheel(0, 700)
        page.wait_for_function(MOVED, arg=before)
        page.evaluate("new Promise(requestAnimationFrame)")
        return last.count()

    until(scrolled_to_the_end, what="the last row")
    assert len(names(page)) < MOST_ROWS
    assert len(seen) > MANY / 2
    page.visited.until_not_wider(width)
    page.visited.check()


FLEET = """async ([base, updates]) => {
  const { Fleet } = await import(`${base}page/state.js`);
  const fleet = new Fleet({ now_s: () => 100, alive: () => true });
  const taken = updates.map((update) => fleet.take(update));
  fleet.look();
  const { total, trusted, conditional } = fleet.survey;
  const rows = Object.fromEntries(fleet.sorted().map((row) => [row.key, [row.shown, row.offset_ms]]));
  return { taken, total, trusted, conditional, rows, states: Object.fromEntries(fleet.survey.states) };
}"""
NUMBERS = ["row", "at_s", "last_seen_s", "offset_ms"]


def update(version, after=0, *, rows=(), numbers=(), **more):
    broker = {"connected": True, "address": "a", "problem": None, "silent_s": 0.1}
    known = {
        "now_s": 100.0,
        "after": after,
        "version": version,
        "anew": after == 0,
        "waiting": 0,
        "not_shown": 0,
    }
    lists = {"vehicles": rows, "numbers": numbers, "sessions": [], "removed": [], "sessions_removed": []}
    return {"broker": broker, "computer": None, "about": {}, "numbers_of": NUMBERS} | known | lists | more


def row(vehicle, topside="bow", state="locked", age_s=0.5, error_ms=0.4, **more):
    known = {"vehicle": vehicle, "topside": topside, "last_state": state, "result_age_s": age_s}
    values = {"max_error_ms": error_ms, "offset_ms": 1.0, "conditional": False, "error": None, "fresh_s": 3.0}
    seen = {"last_seen_s": age_s, "online": True, "topside_online": True, "in_use": True}
    return known | values | seen | more


@pytest.fixture
def put_together(page):
    return lambda *updates: page.evaluate(FLEET, [page.visited.base, updates])


def test_messages_are_put_together_until_one_is_missing(put_together):
    first = update(5, rows=[row("rov1"), row("rov2", age_s=9.0)])
    numbers = [["rov2/bow", 99.5, 0.0, -7.5]]
    found = put_together(
        first, update(8, 5, numbers=numbers), update(12, 10, numbers=[["rov1/bow", 1, 0, 0]])
    )
    assert found["taken"] == [True, True, False]
    assert found["rows"] == {"rov1/bow": ["locked", 1.0], "rov2/bow": ["locked", -7.5]}
    assert put_together(first)["rows"]["rov2/bow"] == ["none", 1.0]


@pytest.mark.parametrize(
    ("rows", "total", "trusted"),
    [
        ([row("rov1"), row("rov1", "stern", age_s=60.0, in_use=False)], 1, 1),  # it was taken over
        ([row("rov1", in_use=False), row("rov1", "stern", state="holdover")], 1, 0),
        ([row("rov1"), row("rov1", "stern", state="holdover", in_use=False)], 1, 1),
        ([row("rov1"), row("rov1", "stern", error="duplicate_vehicle", in_use=False)], 1, 0),
        ([row("rov1"), row("rov2", error="duplicate_topside"), row("rov3", "stern")], 3, 1),
        ([row("rov1", conditional=True), row("rov2", "stern")], 2, 1),
        ([row("rov1", None, None, None)], 1, 0),
    ],
)
def test_vehicles_are_counted_not_rows_and_none_that_is_in_doubt(put_together, rows, total, trusted):
    found = put_together(update(1, rows=rows))
    assert (found["total"], found["trusted"]) == (total, trusted)


def test_what_was_removed_is_gone_and_the_rest_stays(put_together):
    first = update(5, rows=[row("rov1"), row("rov2")])
    gone = update(6, 5, removed=["rov2/bow", "rov9/bow"])
    assert put_together(first, gone)["rows"] == {"rov1/bow": ["locked", 1.0]}
    again = update(6, 5, removed=["rov2/bow"], rows=[row("rov2", state="stale")])
    assert put_together(first, again)["rows"]["rov2/bow"] == ["stale", 1.0]


def test_a_group_leaves_the_rows_of_its_topsides(many, page):
    member = Member(topside="bench", group="north", weight=1.0, instance_id="i", boot_id="b")
    other = Member(topside="other", group="south", weight=1.0, instance_id="i", boot_id="b")
    diver = offset_result(vehicle="diver", topside="other")
    many.more += [(f"topside/{one.topside}/member", one.encode().decode()) for one in (member, other)]
    many.more += [("vehicle/diver/offset/other", diver.encode().decode())]
    page.get_by_label("Group").select_option("south")
    expect(page.locator(".count")).to_have_text(f"1 of {MANY + 1} rows")
    expect(page.locator("tbody .name")).to_have_text(["diver"])
