"""How fast a wall clock is being slewed, where exchanges came directly: readings are taken at their word.

As `slews`, but nothing below what two readings resolve counts as rest: the bound may be narrower than any
reading. What a clock may have moved within that is in the rate.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from topside_agent.estimator.constraints import delays_ns, on_raw
from topside_agent.estimator.slews import FASTEST, FOLLOWED_NS, STEADY, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from topside_agent.estimator.blocks import Floats, Integers
    from topside_agent.estimator.exchanges import Exchanges

_AT_ONCE_NS = 10_000_000
"""Within so much, or while both are under way, what two readings resolve would make any rate."""
_BLUNT = 4
"""A reading that resolves so many times less than the one before it shows nothing of the next interval."""
_TOGETHER = 256
"""So many readings are looked through for the next one that is apart."""
_CHUNK = 65_536
_FAR_NS = 2.0**62
"""A difference may have moved by more than 64 bits hold."""


class _Interval(NamedTuple):
    """Between two readings: ns, and what both resolve."""

    elapsed_ns: int
    moved_ns: int
    within_ns: int

    @property
    def moved(self) -> bool:
        return abs(self.moved_ns) > self.within_ns

    @property
    def stepped(self) -> bool:
        """Or suspended, rebooted, or not in this order."""
        return self.elapsed_ns <= 0 or abs(self.moved_ns) > FASTEST * self.elapsed_ns + self.within_ns


def _between(before: Reading, now: Reading) -> _Interval:
    return _Interval(
        now.at_ns - before.at_ns,
        now.difference_ns - before.difference_ns,
        now.resolution_ns + before.resolution_ns,
    )


def slew_of(readings: Sequence[Reading]) -> tuple[float, float]:
    """As `slews.slew_of`: the rate of the last interval, 0 if it shows none, and how far it can be from 0."""
    most = slowest_most = fastest_least = 0.0
    rates: list[float] = []
    moves, followed = False, True
    for before, now in pairwise(readings):
        one = elapsed_ns, moved_ns, within_ns = _between(before, now)
        if one.stepped:
            continue
        least, greatest = (moved_ns - within_ns) / elapsed_ns, (moved_ns + within_ns) / elapsed_ns
        most = max(most, abs(least), abs(greatest))
        fastest_least = max(fastest_least, least) if rates else least
        slowest_most = min(slowest_most, greatest) if rates else greatest
        rates.append(moved_ns / elapsed_ns)
        if abs(moved_ns) > within_ns:
            moves, followed = True, followed and elapsed_ns <= FOLLOWED_NS
    if not rates:
        return 0.0, FASTEST
    if not moves:
        return 0.0, min(most, FASTEST)
    slowest, fastest = min(rates), max(rates)
    steady = (
        fastest_least <= slowest_most or slowest >= STEADY * fastest > 0 or fastest <= STEADY * slowest < 0
    )
    return rates[-1], min(most / STEADY, FASTEST) if steady and followed else FASTEST


def rate_of(readings: Sequence[Reading]) -> float:
    """The first of `slew_of`, alone."""
    rate, moves = 0.0, False
    for (before_ns, before, coarse_ns), (now_ns, now, also_ns) in pairwise(readings):
        elapsed_ns, moved_ns, within_ns = now_ns - before_ns, now - before, also_ns + coarse_ns
        if elapsed_ns > 0 and abs(moved_ns) <= FASTEST * elapsed_ns + within_ns:
            rate, moves = moved_ns / elapsed_ns, moves or abs(moved_ns) > within_ns
    return rate if moves else 0.0


def unexplained_ns(readings: Sequence[Reading], *, blurred: bool = False) -> float:
    """As `slews.unexplained_ns`, with what both readings resolve; the whole move where a rate explains less.

    `blurred`: the last one is not of a direct exchange, or not as sharp as those before: what it does not
    resolve counts as a move.
    """
    if len(readings) < 2:  # noqa: PLR2004 - an interval has two ends
        return 0.0
    last = _between(*readings[-2:])
    if not last.moved:
        return abs(last.moved_ns) + last.within_ns if blurred else 0.0
    apart_ns, allowed_ns = abs(last.moved_ns), 0.0
    if len(readings) > 2 and last.elapsed_ns > 0:  # noqa: PLR2004
        earlier = _between(*readings[-3:-1])
        if earlier.moved and not earlier.stepped:
            apart_ns = abs(last.moved_ns - round(earlier.moved_ns / earlier.elapsed_ns * last.elapsed_ns))
            allowed_ns = last.within_ns + earlier.within_ns * last.elapsed_ns / earlier.elapsed_ns
    if apart_ns > max(allowed_ns, (1 - STEADY) * abs(last.moved_ns)):
        return max(apart_ns, abs(last.moved_ns)) + last.within_ns
    return apart_ns + last.within_ns if blurred else 0.0


def follows_at_once(before: Reading, now: Reading, delay_ns: int) -> bool:
    """Whether a reading shows no rate, since it follows another while exchanges are under way.

    Unless it shows a move: then it counts.
    """
    at_ns, difference_ns, resolution_ns = now
    near = abs(at_ns - before.at_ns) < max(delay_ns, _AT_ONCE_NS)
    return near and abs(difference_ns - before.difference_ns) <= resolution_ns + before.resolution_ns


def is_blunt(before: Reading, now: Reading) -> bool:
    """Whether `now` is not to take the place of a reading that resolves far more."""
    soon = 0 < now.at_ns - before.at_ns < FOLLOWED_NS // 2
    return soon and now.resolution_ns > _BLUNT * max(before.resolution_ns, 1)


class _Intervals(NamedTuple):
    """As `_Interval`, many; float64, and exact up to 2**53 ns."""

    elapsed_ns: Floats
    moved_ns: Floats
    within_ns: Floats

    @property
    def moved(self) -> NDArray[np.bool_]:
        return np.abs(self.moved_ns) > self.within_ns

    @property
    def stepped(self) -> NDArray[np.bool_]:
        """Or none: from a reading to itself."""
        return (self.elapsed_ns <= 0) | (np.abs(self.moved_ns) > FASTEST * self.elapsed_ns + self.within_ns)


class DirectPiReadings:
    """As `PiReadings`, but beside each reading those count that are apart from it."""

    def __init__(self, exchanges: Exchanges) -> None:
        pi = np.where(on_raw(exchanges), exchanges.column("pi_realtime_minus_raw_ns"), 0)
        self._columns = exchanges.column("transmit_ns") - pi, pi, exchanges.column("resolution_ns")
        apart_ns = np.maximum(delays_ns(exchanges), _AT_ONCE_NS)
        self._before, overtaken = _beside(*self._columns, apart_ns, -1)
        self.after, following = _beside(*self._columns, apart_ns, 1)
        """The places of those; an end's own where there is none."""
        self.moved_ns = np.maximum(overtaken, following)
        """How far the clock moved until a later reading that is not apart, with what both resolve; or 0."""

    def shown(self, blurred: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """What each reading and those beside it show: the second of `slew_of`; `unexplained_ns`.

        Without a later reading two earlier ones count, and the second means nothing. `blurred`: of each.
        """
        fastest, unexplained_ns = np.zeros(blurred.size), np.zeros(blurred.size)
        for begin in range(0, blurred.size, _CHUNK):
            part = slice(begin, begin + _CHUNK)
            earlier, before, own, after = self._places(part)
            first, second, last = (
                self._between(*each) for each in ((earlier, before), (before, own), (own, after))
            )
            with np.errstate(divide="ignore", invalid="ignore"):
                fastest[part] = _fastest(_Intervals(*map(np.stack, zip(first, second, last, strict=True))))
                unexplained_ns[part] = _unexplained_ns(second, last, blurred[part])
        return fastest, unexplained_ns

    def _places(self, part: slice) -> tuple[Integers, Integers, Integers, Integers]:
        """Of the readings to look at for each, in order; some are the same."""
        before, after, own = self._before[part], self.after[part], np.arange(self.after.size)[part]
        return np.where(after == own, self._before[before], before), before, own, after

    def _between(self, before: Integers, now: Integers) -> _Intervals:
        at_ns, difference_ns, resolution_ns = self._columns
        far = difference_ns[now].astype(float) - difference_ns[before]
        near = (difference_ns[now] - difference_ns[before]).astype(float)
        within_ns = (resolution_ns[now] + resolution_ns[before]).astype(float)
        elapsed_ns = (at_ns[now] - at_ns[before]).astype(float)
        return _Intervals(elapsed_ns, np.where(np.abs(far) < _FAR_NS, near, far), within_ns)


def _fastest(each: _Intervals) -> Floats:
    """The second of `slew_of` of several times three intervals, shape (3, n)."""
    elapsed_ns, moved_ns, within_ns = each
    shown = ~each.stepped
    rate, moved = moved_ns / elapsed_ns, shown & each.moved
    least, greatest = (moved_ns - within_ns) / elapsed_ns, (moved_ns + within_ns) / elapsed_ns
    most = np.where(shown, np.maximum(np.abs(least), np.abs(greatest)), 0.0).max(axis=0)
    one_rate = _most(shown, least) <= _least(shown, greatest)
    slowest, fastest = _least(shown, rate), _most(shown, rate)
    forward = (slowest >= STEADY * fastest) & (fastest > 0)
    backward = (fastest <= STEADY * slowest) & (slowest < 0)
    followed = ~(moved & (elapsed_ns > FOLLOWED_NS)).any(axis=0)
    known = (one_rate | forward | backward) & followed
    found = np.where(moved.any(axis=0), np.where(known, most / STEADY, FASTEST), most)
    return np.where(shown.any(axis=0), np.minimum(found, FASTEST), FASTEST)


def _most(shown: NDArray[np.bool_], values: Floats) -> Floats:
    found: Floats = np.where(shown, values, -np.inf).max(axis=0)
    return found


def _least(shown: NDArray[np.bool_], values: Floats) -> Floats:
    found: Floats = np.where(shown, values, np.inf).min(axis=0)
    return found


def _unexplained_ns(earlier: _Intervals, last: _Intervals, blurred: NDArray[np.bool_]) -> Floats:
    """`unexplained_ns` of many pairs of intervals."""
    explains = (last.elapsed_ns > 0) & earlier.moved & ~earlier.stepped
    explained_ns = np.rint(earlier.moved_ns / earlier.elapsed_ns * last.elapsed_ns)
    moved_ns = np.abs(last.moved_ns)
    apart_ns = np.where(explains, np.abs(last.moved_ns - explained_ns), moved_ns)
    allowed_ns = last.within_ns + earlier.within_ns * last.elapsed_ns / earlier.elapsed_ns
    allowed_ns = np.maximum(np.where(explains, allowed_ns, 0.0), (1 - STEADY) * moved_ns)
    off_ns = np.where(
        apart_ns > allowed_ns, np.maximum(apart_ns, moved_ns), np.where(blurred, apart_ns, -np.inf)
    )
    off_ns = np.where(last.moved, off_ns, np.where(blurred, moved_ns, -np.inf))
    return np.maximum(off_ns + last.within_ns, 0.0)


def _beside(
    at_ns: Integers, difference_ns: Integers, resolution_ns: Integers, apart_ns: Integers, step: int
) -> tuple[Integers, Integers]:
    """In this direction the place of the next reading that is apart, and the farthest move before it."""
    own, last = np.arange(at_ns.size), max(at_ns.size - 1, 0)
    found, moved_ns = np.clip(own + step, 0, last), np.zeros(at_ns.size, dtype=np.int64)
    for _ in range(_TOGETHER):
        later_ns = at_ns[found] - at_ns
        within_ns = resolution_ns[found] + resolution_ns
        blunt = (resolution_ns[found] > _BLUNT * np.maximum(resolution_ns, 1)) & (
            np.abs(later_ns) < FOLLOWED_NS // 2
        )
        near = (later_ns * step < apart_ns) | blunt  # also where it was overtaken
        skipped = near & (found > 0) & (found < last)
        if not skipped.any():
            break
        off_ns = np.abs(difference_ns[found] - difference_ns)
        shown = skipped & (later_ns > 0) & (off_ns > within_ns)
        moved_ns = np.where(shown, np.maximum(moved_ns, off_ns + within_ns), moved_ns)
        found[skipped] += step
    return found, moved_ns
