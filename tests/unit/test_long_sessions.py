"""The memory that a long session takes grows by few bytes an exchange; as objects it would be a kilobyte."""

import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from schemas.clock_history import ClockPiece
from tests.unit.test_recorder_session import exchange
from tidesync.cli import estimate
from tidesync.command_line import run
from tidesync.sessions import folder as folder_module
from tidesync.sessions.correction.clock_limits import limits_of
from tidesync.sessions.correction.histories import Histories
from tidesync.sessions.correction.session import timeline_of
from tidesync.sessions.folder import SessionFolder, measure
from tidesync.sessions.journal import lines_of
from tidesync.sessions.piece_columns import PieceColumns
from tidesync.sessions.recorder import closing
from topside_agent.estimator import EstimatorSettings, Exchanges, smooth

pytestmark = pytest.mark.slow

STREAM = ("rov1", "topside")
FEW, MANY = 1500, 4500
TRIP_NS = 400_000


def exchanges(count):
    """Those of a vehicle, twice a second, over 0.4 ms each way."""
    for seq in range(count):
        one = exchange(seq, 1 + seq / 2)
        there_ns = one.origin_ns + TRIP_NS
        changes = {"receive_ns": there_ns, "transmit_ns": there_ns, "destination_ns": there_ns + TRIP_NS}
        yield one.model_copy(update={**changes, "topside_boot_id": "t"})


def measured(count):
    """What a topside measured of the vehicle."""
    return measure({STREAM: Exchanges.of(exchanges(count))})[STREAM]


def history(of):
    """Two pieces that cover all of it, of both machines."""
    first, last = of.exchanges[0], of.exchanges[-1]
    found = []
    for boot, difference in (("boot", 0), ("t", first.topside_realtime_minus_raw_ns)):
        ends = first.origin_ns - 10**9, last.destination_ns + 10**9
        pieces = PieceColumns()
        raw = [end - difference for end in ends]
        piece = ClockPiece(
            from_raw_ns=raw[0],
            from_realtime_ns=ends[0],
            to_raw_ns=raw[1],
            to_realtime_ns=ends[1],
            half_width_ns=1000,
            begins="start",
        )
        pieces.put(0, 0, [piece])
        found.append({boot: pieces})
    return Histories(*found)


def timeline(of, histories):
    settings = EstimatorSettings()
    limits = limits_of(settings, of.exchanges, slew_ppm=None, max_error_ms=25.0)
    return timeline_of(of, limits, histories, settings)


def peak_bytes(work):
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("with_history", "most"), [(True, 600), (False, 900)])
def test_a_timeline_takes_little_memory_for_each_exchange(with_history, most):
    both = [measured(count) for count in (FEW, MANY)]
    known = [history(of) if with_history else Histories() for of in both]
    timeline(both[0], known[0])  # imports what it needs
    few, many = (
        peak_bytes(lambda of=of, histories=histories: timeline(of, histories))
        for of, histories in zip(both, known, strict=True)
    )
    assert (many - few) / (MANY - FEW) < most
    (segment,) = timeline(both[1], known[1]).segments
    at_ns = np.array([both[1].exchanges[MANY // 2].transmit_ns])
    found = segment.interpolation.instants(at_ns)
    assert abs(found.topside_ns[0] - at_ns[0]) <= found.max_error_ns[0] < 2 * TRIP_NS


EACH = 1024
"""Exchanges of a stream."""
MOST = {"stop": 50, "export": 70, "estimate": 70, "report": 130}
"""Most bytes an exchange of further streams; of each vehicle the report keeps the curves that it draws."""


def session(path, vehicles):
    """A session of so many vehicles, each measured equally long."""
    folder = SessionFolder(path / f"session_{vehicles}")
    folder.time_sync_path.mkdir(parents=True)
    one = [*exchanges(EACH)]
    names = [f"rov{number}" for number in range(vehicles)]
    listed = (each.model_copy(update={"vehicle": name}) for each in one for name in names)
    folder.exchanges_path.write_bytes(lines_of(listed))
    return folder


def part_smoothed(listed, *settings):
    """A track of as many rows, those of its beginning over and over: smoothing all takes a minute."""
    made = smooth(listed[:40], *settings)
    return replace(made, rows=made.rows.at(np.resize(np.arange(40), len(listed))), exchanges=len(listed))


WHOLE = {
    "stop": lambda folder, _: closing.close(folder, {}, 0),
    "export": lambda folder, out: run(["export", str(folder.path), "--format", "csv", "--output", str(out)]),
    "estimate": lambda folder, out: run(["estimate", str(folder.exchanges_path), "--track", str(out)]),
    "report": lambda folder, out: run(["report", str(folder.path), "--output", str(out)]),
}


@pytest.mark.parametrize("command", WHOLE)
def test_of_a_whole_session_one_stream_at_a_time_is_in_memory(command, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_module, "smooth", part_smoothed)
    monkeypatch.setattr(estimate, "smooth", part_smoothed)
    one, few, many = (session(tmp_path, vehicles) for vehicles in (1, 2, 6))
    WHOLE[command](one, tmp_path / "first")  # imports what it needs
    peaks = [peak_bytes(lambda of=of: WHOLE[command](of, tmp_path / "out")) for of in (few, many)]
    assert (peaks[1] - peaks[0]) / (4 * EACH) < MOST[command]
