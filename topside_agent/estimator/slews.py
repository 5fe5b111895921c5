"""How fast a wall clock is being slewed, from its readings beside RAW.

No bound of the RAW clocks rests on this. It covers what a point in time needs: realtime − RAW was read at
one instant, which the other clock knows only to within the way of the message (docs/mathematics.md §4).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topside_agent.estimator.constraints import Constraint

FASTEST = 0.1005
"""ns/ns: the kernel's limit, 10 % by tick and 500 ppm by frequency."""
_AT_REST_NS = 20_000
"""Two readings that differ by less, beyond their resolution, show no slew: reading takes as long."""
_STEADY = 0.95
"""Rates of neighbouring intervals this near to each other are one slew; its changes go unseen up to then."""


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


def unexplained_ns(readings: Sequence[Reading]) -> float:
    """How far (ns) the clock moved in the last interval beyond what the rate in the one before explains.

    `readings` as in `slew_of`. So much may have been a step at any moment of the interval that was too small
    to be distinguished from a slew. 0 at rest, and while a slew goes on.
    """
    if len(readings) < 2:  # noqa: PLR2004 - an interval has two ends
        return 0.0
    before, now = readings[-2:]
    if not _moved(before, now):
        return 0.0
    moved_ns = now.difference_ns - before.difference_ns
    explained_ns = slew_of(readings[:-1])[0] * (now.at_ns - before.at_ns)
    apart_ns = abs(moved_ns - explained_ns)
    return apart_ns if apart_ns > (1 - _STEADY) * abs(moved_ns) else 0.0


def slew_of(readings: Sequence[Reading]) -> tuple[float, float]:
    """The rate (ns/ns) of the last interval, and how far the rate can be from 0 near these readings.

    `readings` are two or three consecutive ones of one clock, of which those since a step count. (0, 0) at
    rest. Where the rate changes between them, it may have been anything that the kernel can do for a part of
    the time.

    Assumption: the clock goes on as it did within the readings. Broken by a slew that begins after the last.
    """
    rate, most, least, moved = 0.0, 0.0, FASTEST, False
    for before, now in pairwise(readings):
        elapsed_ns = now.at_ns - before.at_ns
        difference_ns = now.difference_ns - before.difference_ns
        if elapsed_ns <= 0 or abs(difference_ns) > _slewable_ns(elapsed_ns):
            rate, most, least, moved = 0.0, 0.0, FASTEST, False  # stepped, suspended or rebooted
            continue
        moved |= _moved(before, now)
        rate = difference_ns / elapsed_ns
        most, least = max(most, abs(rate)), min(least, abs(rate))
    if not moved:
        return 0.0, 0.0
    return rate, min(most / _STEADY, FASTEST) if least >= _STEADY * most else FASTEST


def _moved(before: Reading, now: Reading) -> bool:
    rest_ns = _AT_REST_NS + now.resolution_ns + before.resolution_ns
    return abs(now.difference_ns - before.difference_ns) > rest_ns


def _slewable_ns(elapsed_ns: int) -> float:
    return FASTEST * max(elapsed_ns, 0) + _AT_REST_NS


class RecentReadings:
    """The last three readings of one clock, and what they show; at rest, as nearly always, at no cost."""

    def __init__(self) -> None:
        self.slew = (0.0, 0.0)
        """As `slew_of`."""
        self.unexplained_ns = 0.0
        """As `unexplained_ns`."""
        self._readings: list[Reading] = []
        self._moved = False

    def add(self, reading: Reading) -> None:
        """Take in the next reading."""
        readings = self._readings = [*self._readings[-2:], reading]
        moved_before = self._moved
        self._moved = len(readings) > 1 and _moved(readings[-2], reading)
        at_rest = not (self._moved or moved_before)
        self.slew = (0.0, 0.0) if at_rest else slew_of(readings)
        self.unexplained_ns = unexplained_ns(readings) if self._moved else 0.0
