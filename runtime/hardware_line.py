"""A hardware clock against RAW: converts its stamps by the readings next to them, pure.

Other programs may set such a clock, and change its rate (ptp4l, phc2sys), and nothing tells. So a straight
line through all readings of the last seconds (`realtime_line`) only decides whether they belong together: one
that no line reaches ends it, and no stamp of before is converted any more. How far a stamp may be wrong is
taken from the reading next to it alone: from the line to that reading's farther edge, and by what the rate
may be off the line's in the time between. The assumption: that rate strays no more than `_ASTRAY` from the
line's, and the clock is not set, or by less than a reading's width, between a stamp and the reading.
"""

from __future__ import annotations

from bisect import bisect_left
from math import ceil
from typing import NamedTuple

from runtime.realtime_line import RawStamp, RealtimeLine
from runtime.realtime_rate import RateState

_FASTEST = 1e-3
"""A clock that runs faster against RAW is being corrected: no line passes through its readings."""
_ASTRAY = 1e-4
_MOST, _FARTHEST_NS = 256, 10**15
_YOUNG_NS = 1_000_000_000
"""A younger line leaves so much room for its slope that a step could hide in it."""


class _HardwareRate(RateState):
    """Nothing reports a hardware clock's rate: any up to `_FASTEST`."""

    @property
    def rates(self) -> tuple[float, float]:
        """Both limits."""
        return -_FASTEST, _FASTEST

    @property
    def uneven_ns(self) -> int:
        """The rate is one of hardware."""
        return 0


class _Read(NamedTuple):
    """A reading: RAW in the middle of it, its half-width, and the clock then."""

    raw_ns: int
    half_ns: int
    clock_ns: int


_RATE = _HardwareRate()


class HardwareLine:
    """Takes readings of one clock; converts stamps that lie between them."""

    def __init__(self) -> None:
        self._line = RealtimeLine()
        self._readings: list[_Read] = []

    def take(self, low_ns: int, clock_ns: int, high_ns: int) -> bool:
        """Take a reading of the clock, made while RAW was `low_ns` to `high_ns`; whether the line goes on.

        Where it does not, another reading begins the next line.
        """
        raw_ns, width_ns = (low_ns + high_ns) // 2, high_ns - low_ns + 2
        goes_on = self._line.take(raw_ns, clock_ns - raw_ns, width_ns, _RATE, was_set=False)
        begins = not goes_on and self._line.difference() is not None
        if not goes_on:
            self._readings.clear()
        if goes_on or begins:
            self._readings.append(_Read(raw_ns, ceil(width_ns / 2), clock_ns))
        if len(self._readings) > 2 * _MOST:
            del self._readings[:_MOST]
        return goes_on

    def end(self) -> None:
        """Convert none of the stamps so far: the clock is not what it seemed to be."""
        self._line, self._readings = RealtimeLine(), []

    def raw_of(self, clock_ns: int) -> RawStamp | None:
        """RAW at a stamp of the clock; None: it is not between the line's first reading and the last one.

        Nor is any converted in a line's first second.
        """
        stamp = self._line.raw_of(clock_ns)
        if stamp is None or self._readings[-1].raw_ns - self._line.begun_ns < _YOUNG_NS:
            return None
        after = bisect_left(self._readings, stamp.raw_ns, key=lambda each: each.raw_ns)
        nearest = self._readings[max(after - 1, 0) : after + 1]
        reaches = [self._reach_ns(stamp.raw_ns, each) for each in nearest]
        return stamp._replace(half_ns=max(stamp.half_ns, min(reaches)))

    def _reach_ns(self, raw_ns: int, reading: _Read) -> int:
        """How far the line may be wrong at `raw_ns` by this reading alone."""
        held = self._line.raw_of(reading.clock_ns)
        if held is None:
            return _FARTHEST_NS
        astray = _ASTRAY + self._line.steepest
        strayed_ns = ceil(abs(raw_ns - reading.raw_ns) * astray)
        return abs(held.raw_ns - reading.raw_ns) + reading.half_ns + strayed_ns + 1
