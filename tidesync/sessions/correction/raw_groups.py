"""The relation of both RAW clocks from a smoothed track, in groups.

θ_RAW = offset − (realtime − RAW of the Pi) + (realtime − RAW of topside), exactly, as the exchange has them.
A group ends where a machine slept or booted; and, where no clock history says that neither did, at every cut
of the track. Between two exchanges of a group RAW keeps its rate and wander (interpolation.py), steps or not.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from tidesync.sessions.correction.columns import each, places_of_each
from tidesync.sessions.correction.interpolation import Knots
from tidesync.sessions.correction.unexplained import JUMP_NS
from topside_agent.estimator import EstimatorSettings, Exchanges, Rows, smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from schemas.exchange import Exchange
    from tidesync.sessions.correction.clock_function import ClockFunction
    from topside_agent.estimator import Cause, Labels, Track
    from topside_agent.estimator.blocks import Integers

Boot = str | int | None
_RAW_MAY_RUN_ON: set[Cause] = {"step", "topside_step", "suspend"}
"""Causes that a clock history can refute as a break of RAW."""
_MOST = 2.0**62


class Sample(NamedTuple):
    """An exchange on the RAW clocks: the Pi's at the transmit stamp, topside's at the destination stamp."""

    pi_raw_ns: int
    topside_raw_ns: int
    pi_boot: Boot
    topside_boot: Boot
    transmit_ns: int
    destination_ns: int


class Samples(Sequence[Sample]):
    """Exchanges that carry both RAW clocks, as columns; each is made where it is asked for."""

    def __init__(self, exchanges: Exchanges, boots: Sequence[tuple[Boot, Boot]], boot: Integers) -> None:
        """`boot` has the place in `boots`, of the Pi's and topside's, of each exchange."""
        self.exchanges, self.boots, self.boot = exchanges, boots, boot
        self.pi_raw_ns = exchanges.column("transmit_ns") - exchanges.column("pi_realtime_minus_raw_ns")
        self.topside_raw_ns = _topside_raw_ns(exchanges)

    def __len__(self) -> int:
        return self.boot.size

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Samples: ...
    def __getitem__(self, index: int | slice) -> Sample | Samples:
        if isinstance(index, slice):
            return self.at(np.arange(len(self))[index])
        exchange, (pi_boot, topside_boot) = self.exchanges[index], self.boots[int(self.boot[index])]
        raw_ns = int(self.pi_raw_ns[index]), int(self.topside_raw_ns[index])
        return Sample(*raw_ns, pi_boot, topside_boot, exchange.transmit_ns, exchange.destination_ns)

    def at(self, places: Integers | NDArray[np.bool_]) -> Samples:
        """Those at these places."""
        return Samples(self.exchanges.at(places), self.boots, self.boot[places])

    def by_boot(self, side: int) -> dict[Boot, Samples]:
        """Those of each boot of the Pi (0) or topside (1), in the order in which the boots appear."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(of[side] for of in self.boots))}
        of_boots = np.array([numbers[of[side]] for of in self.boots], dtype=np.int64)
        parts = places_of_each(of_boots[self.boot])
        return {self.boots[int(self.boot[places[0]])][side]: self.at(places) for places in parts}


@dataclass(frozen=True, slots=True)
class RawGroup:
    """Exchanges and their rows, at least one, between which both RAW clocks ran on."""

    samples: Samples
    rows: Rows
    """Those of the samples, one each."""
    sleeps: tuple[int, int] = (0, 0)
    """How often the Pi and topside had slept before."""

    @property
    def pi_boot(self) -> Boot:
        """The Pi's boot."""
        return self.samples.boots[int(self.samples.boot[0])][0]

    @property
    def topside_boot(self) -> Boot:
        """Topside's boot."""
        return self.samples.boots[int(self.samples.boot[0])][1]

    def knots(self) -> Knots:
        """The rows as knots on RAW, without what their bounds allow the wall clocks: histories have that."""
        exchanges, rows = self.samples.exchanges, self.rows
        less = exchanges.column("pi_realtime_minus_raw_ns") - exchanges.column(
            "topside_realtime_minus_raw_ns"
        )
        realtime = rows.realtime_ns.astype(np.int64)
        offset, lower, upper = (
            _difference(rows.column(name), less) for name in ("offset_ns", "lower_ns", "upper_ns")
        )
        held = np.zeros(less.size, dtype=bool)
        return Knots(
            self.samples.topside_raw_ns, offset, lower + realtime, upper - realtime, held, rows.u95_ns
        )


def _difference(one: Integers, other: Integers) -> Integers:
    """OverflowError where it is not far within 64 bits."""
    if (np.abs(one.astype(np.float64) - other) > _MOST).any():
        raise OverflowError("a bound of an offset on the RAW clocks exceeds 64 bits")
    return one - other


def _topside_raw_ns(exchanges: Exchanges) -> Integers:
    return exchanges.column("destination_ns") - exchanges.column("topside_realtime_minus_raw_ns")


def _has_boots(names: tuple[str | None, str | None], labels: Labels) -> bool:
    return (labels.boot_id, labels.topside_boot_id) == names


def samples(exchanges: Sequence[Exchange]) -> Samples:
    """The exchanges that carry both RAW clocks, in their order."""
    columns = Exchanges.of(exchanges)
    columns = columns.at(
        columns.known("pi_realtime_minus_raw_ns") & columns.known("topside_realtime_minus_raw_ns")
    )
    # `in_order` has sorted each boot by RAW
    restarts = np.cumsum(np.diff(_topside_raw_ns(columns), prepend=0) < 0)
    named = np.zeros(len(columns), dtype=np.int64)
    names = sorted({(one.boot_id, one.topside_boot_id) for one in columns.labels}, key=str)
    for number, name in enumerate(names):
        named[columns.labelled(partial(_has_boots, name))] = number
    boots: list[tuple[Boot, Boot]] = []
    boot = np.zeros(len(columns), dtype=np.int64)
    for places in places_of_each(np.stack([named, restarts], axis=1)):
        pi, topside = names[named[places[0]]]
        boot[places] = len(boots)
        boots.append((pi, int(restarts[places[0]]) if topside is None else topside))
    return Samples(columns, boots, boot)


def raw_groups(
    listed: Samples,
    track: Track | None,
    pi: Mapping[Boot, ClockFunction],
    topside: Mapping[Boot, ClockFunction],
    settings: EstimatorSettings,
) -> list[RawGroup]:
    """The groups in the order of time; exchanges that are ambiguous or refused are left out.

    `track` is that of `listed` and no others; None: there is none yet.
    """
    groups: list[RawGroup] = []
    for of_part, sleeps in _awake_parts(listed, pi, topside):
        part = track if len(of_part) == len(listed) else None
        part = part or smooth(of_part.exchanges, settings)
        causes = {segment.segment: segment.cause for segment in part.segments}
        known, rows = _with_rows(of_part, Rows.of(part.rows).in_states("ok", "holdover"))
        if not len(known):
            continue
        pi_boot, topside_boot = known.boots[int(known.boot[0])]
        runs = _runs(known, rows, causes, pi[pi_boot], topside[topside_boot])
        groups += [RawGroup(known.at(places), rows.at(places), sleeps) for places in runs]
    return groups


def _awake_parts(
    listed: Samples, pi: Mapping[Boot, ClockFunction], topside: Mapping[Boot, ClockFunction]
) -> Iterator[tuple[Samples, tuple[int, int]]]:
    """The samples between which neither machine slept or booted, and how often each had slept before."""
    if not len(listed):
        return
    names = [dict.fromkeys(of[side] for of in listed.boots) for side in (0, 1)]
    keys = np.zeros((len(listed), 4), dtype=np.int64)
    for number, (pi_boot, topside_boot) in enumerate(listed.boots):
        here = np.flatnonzero(listed.boot == number)
        keys[here, 0] = list(names[0]).index(pi_boot)
        keys[here, 1] = list(names[1]).index(topside_boot)
        keys[here, 2] = pi[pi_boot].slept_before(listed.pi_raw_ns[here])
        keys[here, 3] = topside[topside_boot].slept_before(listed.topside_raw_ns[here])
    sound = np.flatnonzero((keys[:, 2:] >= 0).all(axis=1))
    for places in places_of_each(keys[sound]):
        slept = keys[sound[places[0]], 2:].tolist()
        yield listed.at(sound[places]), (slept[0], slept[1])


def _with_rows(listed: Samples, rows: Rows) -> tuple[Samples, Rows]:
    """The samples that have a row, in the order of the rows; of several with one destination the last."""
    at_ns = listed.exchanges.column("destination_ns")
    order = np.argsort(at_ns, kind="stable")
    wanted = rows.column("topside_unix_ns")
    places = np.searchsorted(at_ns, wanted, side="right", sorter=order) - 1
    found = order[np.maximum(places, 0)]
    there = (places >= 0) & (at_ns[found] == wanted)
    return listed.at(found[there]), rows.at(there)


def _runs(
    known: Samples, rows: Rows, causes: Mapping[int, Cause], pi: ClockFunction, topside: ClockFunction
) -> Iterator[Integers]:
    """The places of the rows of each group: RAW certainly ran on between them, and rises."""
    kept, last = array("q"), [0, 0, 0]
    for place, now in enumerate(each(rows.column("segment"), known.pi_raw_ns, known.topside_raw_ns)):
        if kept and not _runs_on(last, now, causes, pi, topside):
            yield np.array(kept, dtype=np.int64)
            kept = array("q")
        if not kept or (now[1] > last[1] and now[2] > last[2]):
            kept.append(place)
            last = now
    if kept:
        yield np.array(kept, dtype=np.int64)


def _runs_on(
    before: Sequence[int],
    after: Sequence[int],
    causes: Mapping[int, Cause],
    pi: ClockFunction,
    topside: ClockFunction,
) -> bool:
    """Whether RAW ran on on both sides, from one segment, Pi's RAW and topside's RAW to the next."""
    if before[0] == after[0]:
        return True
    between = {causes[number] for number in range(before[0] + 1, after[0] + 1) if number in causes}
    known = pi.history_covers(before[1], after[1]) and topside.history_covers(before[2], after[2])
    return known and between <= _RAW_MAY_RUN_ON


def between_boots_ns(last: Sample, first: Sample) -> int:
    """For how long at most nobody has heard of the Pi's clock, between the last and first of two boots."""
    passed_ns = first.destination_ns - last.destination_ns
    if last.topside_boot == first.topside_boot:  # asleep, topside's RAW stood still
        return max(first.topside_raw_ns - last.topside_raw_ns, passed_ns, 0)
    return abs(passed_ns)


def is_unknown(last: Sample, first: Sample, topside: ClockFunction) -> bool:
    """Whether no clock shows how long that was: topside booted too, or may have slept, or was set."""
    raw_ns = np.array([last.topside_raw_ns, first.topside_raw_ns])
    moved_ns = first.destination_ns - last.destination_ns - int(raw_ns[1] - raw_ns[0])
    slept = topside.slept_before(raw_ns).tolist()
    ran_on = topside.history_covers(*raw_ns.tolist()) and 0 <= slept[0] == slept[1]
    return last.topside_boot != first.topside_boot or (abs(moved_ns) >= JUMP_NS and not ran_on)


def boots_within(listed: Samples) -> frozenset[Boot]:
    """The boots of the Pi that began and ended while another one went on: those of another machine."""
    places = np.arange(len(listed))
    spans: dict[Boot, tuple[int, int]] = {}
    for number, (boot, _) in enumerate(listed.boots):
        here = places[listed.boot == number]
        if here.size:
            first, last = spans.get(boot, (len(listed), -1))
            spans[boot] = min(first, int(here[0])), max(last, int(here[-1]))
    return frozenset(
        boot
        for boot, (first, last) in spans.items()
        if any(begin < first and last < end for begin, end in spans.values())
    )
