"""Blocks of time: of each one the least upper and the greatest lower bound, with their own times.

Dropping the other bounds of a block is always safe: fewer constraints allow more. Numbers of blocks are
places on a fixed grid: block k covers [k·block_s, (k + 1)·block_s).
"""

from __future__ import annotations

from math import ceil, floor, inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SPARE = 64
"""So many blocks too many are dropped together."""


class Bounds(NamedTuple):
    """Upper and lower bounds as arrays of one shape; times in s, bounds in ns.

    (n,) for exchanges or blocks, (windows, n) for many windows at once. An empty block's bounds are infinite.
    """

    upper_at: Floats
    upper: Floats
    lower_at: Floats
    lower: Floats

    def part(self, rows: slice) -> Bounds:
        """Some of them."""
        return Bounds(*(column[rows] for column in self))


class Blocks:
    """The last `size` closed blocks and the open one, without gaps; an empty block bounds nothing.

    Times are s and bounds ns, both relative to anchors that the caller keeps. "Least" and "greatest" are
    taken along `slope` (ns/s), so that the drift within a block does not decide which bound is kept.
    """

    def __init__(self, block_s: float, size: int) -> None:
        self.block_s = block_s
        self.size = size
        self.slope = 0.0
        self.index: int | None = None
        """The open block's number."""
        self._filled = 0
        self._columns: Floats = np.empty((6, size + _SPARE))
        self._closed: tuple[int, int, float] | None = None
        """What `within` found in the closed blocks, until another one closes."""
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
        """Add an exchange's bounds; a late exchange goes into the open block with its own times."""
        number = floor(lower_at_s / self.block_s)
        if self.index is None:
            self.index = number
        elif number > self.index:
            self._close(number)
        self._count += 1
        self._delay = min(self._delay, delay_ns)
        slope = self.slope
        if upper_ns - slope * upper_at_s < self._upper - slope * self._upper_at:
            self._upper, self._upper_at = upper_ns, upper_at_s
        if lower_ns - slope * lower_at_s > self._lower - slope * self._lower_at:
            self._lower, self._lower_at = lower_ns, lower_at_s

    def _close(self, number: int) -> None:
        assert self.index is not None
        self._append(self._upper_at, self._upper, self._lower_at, self._lower, self._count, self._delay)
        if number - self.index > self.size:
            self._filled = 0
        else:
            for empty in range(self.index + 1, number):
                at_s = empty * self.block_s
                self._append(at_s, inf, at_s, -inf, 0, inf)
        self.index = number
        self._closed = None
        self._clear()

    def _append(self, *column: float) -> None:
        if self._filled == self._columns.shape[1]:
            self._columns[:, : self.size] = self._columns[:, -self.size :].copy()
            self._filled = self.size
        self._columns[:, self._filled] = column
        self._filled += 1

    def columns(self) -> Floats:
        """The closed blocks, oldest first, shape (4, n ≤ size): the rows are those of `Bounds`."""
        return self._columns[:4, max(self._filled - self.size, 0) : self._filled]

    def within(self, window_s: float) -> tuple[int, float]:
        """The number of exchanges in the last `window_s` and the open block, and their least delay (ns)."""
        blocks = ceil(window_s / self.block_s)
        if self._closed is None or self._closed[0] != blocks:
            counts, delays = self._columns[4:, max(self._filled - blocks, 0) : self._filled]
            self._closed = blocks, int(counts.sum()), float(delays.min(initial=inf))
        _, count, delay = self._closed
        return self._count + count, min(self._delay, delay)


def block_extremes(bounds: Bounds, number: Integers, slope: Floats) -> tuple[Integers, Bounds]:
    """The numbers of the blocks that hold an exchange, and each one's least upper and greatest lower bound.

    `bounds`, `number` (each exchange's block, rising) and `slope` (ns/s, along which least and greatest are
    taken) have one entry per exchange.
    """
    numbers, begins = np.unique(number, return_index=True)
    high = np.lexsort((bounds.upper - slope * bounds.upper_at, number))[begins]
    low = np.lexsort((slope * bounds.lower_at - bounds.lower, number))[begins]
    return numbers, Bounds(bounds.upper_at[high], bounds.upper[high], bounds.lower_at[low], bounds.lower[low])
