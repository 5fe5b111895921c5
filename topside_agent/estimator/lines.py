"""The line with the greatest margin to all bounds of a window, for many windows at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CLOSE_NS = 1e-2
"""A margin this near to what the tangents promise is the greatest one."""
_MOST_TURNS = 60
_NOWHERE = -1e300
"""Stands for −infinity where both sides of a window are empty, so that its middle is not NaN."""


class Windows(NamedTuple):
    """One window a row: times (s) and bounds (ns) of its blocks; an empty block's bounds are infinite."""

    upper_at: Floats
    upper: Floats
    lower_at: Floats
    lower: Floats


class Lines(NamedTuple):
    """One line a row: `slope` in ns/s, `middle` in ns at time 0.

    `margin` in ns is what lies between the bounds on both sides along the line.
    """

    slope: Floats
    middle: Floats
    margin: Floats


_SLOPE, _MARGIN, _RISE, _MIDDLE = range(4)
"""The margin as a function of the slope is concave. A tangent is a column: the margin's value and derivative
at one slope, and the middle there. All stand in one array, because numpy takes a microsecond for each call
whatever its size.
"""


def widest_lines(windows: Windows, steepest: float) -> Lines:
    """The max-margin line of each row, its slope within ±`steepest` ns/s.

    The greatest margin lies where a rising and a falling tangent meet; each turn replaces one of them (the
    cutting-plane method in one dimension). At ±`steepest` one may still fall or rise: that end is best.
    Harrison and Newman, TICSync, ICRA 2011; Geng et al., Huygens, NSDI 2018.
    """
    rows = windows.upper.shape[0]
    left, right = (_touch(windows, np.full(rows, end)) for end in (-steepest, steepest))
    found = np.where(
        left[_MARGIN] >= right[_MARGIN], left, right
    )  # where the margin does not turn in between
    todo = np.flatnonzero((left[_RISE] > 0) & (right[_RISE] < 0))
    left, right = left[:, todo], right[:, todo]
    for _ in range(_MOST_TURNS):
        if not todo.size:
            break
        part = windows if todo.size == rows else Windows(*(column[todo] for column in windows))
        ahead = (
            right[_MARGIN] - left[_MARGIN] + left[_RISE] * left[_SLOPE] - right[_RISE] * right[_SLOPE]
        ) / (left[_RISE] - right[_RISE])
        new = _touch(part, ahead)
        found[:, todo] = new
        open_ = left[_MARGIN] + left[_RISE] * (ahead - left[_SLOPE]) - new[_MARGIN] > _CLOSE_NS
        left_over = np.count_nonzero(open_)
        if not left_over:
            break
        rising = new[_RISE] > 0
        left, right = np.where(rising, new, left), np.where(rising, right, new)
        if left_over < todo.size:
            todo, left, right = todo[open_], left[:, open_], right[:, open_]
    return Lines(found[_SLOPE], found[_MIDDLE], found[_MARGIN])


def _touch(windows: Windows, slope: Floats) -> Floats:
    """Where lines of these slopes touch the bounds."""
    each, steep = np.arange(slope.size), slope[:, None]
    above = windows.upper - steep * windows.upper_at
    below = windows.lower - steep * windows.lower_at
    i, j = above.argmin(axis=1), below.argmax(axis=1)
    high, low = above[each, i], below[each, j]
    tangent = np.empty((4, slope.size))
    tangent[_SLOPE] = slope
    tangent[_MARGIN] = high - low
    tangent[_RISE] = windows.lower_at[each, j] - windows.upper_at[each, i]
    tangent[_MIDDLE] = (high + np.maximum(low, _NOWHERE)) / 2
    return tangent
