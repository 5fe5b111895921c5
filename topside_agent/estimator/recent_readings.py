"""The last readings of a wall clock beside RAW, and what they show of its slew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.exchange import UDP
from topside_agent.estimator import direct_slews
from topside_agent.estimator.slews import Reading, readings_of, rests, slew_of, unexplained_ns, with_next

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topside_agent.estimator.constraints import Constraint

_KEPT = 3


class RecentReadings:
    """The last three readings of one clock; what they show is computed once, if it is asked for."""

    def __init__(self) -> None:
        self._readings: Sequence[Reading] = []
        self._rests = self._rested = False
        self.rate = 0.0
        """The first of `slew`."""
        self._slew: tuple[float, float] | None = slew_of(())
        self._unexplained_ns: float | None = 0.0
        self._shown: tuple[Sequence[Reading], bool] = [], False
        """Where exchanges came directly: the readings that show it, and whether they are blurred."""

    @property
    def slew(self) -> tuple[float, float]:
        """As `slew_of`."""
        if self._slew is None:
            self._slew = direct_slews.slew_of(self._shown[0])
        return self._slew

    @property
    def unexplained_ns(self) -> float:
        """As `unexplained_ns`."""
        if self._unexplained_ns is None:
            readings, blurred = self._shown
            self._unexplained_ns = direct_slews.unexplained_ns(readings, blurred=blurred)
        return self._unexplained_ns

    def add(self, now: Reading, *, cut: bool) -> None:
        """Take in the next reading, before which a `cut` was made or not; see `with_next`."""
        before, rested = self._readings, self._rests
        if self._rested and not cut and rests(before[-1], now):
            self._readings = [*before[1:], now]
            return
        rate = slew_of(before[-2:])[0] if cut else 0.0
        readings = self._readings = with_next(before, now, cut=cut, rate=rate)
        self._rests = not cut and bool(before) and rests(before[-1], now)
        if self._rests and (rested or len(before) == 1):
            self._slew, self._unexplained_ns = (0.0, 0.0), 0.0
        else:
            self._slew, self._unexplained_ns = slew_of(readings), unexplained_ns(readings)
        self.rate = self._slew[0]
        self._rested = self._rests and rested and len(readings) == _KEPT

    def add_directly(self, now: Reading, *, cut: bool, delay_ns: int, direct: bool) -> None:
        """The same where exchanges came directly, of one that took `delay_ns` and was `direct` or not."""
        before, self._rests, self._rested = self._readings, False, False
        last = before[-1] if before and not cut else None
        if last and direct and direct_slews.follows_at_once(last, now, delay_ns):
            return
        rate = direct_slews.rate_of(before[-2:]) if cut else 0.0
        readings = with_next(before, now, cut=cut, rate=rate)
        blurred = not direct or (last is not None and direct_slews.is_blunt(last, now))
        self.rate, self._slew, self._unexplained_ns = direct_slews.rate_of(readings), None, None
        self._shown = readings, blurred
        if last is None or not direct_slews.is_blunt(last, now):
            self._readings = readings


def take(pi: RecentReadings, topside: RecentReadings, read: Constraint, *, cut: bool, directly: bool) -> None:
    """Take in what an exchange read of both clocks; `directly`: whether any exchange came directly."""
    delay_ns, direct = read.delay_ns, read.path == UDP.name
    for clock, now in zip((pi, topside), readings_of(read), strict=True):
        if directly:
            clock.add_directly(now, cut=cut, delay_ns=delay_ns, direct=direct)
        else:
            clock.add(now, cut=cut)
