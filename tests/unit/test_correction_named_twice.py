"""A time in which two vehicles had one name: no answered row may be off, whichever of both stamped it."""

import numpy as np
import pytest

from schemas.events import Duplicate
from schemas.instants import utc_from_ns
from tests.unit.fused_sessions import TOPSIDE, instant_ns, rows_of, true_ns, write_table
from tests.unit.moving_clocks import MovingClock, exchanges_of
from tests.unit.tracks import S
from tidesync.command_line import run
from tidesync.sessions.correction.named_twice import ENDLESS, MARGIN_NS, doubtful, spans_of
from tidesync.sessions.journal import lines_of

SECONDS = 300
CLOCKS = {
    "first": MovingClock("pi", -1_200_000_000, 40e-6),
    "second": MovingClock("pi", -1_350_000_000, 10e-6),
}
AT_S, UNTIL_S = 100, 150
"""The second vehicle's first answer; the end of one of both."""


def exchanges(taken_over):
    """The first vehicle's, until the second one has taken its place; with their boots."""
    every = {name: exchanges_of(clock, TOPSIDE, seconds=SECONDS) for name, clock in CLOCKS.items()}
    end_ns = int(true_ns([UNTIL_S])[0]) if taken_over else ENDLESS
    parts = (
        each.model_copy(update={"boot_id": name})
        for name in CLOCKS
        for each in every[name]
        if (each.origin_ns < end_ns) == (name == "first")
    )
    return [each.model_copy(update={"seq": seq}) for seq, each in enumerate(parts)]


def duplicate(until_s, at_s=AT_S + 1):
    at, until = (utc_from_ns(int(true_ns([each])[0])) for each in (at_s, until_s))
    return Duplicate(vehicle="rov1", error="duplicate_vehicle", topside="topside", at=at, until=until)


def session(folder, *, stamped_by, taken_over, events):
    (folder / "time_sync").mkdir()
    (folder / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(exchanges(taken_over)))
    (folder / "time_sync" / "events.jsonl").write_bytes(lines_of(events))
    end_s = SECONDS - 1 if taken_over or stamped_by == "first" else UNTIL_S
    at_s = np.arange(2 if stamped_by == "first" else AT_S, end_s, 0.337_123)
    write_table(folder / "in-water_1" / "session.csv", CLOCKS[stamped_by], at_s, lambda _: "a,1")
    assert run(["-q", "correct", str(folder), "--sensor", "inWater=rov1"]) == 1
    return at_s, rows_of(folder / "in-water_1" / "session.topside.csv")


@pytest.mark.parametrize("taken_over", [False, True])
@pytest.mark.parametrize("stamped_by", CLOCKS)
@pytest.mark.parametrize("ended", [False, True])
def test_no_row_is_answered_by_the_other_vehicles_clock(tmp_path, stamped_by, taken_over, ended, capsys):
    events = [duplicate(AT_S + 1), *([duplicate(UNTIL_S + 2)] if ended else [])]
    at_s, rows = session(tmp_path, stamped_by=stamped_by, taken_over=taken_over, events=events)
    assert "rows of that time may be of either, and are ambiguous" in capsys.readouterr().err
    states = np.array([row["time_state"] for row in rows])
    answered = np.isin(states, ("ok", "holdover"))
    assert not answered[(at_s > AT_S - 5) & (at_s < UNTIL_S)].any()
    for row, true in zip(np.array(rows)[answered], true_ns(at_s[answered]), strict=True):
        error_ns = float(row["time_max_error_ms"]) * 1e6
        assert abs(instant_ns(row["timestamp_topside"]) - true) <= error_ns
    if stamped_by == "first":
        assert (states[at_s < AT_S - 15] == "ok").all()
        after = states[(at_s > UNTIL_S + 15) & (at_s < SECONDS - 1)]
        assert (after == ("ambiguous" if taken_over or not ended else "ok")).all()


def test_a_boot_that_was_heard_before_is_sure_again():
    first, second = (exchanges(taken_over=each) for each in (False, True))
    begin, back = (int(true_ns([each])[0]) for each in (UNTIL_S, 200))
    again = [each for each in second if each.origin_ns < back] + [
        each for each in first if each.origin_ns >= back
    ]
    spans = doubtful(spans_of([duplicate(UNTIL_S + 2)]), again)
    assert spans[-1][0] < begin < spans[-1][1]
    assert spans[-1][1] == pytest.approx(back, abs=S)
    assert max(last for _, last in spans) < back + S


def test_a_session_that_begins_with_both_trusts_the_boot_that_is_measured_then():
    spans = doubtful(spans_of([duplicate(UNTIL_S, at_s=0)]), exchanges(taken_over=False))
    assert spans == [(int(true_ns([0])[0]) - MARGIN_NS, int(true_ns([UNTIL_S])[0]) + MARGIN_NS)]


def test_a_recorder_with_another_clock_puts_all_in_doubt_and_the_sentence_says_so(tmp_path, capsys):
    event = duplicate(9_100, at_s=9_000)
    assert doubtful(spans_of([event]), exchanges(taken_over=False)) == [(-ENDLESS, ENDLESS)]
    _, rows = session(tmp_path, stamped_by="first", taken_over=False, events=[event])
    assert {row["time_state"] for row in rows} == {"ambiguous"}
    assert "nothing was measured then: every row is ambiguous" in capsys.readouterr().err


def test_a_recorder_with_topsides_clock_leaves_rows_of_other_times_answered(tmp_path, capsys):
    _, rows = session(tmp_path, stamped_by="first", taken_over=False, events=[duplicate(UNTIL_S)])
    assert "ok" in {row["time_state"] for row in rows}
    assert "every row is ambiguous" not in capsys.readouterr().err
