"""What the report lists beside its verdict: clock histories, gaps, events by whose clock, tables."""

import json
from dataclasses import replace

import numpy as np
import pytest

from schemas.clock_history import ClockPiece
from schemas.events import Duplicate, Reboot
from schemas.instants import utc_from_ns
from schemas.messages import Event
from tests.unit.fused_sessions import TOPSIDE, make_session, pi, write_metadata
from tests.unit.moving_clocks import exchanges_of
from tests.unit.test_report_parts import exchanges_of as exchanges_at
from tests.unit.test_report_parts import intervals_of, row, track_of
from tidesync.command_line import run
from tidesync.sessions.correction.histories import Histories
from tidesync.sessions.report.basis import explained, of_gaps, of_histories
from tidesync.sessions.report.events import event_rows
from tidesync.sessions.report.figures import figure
from tidesync.sessions.report.page import report_on
from tidesync.sessions.report.series import bins_each
from tidesync.sessions.report.session import load
from tidesync.sessions.report.verdict import Interval, verdict
from topside_agent.estimator import Exchanges

S = 1_000_000_000
MEASURED = [
    one.model_copy(update={"boot_id": "pi-1", "topside_boot_id": "laptop-1"})
    for one in exchanges_of(pi(), TOPSIDE, seconds=60)
]


def raw_of(exchange):
    pi_ns = exchange.transmit_ns - exchange.pi_realtime_minus_raw_ns
    return pi_ns, exchange.destination_ns - exchange.topside_realtime_minus_raw_ns


def piece(from_raw_ns, to_raw_ns):
    return ClockPiece(
        from_raw_ns=from_raw_ns,
        from_realtime_ns=from_raw_ns,
        to_raw_ns=to_raw_ns,
        to_realtime_ns=to_raw_ns,
        half_width_ns=1,
    )


def histories(*parts):
    """Of both machines, covering these parts (0 to 1) of the time measured."""
    first, last = np.array(raw_of(MEASURED[0])), np.array(raw_of(MEASURED[-1]))
    ends = [(first + (last - first) * begin, first + (last - first) * end) for begin, end in parts]
    of_pi, of_topside = ([piece(int(begin[at]), int(end[at])) for begin, end in ends] for at in (0, 1))
    return Histories({"pi-1": of_pi}, {"laptop-1": of_topside})


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        (histories((0, 1)), "used, for all the time"),
        (histories((0, 0.5025)), "used, for 50.2 % of the time"),
        (histories((0, 0.4), (0.2, 0.5025)), "used, for 50.2 % of the time"),
        (Histories(), "none: between two exchanges the clock may have been set and set back"),
    ],
)
def test_the_numbers_say_how_much_of_the_time_each_clock_history_covers(kept, shown):
    rows = dict(of_histories(kept, Exchanges.of(MEASURED)))
    assert rows == dict.fromkeys(("Clock history of the Pi", "Clock history of the laptop"), shown)


def test_exchanges_without_raw_clocks_use_no_history():
    bare = [one.model_copy(update={"pi_realtime_minus_raw_ns": None}) for one in MEASURED]
    rows = of_histories(histories((0, 1)), Exchanges.of(bare))
    assert all(value.startswith("not used") for _, value in rows)


def gap_between(first, last):
    return [Interval("gap", MEASURED[first].destination_ns, MEASURED[last].destination_ns, 1_000_000)]


@pytest.mark.parametrize(
    ("kept", "changes", "covered"),
    [
        (histories((0, 1)), {}, True),
        (histories((0, 0.49), (0.51, 1)), {}, False),
        (replace(histories((0, 1)), topside={}), {}, False),
        (replace(histories((0, 1)), pi={}), {}, False),
        (histories((0, 1)), {"boot_id": "pi-2"}, False),
        (histories((0, 1)), {"topside_boot_id": None}, False),
        (histories((0, 1)), {"pi_realtime_minus_raw_ns": None}, False),
    ],
)
def test_a_gap_is_explained_only_by_both_histories_of_one_boot_without_a_break(kept, changes, covered):
    middle = len(MEASURED) // 2
    listed = [*MEASURED[:-1], MEASURED[-1].model_copy(update=changes)]
    by_instant = {one.destination_ns: one for one in listed}
    found = explained(gap_between(middle // 2, -1), by_instant, kept)
    assert [gap.explained for gap in found] == [covered]
    ((_, sentence),) = of_gaps(found)
    assert sentence.endswith(f"clock histories cover {int(covered)} of them")
    (shown,) = verdict([Interval("covered", found[0].from_ns - S, found[0].from_ns, 1000), *found]).exceptions
    assert "if the Pi's clock was neither set nor slewed meanwhile" in shown
    assert ("tidesync correct needs no such condition" in shown) is covered


def step(exchange, at_ns):
    raw_ns, _ = raw_of(exchange)
    return Event(
        vehicle="rov1",
        kind="step",
        at=utc_from_ns(at_ns),
        at_raw_ns=raw_ns,
        step_ms=3000.0,
        boot_id=exchange.boot_id,
    )


def test_a_step_that_a_clock_of_1970_has_dated_is_listed_by_the_laptops_clock_in_its_place():
    at = MEASURED[100]
    before, after = (
        Reboot(vehicle="rov1", at=utc_from_ns(at.destination_ns + second * S), boot_id="b")
        for second in (-3, 3)
    )
    rows = event_rows([after, step(at, 5 * S), before], Exchanges.of(MEASURED))
    assert [each.what.split(",")[0].replace("\N{NO-BREAK SPACE}", " ") for each in rows] == [
        "the Pi restarted",
        "the Pi's clock was stepped by +3.000 s",
        "the Pi restarted",
    ]
    assert rows[1].clock == "laptop"
    assert f"{utc_from_ns(at.destination_ns):%H:%M:%S}" in rows[1].at
    assert "to 1970-01-01 00:00:05 UTC by the Pi's clock" in rows[1].what


def test_an_event_that_no_exchange_dates_is_by_the_clock_that_dated_it():
    other_boot = step(MEASURED[0].model_copy(update={"boot_id": "pi-0"}), 5 * S)
    doubled = Duplicate(
        vehicle="rov1",
        error="duplicate_vehicle",
        topside="laptop",
        at=utc_from_ns(7 * S),
        until=utc_from_ns(9 * S),
    )
    rows = event_rows([doubled, other_boot], Exchanges.of(MEASURED))
    assert [(each.at, each.clock) for each in rows] == [
        ("1970-01-01 00:00:05", "Pi"),
        ("1970-01-01 00:00:07", "recorder"),
    ]


def test_two_that_used_one_name_are_named_although_nothing_was_measured_of_them(tmp_path):
    session = make_session(tmp_path, pi(), {})
    write_metadata(session, {"timeSync": {"tidesync": {"sensors": {"inWater": "rov2"}}}})
    at, until = "2026-05-01T12:00:05.000000Z", "2026-05-01T12:00:09.000000Z"
    line = {"vehicle": "rov2", "kind": "duplicate", "error": "duplicate_vehicle", "topside": "laptop"}
    event = json.dumps({"schema_version": 1, "at": at, "until": until} | line)
    (session / "time_sync" / "events.jsonl").write_text(event + "\n")
    (shown,) = [line for line in report_on(load(session), "").lines if line.startswith("rov2")]
    assert "two vehicles were named rov2 from 2026-05-01 12:00:05" in shown
    assert "(recorder's clock)" in shown


def test_each_table_is_listed_with_the_resolution_of_its_stamps(tmp_path, capsys):
    clock = pi()
    session = make_session(
        tmp_path, clock, {"in-water_1/session.csv": (clock, np.arange(2, 110, 0.137_123), lambda _: "a,1")}
    )
    (session / "in-water_1" / "broken.csv").write_bytes(b"\0\0timestamp\xff\n")
    write_metadata(session, {"sensors": {"inWater": {"vehicle": "rov1"}}})
    assert run(["report", str(session), "--json"]) == 0
    broken, read = json.loads(capsys.readouterr().out)["tables"]
    assert broken == {"path": "in-water_1/broken.csv", "vehicle": "rov1", "resolution_ns": None}
    assert (read["path"], read["vehicle"]) == ("in-water_1/session.csv", "rov1")
    assert 1000 <= read["resolution_ns"] <= 10_000  # microseconds are written
    html = (session / "report.html").read_text(encoding="utf-8")
    assert "in-water_1/broken.csv" in html
    assert "not known: it cannot be read" in html


def test_the_tables_of_a_vehicle_of_which_nothing_was_measured_are_not_called_unreadable(tmp_path, caplog):
    clock = pi()
    session = make_session(tmp_path, clock, {"in-water_1/session.csv": (clock, [2.5], lambda _: "a,1")})
    write_metadata(session, {"sensors": {"inWater": {"vehicle": "rov1"}}})
    (session / "time_sync" / "exchanges.jsonl").write_bytes(b"")
    assert run(["report", str(session)]) in (0, 1)
    html = (session / "report.html").read_text(encoding="utf-8")
    assert "in-water_1/session.csv" in html
    assert "it cannot be read" not in html
    assert caplog.messages == []


def test_the_curves_of_a_fleet_leave_the_page_below_a_megabyte_and_a_half():
    rows = [row(second / 4, -150 + 0.1 * np.sin(second)) for second in range(4000)]
    by_instant = exchanges_at(rows)
    intervals = intervals_of(rows)
    for figures in (1, 4, 24):
        drawn = figure(track_of(rows), list(by_instant.values()), by_instant, intervals, bins_each(figures))
        assert figures * len(json.dumps(drawn, separators=(",", ":"))) < 350_000


def test_a_curve_is_its_first_instant_and_differences():
    rows = [row(second / 4) for second in range(400)]
    by_instant = exchanges_at(rows)
    drawn = figure(track_of(rows), list(by_instant.values()), by_instant, intervals_of(rows))
    instants = np.cumsum(drawn["data"][0]["x"]) * 1_000_000
    assert abs(instants - [each.topside_unix_ns for each in rows]).max() <= 1_000_000
