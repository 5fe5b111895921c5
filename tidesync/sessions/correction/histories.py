"""The clock histories of a vehicle and a topside, and the timeline that they and the exchanges make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.clock_function import ClockFunction
from tidesync.sessions.correction.clock_readings import Readings
from tidesync.sessions.correction.composed import FIRST, NAMESAKES, composed_timeline
from tidesync.sessions.correction.raw_groups import boots_within, raw_groups, samples
from tidesync.sessions.correction.unexplained import FASTEST_SLEW, FREE_RATE
from tidesync.sessions.correction.without_raw import showings
from tidesync.sessions.piece_columns import PieceColumns

if TYPE_CHECKING:
    from schemas.clock_history import ClockPiece
    from tidesync.sessions.clock_pieces import Machine
    from tidesync.sessions.correction.clock_function import Lines
    from tidesync.sessions.correction.clock_limits import ClockLimits
    from tidesync.sessions.correction.raw_groups import Boot, Samples
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.folder import Measured, SessionFolder
    from topside_agent.estimator import EstimatorSettings, Exchanges
    from topside_agent.estimator.blocks import Integers

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


def read_histories(folder: SessionFolder, vehicle: str, *topsides: str) -> Histories:
    """The histories in a session's folder, of `topsides` of one machine; OSError where it cannot be read."""
    return Histories(_by_boot(folder, "vehicle", [vehicle]), _by_boot(folder, "topside", topsides))


def _by_boot(folder: SessionFolder, machine: Machine, names: Iterable[str]) -> dict[str, PieceColumns]:
    found: dict[str, PieceColumns] = {}
    for name in names:
        for process in folder.clock_history(machine, name).values():
            found.setdefault(process.boot_id, PieceColumns()).extend(process.columns)
    return found


def timeline_with(
    histories: Histories, measured: Measured, limits: ClockLimits, settings: EstimatorSettings
) -> Timeline:
    """The timeline of what was measured; without a segment if no exchange has RAW clocks."""
    listed = samples(measured.exchanges)
    pi_readings = {boot: _pi_readings(each) for boot, each in listed.by_boot(0).items()}
    pi = _functions(histories.pi, pi_readings)
    topside = topside_functions(histories, listed)
    all_on_raw = len(listed) == len(measured.exchanges)
    groups = raw_groups(listed, measured.track if all_on_raw else None, pi, topside, settings)
    within = boots_within(listed)
    unmeasured = _unmeasured(histories, pi_readings, within)
    shown = showings(measured.exchanges, listed, pi, limits.rate)
    return composed_timeline(
        listed, groups, pi, topside, limits, unmeasured=unmeasured, shown=shown, within=within
    )


def topside_functions(histories: Histories, listed: Samples) -> dict[Boot, ClockFunction]:
    """Topside's clock in each of its boots in which something was measured."""
    readings = {boot: _topside_readings(each) for boot, each in listed.by_boot(1).items()}
    return _functions(histories.topside, readings)


def _unmeasured(
    histories: Histories, readings: Mapping[Boot, Readings], within: frozenset[Boot]
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
            before = before if measured[id(of_boot)] in within else measured[id(of_boot)]
        elif (lines := ClockFunction(of_boot, ()).lines).run.size:
            found.setdefault(NAMESAKES if boot in histories.namesakes else before, []).append(lines)
    return found


def _pi_readings(listed: Samples) -> Readings:
    own_ns = listed.exchanges.column("transmit_ns") - listed.exchanges.column("receive_ns")
    return _readings(listed.exchanges, listed.pi_raw_ns, "transmit_ns", own_ns)


def _topside_readings(listed: Samples) -> Readings:
    trip_ns = listed.exchanges.column("destination_ns") - listed.exchanges.column("origin_ns")
    return _readings(listed.exchanges, listed.topside_raw_ns, "destination_ns", trip_ns)


def _readings(exchanges: Exchanges, raw_ns: Integers, stamp: str, span_ns: Integers) -> Readings:
    """In the order of RAW.

    One difference holds for both stamps of a side: it was read at one of them, `span_ns` apart.
    """
    error = exchanges.column("resolution_ns") + np.rint(FREE_RATE * span_ns).astype(np.int64)
    slewed = np.rint(FASTEST_SLEW * span_ns).astype(np.int64)
    columns = np.stack([raw_ns, exchanges.column(stamp), error, slewed], axis=1)
    return Readings(columns[np.lexsort(columns.T[::-1])])


def _functions(pieces: Pieces, readings: Mapping[Boot, Readings]) -> dict[Boot, ClockFunction]:
    """The clock of each boot in which something was measured."""
    found: dict[Boot, ClockFunction] = {}
    for boot, of_boot in readings.items():
        known = pieces.get(boot) if isinstance(boot, str) else _recognised(pieces, of_boot)
        found[boot] = ClockFunction(known or (), of_boot)
    return found


def _recognised(pieces: Pieces, readings: Readings) -> Sequence[ClockPiece] | None:
    """The history of the boot that the readings are of, where exchanges do not name it."""
    raw_ns, realtime_ns = readings.columns[:, 0], readings.columns[:, 1]
    for of_boot in pieces.values():
        for piece in of_boot:
            here = slice(*np.searchsorted(raw_ns, [piece.from_raw_ns, piece.to_raw_ns + 1]).tolist())
            shown = realtime_ns[here]
            if ((piece.from_realtime_ns <= shown) & (shown <= piece.to_realtime_ns)).any():
                return of_boot
    return None
