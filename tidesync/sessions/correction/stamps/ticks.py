"""The coarsest tick of a clock that all values may have been read from: those whose grid they fit.

A clock that ticks N times a second, or every few ms, s or minutes, shows multiples of its tick; a writer then
cuts them off or rounds them to the unit of the last digit u. A tick P fits if each value is what is written
of a multiple of P: the next multiple is less than u later, or the nearest at most u/2 away. The true instant
is within P + u of what is written, or within P where that is a multiple of u. A tick shorter than u cannot be
seen: 2·u are covered, or u where it is a whole number of seconds, which ticks divide.

With few values a coarse tick often fits by chance: nothing excludes it then, and it is allowed for all the
same. Only these have to be shown, as they are no evidence of a tick, or more than can be allowed for:

- one value fits too many: of those only the usual ones count, 1, 2, 4, 5, 8, 10 … Hz (prime factors 2 and 5)
  and 30, 60 … Hz (30 times such), and parts and multiples of a minute,
- values at equal distances, more of them than chance explains, were taken regularly: that they fit a tick in
  between shows no more than one value does,
- ticks of so many a minute that are no whole number a second count if they fit by chance in less than one
  table in fifty.

Assumption: each whole second is a tick, or, where ticks are no part of a second, 1970 (or the instant that
times are elapsed since). Ticks of a clock that began at another instant are taken for a sampling period.
Ticks of less than 1/65536 s that are neither multiples of u nor usual, and those that no function below
names, are not looked for; behind digits of a second and more only usual ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

S = 1_000_000_000
MINUTE_NS, HOUR_NS, _QUARTER_NS = 60 * S, 3600 * S, 900 * S
"""Zones are quarters of an hour away from UTC."""
MOST_HZ = 65_536
_PARTS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
_USUAL_LONG_NS = np.unique(
    [
        *(part * unit for unit in (S, MINUTE_NS) for part in _PARTS),
        HOUR_NS,
        *(10**power for power in range(10, 14)),
    ]
)
_USUAL_LONG = frozenset(_USUAL_LONG_NS.tolist())
_USUAL_HZ = np.unique(
    [2**two * 5**five * three for two in range(17) for five in range(8) for three in (1, 30)]
)
_USUAL_HZ = _USUAL_HZ[np.less_equal(_USUAL_HZ, 10**7)]
_HZ = np.union1d(np.arange(1, MOST_HZ + 1), _USUAL_HZ)
_USUAL_HZ_SET = frozenset(_USUAL_HZ.tolist())
_STEPS_NS = np.unique(
    np.concatenate(
        [
            np.arange(1, 1001) * 1_000_000,
            np.arange(1, 601) * 100_000_000,
            np.arange(1, 121) * S,
            np.arange(1, 61) * MINUTE_NS,
        ]
    )
)
"""Whole ms up to 1 s, tenths of a second up to a minute, seconds up to two, minutes up to an hour."""
_DAY_PARTS_NS, _DAY_PARTS = 864_000_000, 10 ** np.arange(6)
"""Decimals of a day: the fifth is 0.864 s."""
_VIDEO_NS, _VIDEO = 1_001_000_000, np.array([12, 15, 24, 30, 48, 60, 120, 240])
"""Frames in 1.001 s: 59.94, 29.97, 23.976 Hz."""
_A_MINUTE = np.arange(1, 3601)
_LOOKED_AT = 64
_CHANCE, _CHANCE_OF_ONE_TAKEN, _CHANCE_OF_SAMPLES = log(1e-3), log(0.02), log(1e-5)
_NEVER = -float("inf")
_DOUBLE_NS = 250


class Tick(NamedTuple):
    """A tick that values fit."""

    resolution_ns: float
    """How far the true instants may be from what is written."""
    ns: float
    log_chance: float
    """How often chance would explain it."""

    @property
    def sure(self) -> bool:
        """Whether chance does not explain it."""
        return self.log_chance <= _CHANCE


def twice(unit_ns: int) -> int:
    """What digits of such a unit resolve where the clock may tick as coarsely: it is cut off twice."""
    return unit_ns if unit_ns % S == 0 else 2 * unit_ns


def ticks_of(
    at_ns: Integers, unit_ns: int, *, rounded: bool = False, days: bool = False, most_hz: int = MOST_HZ
) -> list[Tick]:
    """The coarsest ticks that values fit, ns since 1970, the unit of whose last digit is `unit_ns`.

    `rounded`: they are within ± the unit of what they stand for, and no multiples of it; `days`: as decimals
    of a day are. Ticks that are no multiples of the unit are looked for up to
    `most_hz`, those of a minute only by default.
    """
    values = np.unique(at_ns)
    off_ns = 0 if (values % unit_ns == 0).all() else 1
    written = _Written(unit_ns, rounded, off_ns)
    found = [Tick(unit_ns if rounded else twice(unit_ns), unit_ns, _NEVER)]
    if values.size == 1:
        return [*found, *_of_one(values, written)]
    found += [] if off_ns else [written.multiple(values.size, _common(values, unit_ns))]
    if unit_ns >= S and not days:
        return found if rounded else [*found, *_of_steps(values, _USUAL_LONG_NS, written)]
    found += _of_steps(values, _STEPS_NS, written)
    hz = _HZ if most_hz == MOST_HZ else _HZ[:most_hz]
    cycles = ((S, hz), (_DAY_PARTS_NS, _DAY_PARTS), (_VIDEO_NS, _VIDEO))
    found += [tick for cycle_ns, counts in cycles for tick in _of_cycle(values, cycle_ns, counts, written)]
    of_a_minute = _A_MINUTE if most_hz == MOST_HZ else _A_MINUTE[:0]
    return [*found, *_of_cycle(values, MINUTE_NS, of_a_minute, written, _CHANCE_OF_ONE_TAKEN)]


@dataclass(frozen=True, slots=True)
class _Written:
    """How ticks are written: in units of the last digit; `off_ns`: within so many ns of that."""

    unit_ns: int
    rounded: bool
    off_ns: int

    @property
    def double_ns(self) -> int:
        """How far doubles may put a tick beyond its place, before it is cut off."""
        return min(self.unit_ns // 4, _DOUBLE_NS)

    def tick(self, values: Integers, cycle_ns: int, ticks: int = 1) -> Tick | None:
        """One of so many in a cycle, if all values are what is written of one."""
        cut, near = (bool(each.all()) for each in self.fits(values % cycle_ns, cycle_ns, ticks))
        if not cut and not near:
            return None
        if not self.off_ns and cycle_ns % (self.unit_ns * ticks) == 0:
            return self.multiple(values.size, cycle_ns // ticks)
        ns = cycle_ns / ticks
        width_ns = (
            self.unit_ns * (2 if self.rounded else 1 if cut else 1.5) + self.double_ns
        )  # 1.5: with ties
        others = 1 if _is_usual(cycle_ns, ticks) else 2 * max(ticks, _STEPS_NS.size)
        log_chance = log(others) + values.size * log(min(width_ns / ns, 1))
        return Tick(ns + self.unit_ns / (1 if cut or self.rounded else 2), ns, log_chance)

    def multiple(self, count: int, ns: int) -> Tick:
        """One that is a multiple of the unit, of so many values that are multiples of it."""
        log_chance = (count if _is_usual(ns, 1) else count - 1) * log(self.unit_ns / ns)
        return Tick(max(ns, twice(self.unit_ns)), ns, log_chance)

    def fitting(self, values: Integers, cycle_ns: Integers | int, ticks: Integers | int) -> Flags:
        """Which ticks fit some of the values, all of them cut off, or all of them rounded."""
        cycles, counts = np.broadcast_arrays(cycle_ns, ticks)
        size = cycles.size
        left = np.arange(size)
        cut, near = np.ones(left.size, dtype=bool), np.ones(left.size, dtype=bool)
        for value in values[:: -(-values.size // _LOOKED_AT)].tolist():
            if_cut, if_near = self.fits(value % cycles, cycles, counts)
            cut, near = cut & if_cut, near & if_near
            keep = np.flatnonzero(cut | near)
            if not keep.size:
                break
            left, cut, near = left[keep], cut[keep], near[keep]
            cycles, counts = cycles[keep], counts[keep]
        found = np.zeros(size, dtype=bool)
        found[left[cut | near]] = True
        return found

    def fits(self, part_ns: Integers, cycle_ns: Integers | int, ticks: Integers | int) -> tuple[Flags, Flags]:
        """Which parts of a cycle are what is written of a tick: if that is cut off, and if it is rounded."""
        after = -part_ns * ticks % cycle_ns  # the time until the next tick, times `ticks`
        apart = np.minimum(after, cycle_ns - after)
        off = self.off_ns * ticks
        if self.rounded:
            near: Flags = apart <= self.unit_ns * ticks
            return near, near
        beyond = self.double_ns * ticks * (cycle_ns >= 2 * self.unit_ns * ticks)
        cut: Flags = (after < self.unit_ns * ticks + off) | (after >= cycle_ns - off - beyond)
        near = 2 * (apart - off) <= self.unit_ns * ticks
        return cut, near


def _is_usual(cycle_ns: int, ticks: int) -> bool:
    """Whether so many ticks in a cycle are usual."""
    hz, rest = divmod(ticks * S, cycle_ns)
    return cycle_ns // ticks in _USUAL_LONG if cycle_ns >= ticks * S else not rest and hz in _USUAL_HZ_SET


def _common(values: Integers, unit_ns: int) -> int:
    """The greatest step that several values, which are multiples of the unit, are multiples of."""
    shared, period = int(np.gcd.reduce(values)), int(np.gcd.reduce(np.diff(values)))
    if shared % _QUARTER_NS == 0:
        shared = max(shared, gcd(period, HOUR_NS))
    if _are_samples(shared / period, values.size):
        return int(max(step for step in (unit_ns, *_USUAL_LONG) if shared % step == 0))
    return shared


def _are_samples(share: float, count: int) -> bool:
    """Whether so many values at equal distances are no matter of chance, if a tick is that share of them."""
    return (count - 2) * log(share) < _CHANCE_OF_SAMPLES


def _of_one(values: Integers, written: _Written) -> Iterator[Tick]:
    """Usual ticks that one value fits."""
    shared = [step for step in _USUAL_LONG if step > written.unit_ns and values[0] % step == 0]
    yield from (written.multiple(1, max(shared)) for _ in shared[:1])
    yield from _of_cycle(values, S, _USUAL_HZ, written)


def _of_steps(values: Integers, steps_ns: Integers, written: _Written) -> Iterator[Tick]:
    """Ticks of so many ns, rising, no multiples of the unit, that several values fit."""
    unit_ns = written.unit_ns
    steps = steps_ns[(steps_ns > unit_ns) & (written.off_ns > 0 or steps_ns % unit_ns > 0)][::-1]
    ticks = (written.tick(values, step) for step in steps[written.fitting(values, steps, 1)].tolist())
    return _widest((tick for tick in ticks if tick), unit_ns)


def _of_cycle(
    values: Integers, cycle_ns: int, counts: Integers, written: _Written, log_chance: float = 0
) -> Iterator[Tick]:
    """Ticks that values fit, of which a cycle has so many; those that chance explains no better than that."""
    parts = np.unique(values % cycle_ns)
    counts = counts[counts * written.unit_ns <= cycle_ns]
    ticks = (
        written.tick(parts, cycle_ns, count)
        for count in counts[written.fitting(parts, cycle_ns, counts)].tolist()
        if not _are_between(parts, values.size, count, cycle_ns, written.unit_ns)
    )
    likely = (tick for tick in ticks if tick and (not log_chance or tick.log_chance <= log_chance))
    return _widest(likely, written.unit_ns)


def _widest(ticks: Iterable[Tick], unit_ns: int) -> Iterator[Tick]:
    """Of falling ticks the first one, and those that may resolve less."""
    most = 0.0
    for tick in ticks:
        if tick.ns + unit_ns <= most:
            return
        most = max(most, tick.resolution_ns)
        yield tick


def _are_between(parts: Integers, count: int, ticks: int, cycle_ns: int, unit_ns: int) -> bool:
    """Whether values were taken regularly, more rarely than a cycle has ticks, and those are not usual."""
    if _is_usual(cycle_ns, ticks):
        return False
    rarely = np.arange(1, ticks // 2 + 1)
    rarely = rarely[ticks % rarely == 0].tolist()
    return any(
        _are_samples(each / ticks, count) and _are_regular(parts, cycle_ns, each, unit_ns) for each in rarely
    )


def _are_regular(parts: Integers, cycle_ns: int, ticks: int, unit_ns: int) -> bool:
    """Whether all are equally far from such ticks."""
    after = (parts - parts[0]) * ticks % cycle_ns
    apart = np.where(after > cycle_ns // 2, after - cycle_ns, after)
    return bool(np.ptp(apart) < unit_ns * ticks)
