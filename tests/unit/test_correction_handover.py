"""A vehicle that one topside hands to another: one stream on one machine, never a mixture of two clocks."""

from itertools import pairwise

import numpy as np
import pytest

from schemas.clock_history import ClockPiece
from tests.effort import few, tries
from tests.unit.moving_clocks import MovingClock, exchanges_of, history_of
from tests.unit.test_correction_moved_clocks import random_clock, rows
from tidesync.sessions.clock_pieces import line_of
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.prepared import prepare
from tidesync.sessions.correction.session import Options
from tidesync.sessions.correction.timeline import HOLDOVER
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import LineCounts, lines_of
from tidesync.sessions.one_machine import joined
from tidesync.sessions.streams import read_streams

SECONDS = 120


def by(topside, exchanges, span, clock, *, boot="t1", ahead_ns=0):
    """Those that `topside` has made between two instants; its RAW clock is `ahead_ns` of the machine's."""
    begin, end = clock.raw_ns(np.array(span))
    return [
        each.model_copy(
            update={
                "topside": topside,
                "instance_id": f"of-{topside}",
                "topside_boot_id": boot,
                "topside_realtime_minus_raw_ns": each.topside_realtime_minus_raw_ns - ahead_ns,
            }
        )
        for each in exchanges
        if begin <= each.destination_ns - each.topside_realtime_minus_raw_ns < end
    ]


def history(owner, clock, span):
    """The lines of a process that watched the machine's clock between two instants."""
    begin, end = clock.raw_ns(np.array(span))
    pieces = [
        ClockPiece.model_validate(piece.model_dump(exclude={"begin_s"}))
        for piece in history_of(clock, SECONDS)
        if begin <= piece.from_raw_ns and piece.to_raw_ns <= end + 10**9
    ]
    boot = "b1" if owner[0] == "vehicle" else "t1"
    return [line_of(owner, boot, f"of-{owner[1]}", number, piece) for number, piece in enumerate(pieces)]


def corrected(folder, clocks, lines, at_s):
    """(state, error, error stated), ns, of the rows that the Pi stamps at the instants `at_s`."""
    pi, topside = clocks
    sync = folder / "time_sync"
    sync.mkdir()
    for name, written in zip(("exchanges", "clock"), lines, strict=True):
        (sync / f"{name}.jsonl").write_bytes(lines_of(written))
    table = folder / "rows.csv"
    table.write_text("timestamp\n")
    options = Options(files=(table,), vehicle="rov1", max_error_ms=1000.0)
    corrector = RowCorrector(prepare(SessionFolder(folder), options).timelines["rov1"])
    stamps = pi.realtime_ns(at_s)
    if corrector.passes > 1:
        corrector.note(stamps)
    topside_ns, stated, state, _ = corrector.correct(stamps)
    return state <= HOLDOVER, np.abs(topside_ns - topside.realtime_ns(at_s)), stated


@pytest.mark.parametrize("with_history", [False, True])
def test_a_vehicle_that_was_handed_over_on_one_machine_is_corrected_throughout(tmp_path, with_history):
    pi, topside = MovingClock("pi", -1_200_000_000, 40e-6), MovingClock("topside")
    pi.steps.append((90.3, 3.0))
    measured, at_s = exchanges_of(pi, topside, seconds=SECONDS), rows(SECONDS)
    exchanges = [*by("boat", measured, (0, 60), topside), *by("spare", measured, (64, SECONDS), topside)]
    histories = [
        *history(("vehicle", "rov1"), pi, (0, SECONDS)),
        *history(("topside", "boat"), topside, (0, 60)),
        *history(("topside", "spare"), topside, (0, SECONDS)),
    ]
    lines = exchanges, histories if with_history else []
    answered, error, stated = corrected(tmp_path, (pi, topside), lines, at_s)
    assert not (answered & (error > stated)).any()
    sure = (np.abs(at_s - 90.3) > 4) | with_history
    assert answered[sure].mean() > 0.99


@pytest.mark.parametrize(
    "other",
    [{"boot": "t2"}, {"ahead_ns": 3 * 10**9}, {"boot": None}],
    ids=["machine", "namespace", "unnamed"],
)
def test_what_is_not_certainly_of_one_clock_is_not_joined(other):
    pi, topside = MovingClock("pi", 5), MovingClock("topside")
    measured = exchanges_of(pi, topside, seconds=SECONDS)
    exchanges = [
        *by("boat", measured, (0, 60), topside),
        *by("spare", measured, (60, SECONDS), topside, **other),
    ]
    streams = read_streams(lines_of(exchanges).splitlines(), LineCounts())
    assert list(joined(streams)) == [("rov1", "boat"), ("rov1", "spare")]


def test_a_joined_stream_has_the_name_of_the_latest_and_every_exchange_in_the_order_of_raw():
    pi, topside = MovingClock("pi", 5), MovingClock("topside", steps=[(50.1, -7.0)])
    measured = exchanges_of(pi, topside, seconds=SECONDS)
    exchanges = [*by("spare", measured, (55, SECONDS), topside), *by("boat", measured, (0, 65), topside)]
    found = joined(read_streams(lines_of(exchanges).splitlines(), LineCounts()))
    assert list(found) == [("rov1", "spare")]
    raw_ns = found["rov1", "spare"].column("destination_ns") - found["rov1", "spare"].column(
        "topside_realtime_minus_raw_ns"
    )
    assert len(raw_ns) == len(exchanges)
    assert (np.diff(raw_ns) >= 0).all()


@pytest.mark.parametrize("seed", few(range(tries(20))))
def test_no_row_is_wrong_in_random_worlds_with_handovers(seed, tmp_path):
    chance = np.random.default_rng(seed)
    pi, topside = random_clock(chance, "pi"), random_clock(chance, "topside")
    measured = exchanges_of(pi, topside, seconds=SECONDS, seed=seed)
    cuts = [0, *np.sort(chance.uniform(5, 110, 3)), SECONDS]
    exchanges, histories = [], history(("vehicle", "rov1"), pi, (0, SECONDS))
    for number, (begin, end) in enumerate(pairwise(cuts)):
        until = end + chance.choice([-4, 0, 4])
        exchanges += by(("boat", "spare")[number % 2], measured, (begin, until), topside)
    for name in ("boat", "spare"):
        if chance.random() < 0.7:
            histories += history(
                ("topside", name), topside, chance.choice([(0, cuts[2]), (cuts[1], SECONDS)])
            )
    lines = exchanges, histories if chance.random() < 0.7 else []
    answered, error, stated = corrected(tmp_path, (pi, topside), lines, rows(SECONDS))
    assert not (answered & (error > stated)).any()
