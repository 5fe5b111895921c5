"""Weighted least-squares lines over windows of blocks, from sums; what windows share is summed once."""

from __future__ import annotations

from functools import lru_cache
from math import nan
from typing import NamedTuple

import numpy as np

from topside_agent.estimator.blocks import Floats, Integers
from topside_agent.estimator.settings import FEWEST_BLOCKS

SUMS = 6
"""Sums of a window: weight, time, time², value, value·time, value²."""
BLOCK = 7
"""Numbers of a block: 1 (0 if it is empty), each way's value (ns) but the middle of both least delays, the
weight of the last way; the others have 1.
"""
_WEIGHT, _MIDDLE = 6, 7
"""Rows of products: that weight, which multiplies the value before it; the middle of both least delays."""
_SUMMED = np.array([[0, 0, 0, 0, 0, _WEIGHT], [1, 2, _MIDDLE, 3, 4, 5]]).repeat(3, axis=0)
_SUMMED += np.array([[0], [1], [2], [0], [1], [2]]) * (BLOCK + 1)
"""Of each sum and way the row of products."""


class Reference(NamedTuple):
    """Values are summed relative to this line, so that float64 is enough: `at_s`, ns there, ns/s."""

    at_s: float
    offset: float
    slope: float


class Fits(NamedTuple):
    """Lines, all of shape (ways, windows): `middle` in ns at `at_s`, `slope` in ns/s."""

    at_s: Floats
    middle: Floats
    slope: Floats
    variance: Floats
    """The squared error (ns²) at the window's ends that the residuals suggest."""

    def at(self, at_s: float | Floats) -> Floats:
        """The values (ns) at these instants, one for each window."""
        found: Floats = self.middle + self.slope * (at_s - self.at_s)
        return found

    def part(self, windows: slice) -> Fits:
        """Some of the windows."""
        return Fits(*(column[:, windows] for column in self))


def sums_of(at_s: Floats, weight: Floats, values: Floats, reference: Reference) -> Floats:
    """The sums over all blocks before each boundary, shape (SUMS, ways, blocks + 1).

    `at_s` (blocks,) in s; `weight`, 0 where a block is empty, and `values` in ns have shape (ways, blocks).
    """
    at_s = at_s - reference.at_s
    values = values - reference.offset - reference.slope * at_s
    sums = np.zeros((SUMS, *values.shape[:1], at_s.size + 1))
    rows = sums[:, :, 1:]
    rows[0] = weight
    np.multiply(weight, at_s, out=rows[1])
    np.multiply(rows[1], at_s, out=rows[2])
    np.multiply(weight, values, out=rows[3])
    np.multiply(rows[3], at_s, out=rows[4])
    np.multiply(rows[3], values, out=rows[5])
    for each in sums.reshape(-1, sums.shape[2]):
        each[:] = each.cumsum()
    return sums


def sums_of_newest(blocks: Floats, block_s: float, reference: Reference, counts: tuple[int, ...]) -> Floats:
    """The sums over the newest blocks, for each of `counts`: shape (SUMS, ways, counts).

    `blocks` are without gaps, shape (BLOCK, blocks); the middle of the newest is `reference.at_s`. They are
    summed once, between the beginnings of the windows, and what several ways have in common once for all.
    """
    begins, places = _begins(counts)
    blocks = blocks[:, -int(begins[-1]) :]
    size = blocks.shape[1]
    at_s = block_s * np.arange(1 - size, 1)
    products = np.empty((3, BLOCK + 1, size))
    plain, timed, squares = products
    plain[:BLOCK] = blocks
    plain[1:_WEIGHT] -= reference.offset + reference.slope * at_s
    plain[1:_WEIGHT] *= plain[0]
    plain[_MIDDLE] = (plain[1] + plain[2]) / 2
    np.multiply(plain, plain, out=squares)
    squares[_WEIGHT - 1] *= plain[_WEIGHT]
    plain[_WEIGHT - 1] *= plain[_WEIGHT]
    np.multiply(plain, at_s, out=timed)
    for row in (0, _WEIGHT):
        np.multiply(timed[row], at_s, out=squares[row])
    between = np.add.reduceat(products.reshape(-1, size), size - begins[::-1], axis=1)
    found: Floats = between[:, ::-1].cumsum(axis=1)[_SUMMED[..., None], places]
    return found


@lru_cache(maxsize=256)
def _begins(counts: tuple[int, ...]) -> tuple[Integers, Integers]:
    """These numbers of blocks, rising and each once, and where among them each of `counts` is."""
    return np.unique(np.array(counts, dtype=np.int64), return_inverse=True)


def least_squares(within: Floats, count: Floats, reference: Reference) -> Fits:
    """The lines of windows with the sums `within`, shape (SUMS, ways, windows), `count` blocks not empty.

    NaN with fewer than `FEWEST_BLOCKS`. Assumption of `variance`: residuals are independent.
    """
    count = np.where(count >= FEWEST_BLOCKS, count, nan)
    at_s, square, mean, product, power = within[1:] / np.where(count > 0, within[0], nan)
    along = product - mean * at_s
    slope = along / (square - at_s**2)
    variance = np.maximum(power - mean**2 - slope * along, 0.0) * (4.0 / (count - 2.0))
    middle = mean + reference.offset + reference.slope * at_s
    return Fits(at_s + reference.at_s, middle, slope + reference.slope, variance)
