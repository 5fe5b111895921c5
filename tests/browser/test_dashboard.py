"""The dashboard in a real browser, below a prefix it knows nothing of: live, honest when not, harmless."""

import json
import re
import signal
import time
from contextlib import contextmanager

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import expect

from tests.browser.dashboard_process import Dashboard
from tests.browser.prefix_proxy import PrefixProxy
from tests.deadline import BUSY, until
from tests.network.recording import until_written
from tests.unit.dashboards import session

pytestmark = pytest.mark.browser

S = 1_000_000_000
LONG_VEHICLE = "v" * 63
REPORTED_S = 3.0
"""A failure is shown within this time."""
EVIL = "<script>console.error('injected')</script><img src=x onerror=console.error('injected')>"
SHORT_EVIL = "<img src=x onerror=console.error('injected')>"


@contextmanager
def at_most(seconds):
    """What is inside may take so long, on a busy machine longer."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began <= seconds * BUSY


@pytest.fixture
def fleet(boat):
    """Two vehicles that are measured: one drifts."""
    boat.topside()
    boat.vehicle("rov1", offset_ns=-3 * S, drift_ppm=80.0)
    boat.vehicle("rov2", offset_ns=42 * S)
    return boat


@pytest.fixture
def live(fleet, visit):  # noqa: ARG001 - it must sail
    """A page that shows both vehicles locked."""
    visited = visit()
    visited.open()
    for vehicle in ("rov1", "rov2"):
        expect(visited.row(vehicle).locator(".pill")).to_have_text("locked")
    return visited


def test_the_table_fills_from_a_live_fleet_and_its_numbers_move(live):
    page = live.page
    expect(page.locator("#link-text")).to_have_text("live")
    expect(page.locator(".verdict")).to_have_text("The timing of all 2 vehicles can be trusted")
    offset = live.row("rov1").locator(".c-offset .value")
    expect(offset).to_have_text(re.compile(r"^−(3,000|2,9\d\d)\.\d{3,6}$"))  # it drifts by 80 µs a second
    expect(live.row("rov2").locator(".c-offset .value")).to_have_text(
        re.compile(r"^\+(42,000|41,999)\.\d{3,6}$")
    )
    before = offset.inner_text()
    expect(offset).not_to_have_text(before)
    expect(page.locator("#alarm")).to_be_hidden()
    live.check()


def test_a_vehicles_page_draws_its_curves_and_lists_its_steps(boat, visit):
    boat.topside()
    boat.vehicle("rov1", offset_ns=-3 * S)
    visited = visit()
    page = visited.open()
    expect(visited.row("rov1").locator(".pill")).to_have_text("locked")
    visited.row("rov1").locator(".name").click()
    expect(page.locator("h1")).to_contain_text("rov1")
    expect(page.locator('.graph .js-fill[d^="M"]')).not_to_have_count(0)
    curves = page.locator('.graph .js-line[d^="M"]')  # of four graphs; more pieces where they are cut
    expect(curves.nth(3)).to_be_attached()
    boat.step("rov1", 2 * S)
    expect(page.locator(".incidents li[data-kind=step]")).to_contain_text("clock stepped +2.000 s")
    page.get_by_role("button", name="All of it").click()
    page.get_by_role("button", name="3 h").click()
    expect(page.locator(".graph .shape-label").first).to_contain_text("clock stepped")
    boat.step("rov1", -S)
    labels = page.locator(".graph .shape-label").filter(has_text="clock stepped")
    expect(labels.filter(has_text="-1.000 s")).to_be_attached()
    expect(labels).to_have_count(1)  # labels a second apart overlap when three hours are shown
    page.get_by_role("link", name="All vehicles").click()
    expect(visited.row("rov1")).to_be_visible()
    visited.check()


def test_a_broker_that_dies_is_shown_within_three_seconds_and_its_return_too(live, broker):
    page = live.page
    broker.kill()
    with at_most(REPORTED_S):
        expect(page.locator("#alarm")).to_contain_text("No broker")
        expect(live.row("rov1").locator(".pill")).to_have_text("old")
    expect(page.locator(".pill[data-state=locked]")).to_have_count(0)
    expect(live.row("rov1")).to_have_attribute("data-fresh", "false")
    expect(page.locator(".verdict")).to_have_text("No vehicle’s timing can be trusted now")
    broker.start()
    expect(live.row("rov1").locator(".pill")).to_have_text("locked")
    expect(page.locator("#alarm")).to_be_hidden()
    live.check()


def test_a_broker_that_freezes_is_shown_within_three_seconds(live, broker):
    broker._process.send_signal(signal.SIGSTOP)
    try:
        with at_most(REPORTED_S):
            expect(live.page.locator("#alarm")).to_be_visible()
            expect(live.row("rov2").locator(".pill")).to_have_text("old")
    finally:
        broker._process.send_signal(signal.SIGCONT)
    expect(live.row("rov2").locator(".pill")).to_have_text("locked")
    live.check()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_dead_server_is_shown_within_three_seconds_and_its_return_too(live, dashboard, how):
    dashboard.send(how)
    with at_most(REPORTED_S):
        expect(live.page.locator("#alarm")).to_contain_text("server has not answered")
        expect(live.row("rov1").locator(".pill")).to_have_text("old")
    expect(live.page.locator(".pill[data-state=locked]")).to_have_count(0)
    if how == signal.SIGKILL:
        dashboard.kill()
        dashboard.start()
    else:
        dashboard.send(signal.SIGCONT)
    expect(live.row("rov1").locator(".pill")).to_have_text("locked")
    expect(live.page.locator("#alarm")).to_be_hidden()
    live.check()


def test_a_vehicle_that_goes_silent_is_in_holdover_and_with_a_dead_topside_old(boat, visit):
    topside = boat.topside(holdover_after_s=1.0)
    vehicle = boat.vehicle("rov1")
    visited = visit()
    visited.open()
    pill = visited.row("rov1").locator(".pill")
    expect(pill).to_have_text("locked")
    vehicle.stop()
    expect(pill).to_have_text("holdover")
    expect(visited.page.locator(".verdict")).to_contain_text("cannot be trusted")
    topside.stop()
    expect(pill).to_have_text("old")
    expect(visited.row("rov1").locator(".remark")).to_contain_text("is offline")
    visited.check()


def test_a_session_started_and_stopped_with_the_buttons_is_on_disk(fleet, visit, tmp_path):
    fleet.recorder(tmp_path / "dives")
    visited = visit()
    page = visited.open()
    expect(visited.row("rov1").locator(".pill")).to_have_text("locked")
    page.get_by_label("Mission").fill("reef-42")
    page.get_by_label("Vehicle", exact=True).fill("rov1")
    page.get_by_role("button", name="Start recording").click()
    entry = page.locator(".sessions li")
    expect(entry.locator(".badge")).to_have_text("recording")
    expect(entry.locator(".facts")).to_contain_text("inWater=rov1")
    name = entry.get_attribute("data-session")
    expect(visited.row("rov1").locator(".recording")).to_have_text(name.replace("-", "\u2011"))
    expect(visited.row("rov2").locator(".recording")).to_have_text("–")
    expect(entry.locator(".facts")).to_contain_text(re.compile(r"[1-9]\d+ exchanges · \d+\ss since 2\d\d\d-"))
    entry.get_by_role("button", name="Stop").click()
    expect(entry.locator(".badge")).to_have_text("stopped")
    folder = tmp_path / "dives" / "reef-42" / f"session_{name}"
    until_written(folder)
    metadata = json.loads((folder / "sync_metadata.json").read_text())
    assert metadata["timeSync"]["inWater"]["offsetMs"] == pytest.approx(-3000, abs=50)  # 80 ppm of minutes
    assert (folder / "time_sync" / "exchanges.jsonl").read_bytes().count(b"\n") > 10
    assert (folder / "time_sync" / "offsets.csv").is_file()
    visited.check()


def test_a_session_of_a_vehicle_that_nobody_knows_is_warned_of(fleet, visit, tmp_path):
    fleet.recorder(tmp_path / "dives")
    visited = visit()
    page = visited.open()
    expect(visited.row("rov2").locator(".pill")).to_have_text("locked")
    page.get_by_label("Mission").fill("reef-42")
    page.get_by_label("Vehicle", exact=True).fill("rov9")
    page.get_by_role("button", name="Start recording").click()
    expect(page.locator(".toast.wrong")).to_have_text(
        "inWater=rov9: no vehicle rov9 is known at the broker yet (known: rov1, rov2)"
    )
    visited.check()


def test_without_a_recorder_the_button_says_so(live):
    live.expected = {"504"}
    page = live.page
    page.get_by_label("Mission").fill("reef-42")
    page.get_by_role("button", name="Start recording").click()
    expect(page.locator(".start .fault")).to_contain_text("no recorder answered within 5 s")
    live.check()


def test_measure_now_makes_a_burst(live):
    visited = live
    page = visited.page
    expect(page.get_by_role("button", name="Measure now")).to_have_count(0)
    visited.row("rov1").locator(".name").click()
    page.get_by_role("button", name="Measure now").click()
    expect(page.locator(".toast")).to_have_text("Asked topside to measure rov1 now.")
    visited.check()


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways(visit, scheme):
    visited = visit(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True, is_mobile=True
    )
    page = visited.open()
    expect(visited.row("rov1").locator(".pill")).to_have_text("locked")
    visited.until_not_wider(360)
    visited.row("rov1").locator(".name").click()
    expect(page.locator('.graph .js-line[d^="M"]')).not_to_have_count(0)
    visited.until_not_wider(360)
    visited.check()


def publish(url, messages):
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", int(url.rpartition(":")[2]))
    client.loop_start()
    for topic, payload in messages:
        client.publish(f"tidesync/v1/{topic}", payload, 1, retain=True).wait_for_publish(60)
    client.loop_stop()
    client.disconnect()


def hostile(live_result):
    """What a hostile peer gets past a broker: markup wherever text goes, a megabyte, names that are none."""
    result = live_result | {"vehicle": "rov9", "method": SHORT_EVIL, "boot_id": SHORT_EVIL}
    info = {
        "schema_version": 1,
        "vehicle": "rov9",
        "version": EVIL,
        "boot_id": "b",
        "instance_id": "i",
        "started_at": "2026-05-01T12:00:00Z",
        "receive_stamp": "user",
        "clock_synchronized": False,
        "http_port": None,
    }
    session = {
        "schema_version": 1,
        "session": "evil",
        "request_id": None,
        "state": "recording",
        "path": EVIL,
        "mission": EVIL,
        "sensors": {EVIL: EVIL},
        "exchanges": 1,
        "last_exchange_at": None,
        "alarm": EVIL,
        "error": "x" * 50_000,
    }
    yield "vehicle/rov9/offset/topside", json.dumps(result)
    yield "vehicle/rov9/info", json.dumps(info)
    long = {"vehicle": LONG_VEHICLE, "topside": "t" * 63}
    yield f"vehicle/{LONG_VEHICLE}/offset/{'t' * 63}", json.dumps(result | long)
    recording = session | {"session": "s" * 100, "sensors": {"inWater": LONG_VEHICLE}}
    yield f"session/{'s' * 100}/state", json.dumps(recording)
    yield "session/evil/state", json.dumps(session)
    yield "vehicle/rov8/info", json.dumps(info | {"vehicle": "rov8", "version": "y" * 1_000_000})
    yield "vehicle/rov1/info", "[" * 1_000_000
    yield f"vehicle/{EVIL.replace('/', '')}/status", "online"
    yield "vehicle/rov7/status", EVIL


def test_markup_and_megabytes_of_a_hostile_peer_do_no_harm(live, broker, fleet):
    live.expected = {"422"}  # a vehicle of that name is asked for
    page = live.page
    last = fleet.checker().until_state("rov1", "locked")
    publish(broker.url, hostile(json.loads(last.encode())))
    expect(live.row("rov9")).to_be_visible()
    entry = page.locator(".sessions li[data-session=evil]")
    expect(entry.locator(".session-name")).to_contain_text("<script>")
    expect(entry.locator(".fault")).to_contain_text("<img src=x")
    assert page.locator("main script, main img").count() == 0
    expect(page.locator("tbody tr")).to_have_count(4)
    assert len(page.content()) < 200_000
    expect(live.row(LONG_VEHICLE).locator(".recording")).to_contain_text("s" * 100)
    for width in (1280, 1024, 360):
        page.set_viewport_size({"width": width, "height": 800})
        live.until_not_wider(width)
    page.goto(f"{live.base}#/vehicle/{'%3Cscript%3E'}/x")
    expect(page.locator("h1")).to_contain_text("<script>")
    page.goto(f"{live.base}#/vehicle/rov1/topside")
    expect(page.locator(".pill")).to_have_text("locked")
    live.check()


def test_an_empty_fleet_says_how_to_begin(visit, broker):
    visited = visit()
    page = visited.open()
    expect(page.locator(".empty")).to_contain_text("tidesync topside")
    expect(page.locator(".empty")).to_contain_text(broker.url)
    visited.check()


def test_a_stopped_sessions_report_is_looked_at_and_its_tables_are_offered(broker, visit, tmp_path):
    folder = tmp_path / "root" / "reef" / "session_Récif 1"
    made = folder / "time_sync" / "made"
    for name, text in (
        ("report/report.html", "<script>document.title = 'drawn'</script>"),
        ("tables/a b.csv", "t,v\n"),
    ):
        (made / name).parent.mkdir(parents=True)
        (made / name).write_text(text)
    (folder / "sync_metadata.json").write_text("{}")
    state, topic = session("Récif 1", "stopped"), "session/R=C3=A9cif=201/state"
    publish(broker.url, [(topic, state.model_copy(update={"closing": True}).encode())])
    running = Dashboard(broker.url, tmp_path, "--root", str(tmp_path / "root"))
    running.start()
    try:
        with PrefixProxy(running.port) as proxy:
            visited = visit(proxy.url)
            page = visited.open()
            expect(page.locator(".badge")).to_have_text("closing")
            expect(page.locator(".facts")).to_contain_text("its track are still being written")
            expect(page.get_by_text("Report and tables")).to_be_hidden()
            publish(broker.url, [(topic, state.encode())])
            expect(page.locator(".badge")).to_have_text("stopped")
            page.get_by_text("Report and tables").click()
            rows = page.locator(".product")
            expect(rows.nth(0)).to_contain_text("report.html")
            expect(rows.nth(1)).to_contain_text("a b.csv, 4 bytes")
            expect(rows.nth(2)).to_have_attribute("data-state", "absent")
            expect(page.get_by_text("free where sessions are written")).to_be_visible()
            with page.context.expect_page() as opened:
                rows.nth(0).get_by_role("link", name="Look").click()
            expect(opened.value).to_have_title("drawn")
            with page.expect_download() as downloaded:
                rows.nth(1).get_by_role("link", name="Download").click()
            assert downloaded.value.path().read_text() == "t,v\n"
            visited.check()
    finally:
        running.stop()


@pytest.mark.usefixtures("fleet")
def test_read_only_there_are_no_buttons(broker, visit, tmp_path):
    running = Dashboard(broker.url, tmp_path, "--read-only")
    running.start()
    try:
        with PrefixProxy(running.port) as proxy:
            visited = visit(proxy.url)
            page = visited.open()
            expect(visited.row("rov1").locator(".pill")).to_have_text("locked")
            for button in ("Measure now", "Start recording"):
                expect(page.get_by_role("button", name=button)).to_have_count(0)
            visited.check()
    finally:
        running.stop()


@pytest.mark.usefixtures("fleet")
def test_a_token_is_asked_for_once_and_holds_below_the_prefix(broker, visit, tmp_path):
    running = Dashboard(broker.url, tmp_path, TIDESYNC_TOKEN="a token long enough")
    running.start()
    try:
        with PrefixProxy(running.port) as proxy:
            visited = visit(proxy.url)
            visited.expected = {"401"}
            page = visited.open()
            field = page.get_by_label("The dashboard's token")
            field.fill("something else")
            page.get_by_role("button", name="Log in").click()
            expect(page.locator(".fault")).to_have_text("that is not the token")
            field.fill("a token long enough")
            page.get_by_role("button", name="Log in").click()
            expect(visited.row("rov1").locator(".pill")).to_have_text("locked")
            page.reload()
            expect(visited.row("rov1").locator(".pill")).to_have_text("locked")
            visited.check()
    finally:
        running.stop()


def test_this_test_would_see_a_request_elsewhere_and_a_complaint(live):
    live.page.evaluate("const image = new Image(); image.src = 'http://evil.invalid/x.png'")
    until(lambda: live.page.evaluate("1") and len(live.complaints) > 0, 10, "the complaint of the policy")
    with pytest.raises(AssertionError):
        live.check()


@pytest.mark.usefixtures("fleet")
def test_before_the_server_has_spoken_the_page_claims_nothing_and_offers_nothing(visit):
    visited = visit()
    visited.page.route("**/api/events*", lambda _: None)  # held back
    page = visited.open()
    expect(page.locator("#waiting")).to_have_text("Connecting …")
    expect(page.locator("#waiting")).to_be_visible()
    for claim in ("No session yet", "No vehicle"):
        expect(page.get_by_text(claim).locator("visible=true")).to_have_count(0)
    expect(page.get_by_role("button")).to_have_count(0)
    page.unroute("**/api/events*")
    expect(visited.row("rov1").locator(".pill")).to_have_text("locked")
    expect(page.locator("#waiting")).to_be_hidden()
    expect(page.get_by_role("button", name="Start recording")).to_be_visible()
