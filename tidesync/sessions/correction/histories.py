"""The clock histories of a vehicle and a topside, and the timeline that they and the exchanges make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidesync.sessions.correction.clock_function import ClockFunction, ClockReading
from tidesync.sessions.correction.composed import FIRST, NAMESAKES, composed_timeline
from tidesync.sessions.correction.raw_groups import raw_groups, samples
from tidesync.sessions.correction.unexplained import FASTEST_SLEW, FREE_RATE
from tidesync.sessions.correction.without_raw import showings
from tidesync.sessions.piece_columns import PieceColumns

if TYPE_CHECKING:
    from schemas.clock_history import ClockPiece
    from tidesync.sessions.clock_pieces import ClockPieces
    from tidesync.sessions.correction.clock_function import Lines
    from tidesync.sessions.correction.clock_limits import ClockLimits
    from tidesync.sessions.correction.raw_groups import Boot, Sample
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.folder import Measured, SessionFolder
    from topside_agent.estimator import EstimatorSettings

Pieces = Mapping[str, Sequence["ClockPiece"]]
"""The pieces of one machine by its boot id."""


@dataclass(frozen=True, slots=True)
class Histories:
    """Of a vehicle and a topside; empty where a machine kept none."""

    pi: Pieces = field(default_factory=dict)
    topside: Pieces = field(default_factory=dict)
    namesakes: frozenset[str] = frozenset()
    """Boots of which topside says that another vehicle of the same name may have had them."""

    def __bool__(self) -> bool:
        return bool(self.pi or self.topside)


def read_histories(folder: SessionFolder, vehicle: str, topside: str) -> Histories:
    """The histories in a session's folder; OSError where the file cannot be read."""
    return Histories(
        _by_boot(folder.clock_history("vehicle", vehicle)), _by_boot(folder.clock_history("topside", topside))
    )


def _by_boot(processes: Mapping[str, ClockPieces]) -> dict[str, PieceColumns]:
    found: dict[str, PieceColumns] = {}
    for process in processes.values():
        found.setdefault(process.boot_id, PieceColumns()).extend(process.columns)
    return found


def timeline_with(
    histories: Histories, measured: Measured, limits: ClockLimits, settings: EstimatorSettings
) -> Timeline:
    """The timeline of what was measured; without a segment if no exchange has RAW clocks."""
    listed = samples(measured.exchanges)
    pi_readings: dict[Boot, list[ClockReading]] = {}
    topside_readings: dict[Boot, list[ClockReading]] = {}
    for sample in listed:
        pi_readings.setdefault(sample.pi_boot, []).append(_pi_reading(sample))
        topside_readings.setdefault(sample.topside_boot, []).append(_topside_reading(sample))
    pi = _functions(histories.pi, pi_readings)
    topside = _functions(histories.topside, topside_readings)
    all_on_raw = len(listed) == len(measured.exchanges)
    groups = raw_groups(listed, measured.track if all_on_raw else None, pi, topside, settings)
    unmeasured = _unmeasured(histories, pi_readings)
    shown = showings(measured.exchanges, listed, pi, limits.rate)
    return composed_timeline(listed, groups, pi, topside, limits, unmeasured=unmeasured, shown=shown)


def _unmeasured(
    histories: Histories, readings: Mapping[Boot, Sequence[ClockReading]]
) -> dict[Boot, list[Lines]]:
    """The clock of each boot in which nothing was measured, by the boot with readings before it.

    Of `NAMESAKES` those that answered beside a boot that was measured.

    Assumption: the history has the boots in their order.
    """
    pieces = histories.pi
    measured = {
        id(pieces.get(boot) if isinstance(boot, str) else _recognised(pieces, of_boot)): boot
        for boot, of_boot in readings.items()
    }
    before: Boot = FIRST
    found: dict[Boot, list[Lines]] = {}
    for boot, of_boot in pieces.items():
        if id(of_boot) in measured:
            before = measured[id(of_boot)]
        elif (lines := ClockFunction(of_boot, ()).lines).run.size:
            found.setdefault(NAMESAKES if boot in histories.namesakes else before, []).append(lines)
    return found


def _pi_reading(sample: Sample) -> ClockReading:
    exchange = sample.exchange
    own_ns = exchange.transmit_ns - exchange.receive_ns
    return _reading(sample.pi_raw_ns, exchange.transmit_ns, exchange.resolution_ns, own_ns)


def _topside_reading(sample: Sample) -> ClockReading:
    exchange = sample.exchange
    trip_ns = exchange.destination_ns - exchange.origin_ns
    return _reading(sample.topside_raw_ns, exchange.destination_ns, exchange.resolution_ns, trip_ns)


def _reading(raw_ns: int, realtime_ns: int, resolution_ns: int, span_ns: int) -> ClockReading:
    """One difference holds for both stamps of a side: it was read at one of them, `span_ns` apart."""
    error = resolution_ns + round(FREE_RATE * span_ns)
    return ClockReading(raw_ns, realtime_ns, error, round(FASTEST_SLEW * span_ns))


def _functions(pieces: Pieces, readings: Mapping[Boot, list[ClockReading]]) -> dict[Boot, ClockFunction]:
    """The clock of each boot in which something was measured."""
    found: dict[Boot, ClockFunction] = {}
    for boot, of_boot in readings.items():
        of_boot.sort()
        known = pieces.get(boot) if isinstance(boot, str) else _recognised(pieces, of_boot)
        found[boot] = ClockFunction(known or (), of_boot)
    return found


def _recognised(pieces: Pieces, readings: Sequence[ClockReading]) -> Sequence[ClockPiece] | None:
    """The history of the boot that the readings are of, where exchanges do not name it."""
    for of_boot in pieces.values():
        for piece in of_boot:
            if any(
                piece.from_raw_ns <= reading.raw_ns <= piece.to_raw_ns
                and piece.from_realtime_ns <= reading.realtime_ns <= piece.to_realtime_ns
                for reading in readings
            ):
                return of_boot
    return None
