"""How fast a wall clock is being slewed, from its readings beside RAW.

No bound of the RAW clocks rests on this. It covers what a point in time needs: realtime − RAW was read at
one instant, which the other clock knows only to within the way of the message (docs/mathematics.md §4).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from topside_agent.estimator.constraints import READ_WITHIN_NS, delays_ns, on_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from topside_agent.estimator.blocks import Integers
    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.exchanges import Exchanges

FASTEST = 0.1005
"""ns/ns: the kernel's limit, 10 % by tick and 500 ppm by frequency."""
_AT_REST_NS = READ_WITHIN_NS
"""Two readings that differ by less, beyond their resolution, show no slew: reading takes as long."""
_AT_ONCE_NS = 1_000_000
"""Within so much, or while both are under way, the error of two readings would make any rate."""
_MOST_TOGETHER = 32
_STEADY = 0.95
"""Rates of neighbouring intervals this near to each other are one slew; its changes go unseen up to then."""


_KEPT = 3
"""Readings of each clock."""
_FOLLOWED_NS = 2_000_000_000
"""Across longer intervals a move shows no rate: it may have taken any part of the time."""


class Reading(NamedTuple):
    """realtime − RAW (ns), read at the RAW instant `at_ns` within `resolution_ns`."""

    at_ns: int
    difference_ns: int
    resolution_ns: int


def readings_of(constraint: Constraint) -> tuple[Reading, Reading]:
    """Each side reads its realtime − RAW last: the Pi at the transmit stamp, topside at the destination."""
    width_ns = constraint.resolution_ns
    return (
        Reading(constraint.transmit_ns, constraint.pi_difference_ns, width_ns),
        Reading(constraint.destination_ns, constraint.topside_difference_ns, width_ns),
    )


class PiReadings:
    """What each of these exchanges read of the Pi's clock, as columns, and where the clock rests.

    Readings that follow at once, of exchanges under way together, show no rate: those beside them count.
    """

    def __init__(self, exchanges: Exchanges) -> None:
        pi = exchanges.column("pi_realtime_minus_raw_ns")
        self._difference_ns = np.where(on_raw(exchanges), pi, 0)
        self._at_ns = exchanges.column("transmit_ns") - self._difference_ns
        self._resolution_ns = exchanges.column("resolution_ns")
        apart_ns = np.maximum(delays_ns(exchanges), _AT_ONCE_NS)
        self._before, self._after = self._beside(-1, apart_ns), self._beside(1, apart_ns)
        self.resting = self._rests(self._before, 1) & self._rests(self._after, -1)
        """Where `slew_of` and `unexplained_ns` of the readings around an exchange are 0."""

    def near(self, index: int) -> list[Reading]:
        """That of this exchange and of those beside it."""
        places = sorted({int(self._before[index]), index, int(self._after[index])})
        columns = (self._at_ns, self._difference_ns, self._resolution_ns)
        return [Reading(*each) for each in zip(*(column[places].tolist() for column in columns), strict=True)]

    def _beside(self, step: int, apart_ns: Integers) -> Integers:
        """The place of the next reading in that direction that is so far from each; its own at the end."""
        own, last = np.arange(self._at_ns.size), max(self._at_ns.size - 1, 0)
        found = np.clip(own + step, 0, last)
        for _ in range(_MOST_TOGETHER):
            near = (np.abs(self._at_ns[found] - self._at_ns) < apart_ns) & (found > 0) & (found < last)
            if not near.any():
                break
            found[near] += step
        return found

    def _rests(self, beside: Integers, direction: int) -> NDArray[np.bool_]:
        """Where the clock did not move from there; at the end of all it is as on the other side."""
        apart_ns = (self._at_ns - self._at_ns[beside]) * direction
        still = np.abs(self._difference_ns - self._difference_ns[beside]) <= _AT_REST_NS
        alone = beside == np.arange(beside.size)
        rests: NDArray[np.bool_] = ((apart_ns > 0) & still) | (alone & (beside.size > 1))
        return rests


def unexplained_ns(readings: Sequence[Reading]) -> float:
    """How far (ns) the clock moved in the last interval beyond what the rate in the one before explains.

    `readings` as in `slew_of`. So much may have been a step at any moment of the interval that was too small
    to be distinguished from a slew. 0 at rest, and while a slew goes on.
    """
    if len(readings) < 2:  # noqa: PLR2004 - an interval has two ends
        return 0.0
    before, now = readings[-2:]
    moved_ns = now.difference_ns - before.difference_ns
    if abs(moved_ns) <= _AT_REST_NS + now.resolution_ns + before.resolution_ns:
        return 0.0
    explained_ns = slew_of(readings[:-1])[0] * (now.at_ns - before.at_ns)
    apart_ns = abs(moved_ns - explained_ns)
    return apart_ns if apart_ns > (1 - _STEADY) * abs(moved_ns) else 0.0


def with_next(readings: Sequence[Reading], now: Reading, *, cut: bool) -> list[Reading]:
    """The last two of `readings`, and `now`.

    Where a `cut` was made, the earlier ones are as they were had the clock not been stepped: a step leaves
    its rate.
    """
    kept = list(readings[-2:])
    if cut and kept:
        elapsed_ns = now.at_ns - kept[-1].at_ns
        moved_ns = now.difference_ns - kept[-1].difference_ns
        if elapsed_ns > 0 and abs(moved_ns) > _slewable_ns(elapsed_ns):
            step_ns = moved_ns - round(slew_of(kept)[0] * elapsed_ns)
            kept = [each._replace(difference_ns=each.difference_ns + step_ns) for each in kept]
    return [*kept, now]


def slew_of(readings: Sequence[Reading]) -> tuple[float, float]:
    """The rate (ns/ns) of the last interval, and how far the rate can be from 0 near these readings.

    `readings` are up to three consecutive ones of one clock; an interval with a step does not count. (0, 0)
    at rest. Where the rate changes between them, or none is known (a single reading, a move across more than
    2 s), it may have been anything that the kernel can do for a part of the time.

    Assumption: the clock goes on as it did within the readings. Broken by a slew that begins after the last.
    """
    rate, most, least, moved, known = 0.0, 0.0, FASTEST, False, False
    for before, now in pairwise(readings):
        elapsed_ns = now.at_ns - before.at_ns
        difference_ns = now.difference_ns - before.difference_ns
        if elapsed_ns <= 0 or abs(difference_ns) > _slewable_ns(elapsed_ns):
            continue  # stepped, suspended or rebooted
        known = True
        rate = difference_ns / elapsed_ns
        moves = abs(difference_ns) > _AT_REST_NS + now.resolution_ns + before.resolution_ns
        moved |= moves
        most = max(most, FASTEST if moves and elapsed_ns > _FOLLOWED_NS else abs(rate))
        least = min(least, abs(rate))
    if known and not moved:
        return 0.0, 0.0
    return rate, min(most / _STEADY, FASTEST) if known and least >= _STEADY * most else FASTEST


def _slewable_ns(elapsed_ns: int) -> float:
    return FASTEST * max(elapsed_ns, 0) + _AT_REST_NS


class RecentReadings:
    """The last three readings of one clock; what they show is computed once, and at rest not at all."""

    def __init__(self) -> None:
        self._readings: list[Reading] = []
        self._rests = self._rested = False
        self.slew = slew_of(())
        """As `slew_of`."""
        self.unexplained_ns = 0.0
        """As `unexplained_ns`."""

    def add(self, now: Reading, *, cut: bool, delay_ns: int = 0) -> None:
        """Take in the next reading, before which a `cut` was made or not; see `with_next`.

        One that follows at once, while the exchange was under way (`delay_ns`), shows no rate: what it moved
        is its own error.
        """
        if not cut and self._readings and _follows_at_once(self._readings[-1], now, delay_ns):
            return
        before, rested = self._readings, self._rests
        if self._rested and not cut and _rests(before[-1], now):
            self._readings = [*before[1:], now]
            return
        readings = self._readings = with_next(before, now, cut=cut)
        self._rests = not cut and bool(before) and _rests(before[-1], now)
        if self._rests and (rested or len(before) == 1):
            self.slew, self.unexplained_ns = (0.0, 0.0), 0.0
        else:
            self.slew, self.unexplained_ns = slew_of(readings), unexplained_ns(readings)
        self._rested = self._rests and rested and len(readings) == _KEPT


def _follows_at_once(before: Reading, now: Reading, delay_ns: int) -> bool:
    near = abs(now.at_ns - before.at_ns) < max(delay_ns, _AT_ONCE_NS)
    return near and abs(now.difference_ns - before.difference_ns) <= _AT_REST_NS


def _rests(before: Reading, now: Reading) -> bool:
    return now.at_ns > before.at_ns and abs(now.difference_ns - before.difference_ns) <= _AT_REST_NS
