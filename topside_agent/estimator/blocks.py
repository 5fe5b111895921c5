"""A window's memory: of every block of time the least upper and the greatest lower bound, and when."""

from __future__ import annotations

from math import ceil, floor, inf

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Blocks:
    """The last `size` blocks of `block_s` seconds, on a grid without holes; an empty block bounds nothing.

    Times are s and bounds ns, both relative to an anchor that the caller keeps. "Least" and "greatest" are
    meant along `slope` (ns/s), so that the clocks' drift within a block does not decide which bound is kept.
    """

    def __init__(self, block_s: float, size: int) -> None:
        self.block_s = block_s
        self.size = size
        self.slope = 0.0
        self.index: int | None = None
        """The open block's place on the grid: it covers [index·block_s, (index + 1)·block_s)."""
        self._filled = 0
        self._columns: Floats = np.empty((6, 2 * size))
        self._closed: tuple[int, int, float] | None = None
        """What `within` found of the closed blocks, until another one is closed."""
        self._clear()

    def _clear(self) -> None:
        self._upper, self._upper_at = inf, 0.0
        self._lower, self._lower_at = -inf, 0.0
        self._count, self._delay = 0, inf

    def closes_open(self, at_s: float) -> bool:
        """Whether a bound at `at_s` begins a new block."""
        return self.index is not None and floor(at_s / self.block_s) > self.index

    def add(
        self, upper_at_s: float, upper_ns: float, lower_at_s: float, lower_ns: float, *, delay_ns: int
    ) -> None:
        """Take an exchange's bounds; one that is late goes into the open block with its own times."""
        place = floor(lower_at_s / self.block_s)
        if self.index is None:
            self.index = place
        elif place > self.index:
            self._close(place)
        self._count += 1
        self._delay = min(self._delay, delay_ns)
        slope = self.slope
        if upper_ns - slope * upper_at_s < self._upper - slope * self._upper_at:
            self._upper, self._upper_at = upper_ns, upper_at_s
        if lower_ns - slope * lower_at_s > self._lower - slope * self._lower_at:
            self._lower, self._lower_at = lower_ns, lower_at_s

    def _close(self, place: int) -> None:
        assert self.index is not None
        self._append(self._upper_at, self._upper, self._lower_at, self._lower, self._count, self._delay)
        if place - self.index > self.size:
            self._filled = 0
        else:
            for empty in range(self.index + 1, place):
                at_s = empty * self.block_s
                self._append(at_s, inf, at_s, -inf, 0, inf)
        self.index = place
        self._closed = None
        self._clear()

    def _append(self, *column: float) -> None:
        if self._filled == 2 * self.size:
            self._columns[:, : self.size] = self._columns[:, self.size :]
            self._filled = self.size
        self._columns[:, self._filled] = column
        self._filled += 1

    def columns(self) -> Floats:
        """The closed blocks, oldest first, as rows: upper's time, upper, lower's time, lower."""
        return self._columns[:4, max(self._filled - self.size, 0) : self._filled]

    def within(self, window_s: float) -> tuple[int, float]:
        """How many exchanges the last `window_s` and the open block hold, and their least delay in ns."""
        blocks = ceil(window_s / self.block_s)
        if self._closed is None or self._closed[0] != blocks:
            counts, delays = self._columns[4:, max(self._filled - blocks, 0) : self._filled]
            self._closed = blocks, int(counts.sum()), float(delays.min(initial=inf))
        _, count, delay = self._closed
        return self._count + count, min(self._delay, delay)
