"""From the exchanges of a window to one estimate: mean, median, or the exchange with the least delay."""

from __future__ import annotations

from bisect import bisect_left
from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.peers.exchanges import Stamps


class Window(NamedTuple):
    """A stretch of realtime, in ns; what ended in it belongs to it."""

    begin_ns: int
    end_ns: int


class Estimate(NamedTuple):
    """One estimate, in ns: the true offset is 0, so its offset is its error."""

    error_ns: float
    stated_ns: float
    delay_ns: float
    exchanges: int

    @property
    def covered(self) -> bool:
        return abs(self.error_ns) <= self.stated_ns


def within(exchanges: Sequence[Stamps], window: Window) -> Sequence[Stamps]:
    """Those that ended in the window; `exchanges` stand in the order of their ends."""
    begin, end = (bisect_left(exchanges, at_ns, key=lambda e: e.destination) for at_ns in window)
    return exchanges[begin:end]


def mean_of(exchanges: Sequence[Stamps]) -> Estimate:
    """The mean offset; half the mean delay bounds it."""
    delay_ns = fmean(e.delay_ns for e in exchanges)
    return Estimate(fmean(e.offset_ns for e in exchanges), delay_ns / 2, delay_ns, len(exchanges))


def median_of(exchanges: Sequence[Stamps]) -> Estimate:
    """The median offset, with half the median delay, which bounds nothing."""
    delay_ns = median(e.delay_ns for e in exchanges)
    return Estimate(median(e.offset_ns for e in exchanges), delay_ns / 2, delay_ns, len(exchanges))


def least_delay_of(exchanges: Sequence[Stamps]) -> Estimate:
    """NTP's choice: the exchange with the least delay, bounded by half of that. Tells the median delay."""
    best = min(exchanges, key=lambda e: e.delay_ns)
    stated_ns = median(e.delay_ns for e in exchanges)
    return Estimate(best.offset_ns, best.delay_ns / 2, stated_ns, len(exchanges))


ESTIMATORS: dict[str, Callable[[Sequence[Stamps]], Estimate]] = {
    "mean": mean_of,
    "median": median_of,
    "least delay": least_delay_of,
}


def windowed(
    exchanges: Sequence[Stamps], windows: Sequence[Window], estimate: Callable[[Sequence[Stamps]], Estimate]
) -> list[Estimate]:
    """An estimate of each window that has exchanges."""
    parts = (within(exchanges, window) for window in windows)
    return [estimate(part) for part in parts if part]
