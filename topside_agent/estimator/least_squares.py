"""Weighted least-squares lines over windows of blocks, from cumulative sums: any window costs the same."""

from __future__ import annotations

from math import nan
from typing import NamedTuple

import numpy as np

from topside_agent.estimator.blocks import Floats, Integers
from topside_agent.estimator.settings import FEWEST_BLOCKS

SUMS = 6
"""Sums kept: weight, time, time², value, value·time, value²."""


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


def least_squares(sums: Floats, begin: Integers, end: Integers, count: Floats, reference: Reference) -> Fits:
    """The lines through the blocks from `begin` to before `end`, `count` of which are not empty.

    NaN with fewer than `FEWEST_BLOCKS`. Assumption of `variance`: residuals are independent.
    """
    within = sums[:, :, end] - sums[:, :, begin]
    count = np.where(count >= FEWEST_BLOCKS, count, nan)
    at_s, square, mean, product, power = within[1:] / np.where(count > 0, within[0], nan)
    along = product - mean * at_s
    slope = along / (square - at_s**2)
    variance = np.maximum(power - mean**2 - slope * along, 0.0) * (4.0 / (count - 2.0))
    middle = mean + reference.offset + reference.slope * at_s
    return Fits(at_s + reference.at_s, middle, slope + reference.slope, variance)
