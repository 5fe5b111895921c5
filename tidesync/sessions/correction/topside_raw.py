"""How topside's clock ran on from an instant, by its readings of realtime − RAW in the exchanges.

`RunClock` puts instants of realtime on RAW and back; a clock that nobody sets or slews follows RAW.

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

    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator import Exchanges
    from topside_agent.estimator.blocks import Integers

_REST_NS = 2_000_000_000
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


class OnOther(NamedTuple):
    """Instants on the other one of topside's two clocks, ns."""

    at_ns: Integers
    error_ns: Integers
    early_ns: Integers
    """How far they may lie before the run, if that is positive."""
    late_ns: Integers
    """The same, after it."""

    @property
    def beyond(self) -> Flags:
        """Which may lie outside the run."""
        return (self.early_ns > 0) | (self.late_ns > 0)


class RunClock:
    """Topside's realtime and RAW within a run, each by the other."""

    def __init__(self, run: Run) -> None:
        self._raw_ns = run.raw_ns
        self._real_ns = np.maximum.accumulate(run.raw_ns + run.difference_ns)
        self._low, self._high = _Extremes(-run.difference_ns), _Extremes(run.difference_ns)
        risen = np.where(np.diff(run.raw_ns) > _FAST_NS, np.maximum(np.diff(run.difference_ns), 0), 0)
        self._slept = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(risen)])

    @property
    def real_ends_ns(self) -> tuple[int, int]:
        """The first and the last reading's realtime."""
        return int(self._real_ns[0]), int(self._real_ns[-1])

    @property
    def rests(self) -> tuple[bool, bool]:
        """Whether topside's clock was slewed by at most 500 ppm at the first and at the last readings."""
        size, raw_ns = self._raw_ns.size, self._raw_ns
        begin = min(int(np.searchsorted(raw_ns, raw_ns[0] + _REST_NS)), size - 1)
        end = max(int(np.searchsorted(raw_ns, raw_ns[-1] - _REST_NS, side="right")) - 1, 0)
        low, high = self.differences(np.array([0, end]), np.array([begin, size - 1]))
        gap = raw_ns[[begin, -1]] - raw_ns[[0, end]]
        first, last = (high - low <= _READ_NS + _SLOW * gap).tolist()
        return first, last

    def slept_ns(self, raw_ns: Integers) -> tuple[Integers, Integers]:
        """How long RAW may have stood still from the first reading to the ones before and after these."""
        before, after = self._places(self._raw_ns, raw_ns, raw_ns)
        return self._slept[before], self._slept[after]

    def raw(self, real_ns: Integers, error_ns: Integers) -> OnOther:
        """Instants of realtime, each known to ± `error_ns`, on RAW."""
        return self._other(self._real_ns, real_ns, error_ns, -1)

    def real(self, raw_ns: Integers, error_ns: Integers) -> OnOther:
        """Instants of RAW, each known to ± `error_ns`, on realtime."""
        return self._other(self._raw_ns, raw_ns, error_ns, 1)

    def _other(self, readings: Integers, at_ns: Integers, error_ns: Integers, sign: int) -> OnOther:
        low_ns, high_ns = at_ns - error_ns, at_ns + error_ns
        low, high = self.differences(*self._places(readings, low_ns, high_ns))
        other_ns, more_ns = at_ns + sign * ((low + high) // 2), (high - low + 1) // 2
        return OnOther(other_ns, error_ns + more_ns, readings[0] - low_ns, high_ns - readings[-1])

    def differences(self, first: Integers, last: Integers) -> tuple[Integers, Integers]:
        """The least and the greatest realtime − RAW from reading `first` to reading `last`."""
        return -self._low.of(first, last), self._high.of(first, last)

    @staticmethod
    def _places(at_ns: Integers, low_ns: Integers, high_ns: Integers) -> tuple[Integers, Integers]:
        """The reading before each interval, and the one after it; the outermost where there is none."""
        last = at_ns.size - 1
        before = np.searchsorted(at_ns, low_ns, side="right") - 1
        return np.clip(before, 0, last), np.clip(np.searchsorted(at_ns, high_ns, side="left"), 0, last)


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
        self._anchor, self._clock = anchor, RunClock(run)
        start = self._clock.raw(np.array([anchor.topside_ns]), np.array([anchor.error_ns]))
        self._raw_ns, self._error_ns = int(start.at_ns[0]), int(start.error_ns[0])
        self._slept_ns = int(self._clock.slept_ns(start.at_ns - start.error_ns)[0][0])

    def instants(self, pi_ns: Integers) -> Instants:
        """The instants of ns passed."""
        reach = np.ceil(self._error_ns + self._anchor.rate * np.abs(pi_ns)).astype(np.int64)
        raw_ns = self._raw_ns + pi_ns
        found = self._clock.real(raw_ns, reach)
        slept = np.abs(self._clock.slept_ns(raw_ns + reach)[1] - self._slept_ns)
        error = (found.error_ns + slept + 1_000).astype(np.float64)
        held = np.full(pi_ns.shape, self._anchor.held)
        return Instants(found.at_ns, error, np.full(pi_ns.shape, np.nan), held, found.beyond)


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
