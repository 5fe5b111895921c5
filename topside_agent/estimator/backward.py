"""The hard bound from what came after: the same linear program with time running backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from topside_agent.estimator.bound import Bound, Limits
from topside_agent.estimator.lines import Floats, Integers, Windows

if TYPE_CHECKING:
    from topside_agent.estimator.settings import EstimatorSettings


def block_extremes(facts: Windows, place: Integers, slope: Floats) -> tuple[Integers, Windows]:
    """Of each block that holds an exchange, its number and its least upper and greatest lower bound.

    `place` is each exchange's block, rising; least and greatest are meant along `slope` (ns/s).
    """
    numbers, begins = np.unique(place, return_index=True)
    high = np.lexsort((facts.upper - slope * facts.upper_at, place))[begins]
    low = np.lexsort((slope * facts.lower_at - facts.lower, place))[begins]
    return numbers, Windows(facts.upper_at[high], facts.upper[high], facts.lower_at[low], facts.lower[low])


def backward(
    facts: Windows, place: Integers, slope: Floats, limits: Limits, settings: EstimatorSettings
) -> tuple[Floats, Floats]:
    """Lower and upper bound (ns) at each destination from the blocks after its own; else infinite."""
    low, high = np.full(place.size, -np.inf), np.full(place.size, np.inf)
    if not place.size:
        return low, high
    numbers, extremes = block_extremes(facts, place, slope)
    # Backwards a clock's offset runs over −t, so that the newest block is the oldest.
    newest_first = (-extremes.upper_at, extremes.upper, -extremes.lower_at, extremes.lower)
    mirrored = np.array(newest_first)[:, ::-1].copy()
    size = round(settings.ladder_s[-1] / settings.block_s)
    bound = Bound(limits)
    begins = np.searchsorted(place, numbers)
    for count in range(1, numbers.size):
        bound.add(*mirrored[:, count - 1].tolist())
        begin_s = max(mirrored[0, count - 1], mirrored[2, count - 1])
        if not bound.refit(mirrored[:, max(count - size, 0) : count], begin_s):
            bound = Bound(limits)
            continue
        block = numbers.size - 1 - count
        rows = slice(begins[block], begins[block + 1])
        low[rows], high[rows] = _spread(bound, begin_s, -facts.lower_at[rows], limits)
    return low, high


def _spread(bound: Bound, from_s: float, at_s: Floats, limits: Limits) -> tuple[Floats, Floats]:
    """The bound at `from_s` carried to the instants `at_s` of the (mirrored) block that follows."""
    least, greatest = bound.at(from_s)
    slowest, fastest = bound.drifts(from_s)
    span_s = np.abs(at_s - from_s)
    slack = limits.wander * span_s * np.sqrt(span_s)
    most = limits.rate * span_s
    along = (at_s >= from_s) & limits.lines
    up = np.where(along, np.minimum(fastest * span_s + slack, most), most)
    down = np.where(along, np.maximum(slowest * span_s - slack, -most), -most)
    return least + down, greatest + up
