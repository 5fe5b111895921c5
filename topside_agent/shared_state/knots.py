"""An exchange as a knot: where both RAW clocks were, and what each wall clock differed from its RAW; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from topside_agent.estimator.timebase import Timebase

FASTEST = 0.1005
"""Linux slews a clock no faster."""


class Knot(NamedTuple):
    """An exchange, and the bound at its destination; ns."""

    timebase: Timebase
    segment: int
    boot_id: str | None
    pi_raw_ns: int
    read_ns: int
    """The vehicle's RAW when it read its clocks: earlier by the way back."""
    raw_ns: int
    width_ns: int
    rate: float
    """How fast the RAW clocks may run apart, as a fraction."""
    pi_difference_ns: int
    difference_ns: int
    pi_moved_ns: int
    """How far the readings since the knot before differ, and what each resolves."""
    moved_ns: int
    boottime_ns: int

    def follows(self, before: Knot) -> bool:
        """Whether nothing is known to have been cut between the two."""
        return before.reaches(*self[:3]) and self.pi_raw_ns > before.pi_raw_ns

    def reaches(self, timebase: Timebase, segment: int, boot_id: str | None) -> bool:
        """Whether nothing is known to have been cut between this and an exchange of these."""
        same = timebase.bound is self.timebase.bound and segment == self.segment
        return same and boot_id == self.boot_id


class Moved:
    """How far the readings of a difference are apart."""

    def __init__(self, first_ns: int) -> None:
        self._low = self._high = first_ns

    def read(self, difference_ns: int) -> None:
        """Take another reading."""
        self._low, self._high = min(self._low, difference_ns), max(self._high, difference_ns)

    @property
    def ns(self) -> int:
        """The greatest difference of two."""
        return self._high - self._low


def rates(before: Knot | None, last: Knot) -> tuple[float, float]:
    """How fast both wall clocks moved away from RAW between two knots."""
    if before is None:
        return 0.0, 0.0
    passed_ns = max(last.raw_ns - before.raw_ns, 1)
    moved = last.pi_difference_ns - before.pi_difference_ns, last.difference_ns - before.difference_ns
    pi, own = (min(max(each / passed_ns, -FASTEST), FASTEST) for each in moved)
    return pi, own
