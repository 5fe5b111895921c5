"""How fast a wall clock is being slewed, from its readings beside RAW.

No bound of the RAW clocks rests on this. It covers what a point in time needs: realtime − RAW was read at
one instant, which the other clock knows only to within the way of the message (docs/mathematics.md §4).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from topside_agent.estimator.constraints import READ_WITHIN_NS, on_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.exchanges import Exchanges

FASTEST = 0.1005
"""ns/ns: the kernel's limit, 10 % by tick and 500 ppm by frequency."""
_AT_REST_NS = READ_WITHIN_NS
"""Two readings that differ by less, beyond their resolution, show no slew: reading takes as long."""
STEADY = 0.95
"""Rates of neighbouring intervals this near to each other are one slew; its changes go unseen up to then."""
FOLLOWED_NS = 2_000_000_000
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
    """What each of these exchanges read of the Pi's clock, as columns, and where the clock rests."""

    def __init__(self, exchanges: Exchanges) -> None:
        pi = exchanges.column("pi_realtime_minus_raw_ns")
        self._difference_ns = np.where(on_raw(exchanges), pi, 0)
        self._at_ns = exchanges.column("transmit_ns") - self._difference_ns
        self._resolution_ns = exchanges.column("resolution_ns")
        rests = (np.diff(self._at_ns) > 0) & (np.abs(np.diff(self._difference_ns)) <= _AT_REST_NS)
        known = np.full(min(len(exchanges), 1), rests.size > 0)
        self.resting = np.append(known, rests) & np.append(rests, known)
        """Where `slew_of` and `unexplained_ns` of the readings around an exchange are 0."""

    def near(self, index: int) -> list[Reading]:
        """That of this exchange and of those beside it."""
        around = slice(max(index - 1, 0), index + 2)
        columns = (self._at_ns, self._difference_ns, self._resolution_ns)
        return [Reading(*each) for each in zip(*(column[around].tolist() for column in columns), strict=True)]


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
    return apart_ns if apart_ns > (1 - STEADY) * abs(moved_ns) else 0.0


def with_next(readings: Sequence[Reading], now: Reading, *, cut: bool, rate: float) -> list[Reading]:
    """The last two of `readings`, and `now`.

    Where a `cut` was made, the earlier ones are as they were had the clock not been stepped: a step leaves
    its `rate`, that of `slew_of` of the last two.
    """
    kept = list(readings[-2:])
    if cut and kept:
        elapsed_ns = now.at_ns - kept[-1].at_ns
        moved_ns = now.difference_ns - kept[-1].difference_ns
        if elapsed_ns > 0 and abs(moved_ns) > _slewable_ns(elapsed_ns):
            step_ns = moved_ns - round(rate * elapsed_ns)
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
        most = max(most, FASTEST if moves and elapsed_ns > FOLLOWED_NS else abs(rate))
        least = min(least, abs(rate))
    if known and not moved:
        return 0.0, 0.0
    return rate, min(most / STEADY, FASTEST) if known and least >= STEADY * most else FASTEST


def _slewable_ns(elapsed_ns: int) -> float:
    return FASTEST * max(elapsed_ns, 0) + _AT_REST_NS


def rests(before: Reading, now: Reading) -> bool:
    """Whether the clock shows no slew from one reading to the next."""
    return now.at_ns > before.at_ns and abs(now.difference_ns - before.difference_ns) <= _AT_REST_NS
