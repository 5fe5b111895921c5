"""How topside's clock ran on from an instant, by its readings of realtime − RAW in the exchanges.

An instrument that states its start and counts samples since follows no computer's clock. So its samples are
the start and the time passed since, on topside's RAW clock; and topside's realtime of that.

Beyond a change that only a step or a sleep explains (RAW stands still in a sleep, the instrument does not),
and beyond the first and last reading, nothing is decided. What rose across more than a second without a
reading may be a sleep, and is in the errors after it.

Assumption: between two readings that agree topside's clock did not move and come back; within a second no
machine sleeps and wakes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.interpolation import Instants
from tidesync.sessions.correction.raw_groups import samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topside_agent.estimator import Exchanges
    from topside_agent.estimator.blocks import Integers

_FAST_NS, _FASTEST, _SLOW, _READ_NS = 1_000_000_000, 0.1005, 500e-6, 100_000
"""Across a second a slew of any rate may be; across more 500 ppm. Readings are this exact."""


class Run(NamedTuple):
    """Readings between which topside's clock ran on, in their order: RAW, and realtime less RAW, ns."""

    raw_ns: Integers
    difference_ns: Integers


class TopsideRaw(NamedTuple):
    """What is known of topside's clock in a session."""

    runs: Sequence[Run]

    @classmethod
    def of(cls, exchanges: Exchanges) -> TopsideRaw:
        """By the exchanges of one topside."""
        found: list[Run] = []
        for of_boot in samples(exchanges).by_boot(1).values():
            difference_ns = of_boot.exchanges.column("topside_realtime_minus_raw_ns")
            found += runs_of(of_boot.topside_raw_ns, difference_ns)
        return cls(found)

    def run_at(self, topside_ns: int, error_ns: int) -> Run | None:
        """The one run that has all of the instant's interval; None where another one has some of it."""
        low, high = topside_ns - error_ns, topside_ns + error_ns
        ends = [
            (int(each.raw_ns[0] + each.difference_ns[0]), int(each.raw_ns[-1] + each.difference_ns[-1]))
            for each in self.runs
        ]
        touched = [
            each for each, (begin, end) in zip(self.runs, ends, strict=True) if begin <= high and low <= end
        ]
        whole = [
            each for each, (begin, end) in zip(self.runs, ends, strict=True) if begin <= low and high <= end
        ]
        return whole[0] if len(whole) == len(touched) == 1 else None


def runs_of(raw_ns: Integers, difference_ns: Integers) -> list[Run]:
    """The runs of one boot's readings, in any order."""
    order = np.argsort(raw_ns, kind="stable")
    raw_ns, difference_ns = raw_ns[order], difference_ns[order]
    gap, moved = np.diff(raw_ns), np.abs(np.diff(difference_ns))
    cut = moved > _READ_NS + np.where(gap <= _FAST_NS, _FASTEST, _SLOW) * gap
    places = np.flatnonzero(cut) + 1
    runs = zip(np.split(raw_ns, places), np.split(difference_ns, places), strict=True)
    return [Run(*each) for each in runs if each[0].size > 1]


class Anchor(NamedTuple):
    """An instrument's start on topside's clock, and what its clock may do after."""

    topside_ns: int
    error_ns: int
    held: bool
    rate: float
    """By how much its sample clock may run off topside's RAW clock."""


class SamplesSince:
    """Topside's instants of the ns that passed since an anchor; see `interpolation.Inverse`."""

    first_ns, last_ns = 0, 2**61

    def __init__(self, anchor: Anchor, run: Run) -> None:
        self._anchor, self._run = anchor, run
        self._low, self._high = _Extremes(-run.difference_ns), _Extremes(run.difference_ns)
        real_ns = run.raw_ns + run.difference_ns
        first, last = (
            int(np.searchsorted(np.maximum.accumulate(real_ns), anchor.topside_ns + each, side="right")) - 1
            for each in (-anchor.error_ns, anchor.error_ns)
        )
        last = min(last, run.raw_ns.size - 2)
        risen = np.where(np.diff(run.raw_ns) > _FAST_NS, np.maximum(np.diff(run.difference_ns), 0), 0)
        self._slept = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(risen)])
        self._slept = np.abs(self._slept - self._slept[first])
        self._start_low, self._start_high = self._differences(np.array([first]), np.array([last + 1]))

    def instants(self, pi_ns: Integers) -> Instants:
        """The instants of ns passed."""
        anchor, raw_ns = self._anchor, self._run.raw_ns
        reach = np.ceil(
            anchor.error_ns + anchor.rate * np.abs(pi_ns) + (self._start_high - self._start_low)
        ).astype(np.int64)
        at_ns = anchor.topside_ns - (self._start_low + self._start_high) // 2 + pi_ns
        first = np.searchsorted(raw_ns, at_ns - reach, side="right") - 1
        last = np.searchsorted(raw_ns, at_ns + reach, side="left")
        beyond = (first < 0) | (last >= raw_ns.size)
        low, high = self._differences(np.clip(first, 0, raw_ns.size - 1), np.clip(last, 0, raw_ns.size - 1))
        error = reach + (high - low) / 2 + self._slept[np.clip(last, 0, raw_ns.size - 1)] + 1_000
        held = np.full(pi_ns.shape, anchor.held)
        return Instants(at_ns + (low + high) // 2, error, np.full(pi_ns.shape, np.nan), held, beyond)

    def _differences(self, first: Integers, last: Integers) -> tuple[Integers, Integers]:
        """The least and the greatest from reading `first` to reading `last`."""
        return -self._low.of(first, last), self._high.of(first, last)


class _Extremes:
    """The greatest values of spans of an array, each by two powers of two that cover it."""

    def __init__(self, values: Integers) -> None:
        self._levels = [values]
        while 2 ** len(self._levels) <= values.size:
            half = 2 ** (len(self._levels) - 1)
            before = self._levels[-1]
            self._levels.append(np.maximum(before[:-half], before[half:]))

    def of(self, first: Integers, last: Integers) -> Integers:
        """The greatest of each span, both ends included."""
        last = np.maximum(last, first)
        found = np.zeros(first.shape, dtype=np.int64)
        level = np.log2(last - first + 1).astype(np.int64)
        for number in np.unique(level).tolist():
            here, values = level == number, self._levels[number]
            found[here] = np.maximum(values[first[here]], values[last[here] - 2**number + 1])
        return found
