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


class _Tangent(NamedTuple):
    """The margin as a function of the slope is concave: its value and derivative at one slope a row."""

    slope: Floats
    margin: Floats
    rise: Floats
    middle: Floats


def widest_lines(
    windows: Windows, steepest: float, near: Floats | None = None, within: Floats | float = 0.0
) -> Lines:
    """The max-margin line of each row, its slope within ±`steepest` ns/s.

    The greatest margin lies where a rising and a falling tangent meet; each turn replaces one of them (the
    cutting-plane method in one dimension). Where the slope is known to be `near` some value, beginning
    `within` that much of it saves turns. Harrison and Newman, TICSync, ICRA 2011; Geng et al., Huygens, NSDI
    2018.
    """
    rows = windows.upper.shape[0]
    left, right = _bracket(windows, steepest, near, within)
    found = _flat_ends(left, right)
    todo = np.flatnonzero((left.rise > 0) & (right.rise < 0))
    left, right = _take(left, todo), _take(right, todo)
    for _ in range(_MOST_TURNS):
        if not todo.size:
            break
        part = windows if todo.size == rows else Windows(*(column[todo] for column in windows))
        ahead = (right.margin - left.margin + left.rise * left.slope - right.rise * right.slope) / (
            left.rise - right.rise
        )
        new = _touch(part, ahead)
        for kept, value in zip(found, new, strict=True):
            kept[todo] = value
        open_ = left.margin + left.rise * (ahead - left.slope) - new.margin > _CLOSE_NS
        rising = new.rise > 0
        left, right = _choose(rising, new, left), _choose(rising, right, new)
        todo, left, right = todo[open_], _take(left, open_), _take(right, open_)
    return Lines(found.slope, found.middle, found.margin)


def _bracket(
    windows: Windows, steepest: float, near: Floats | None, within: Floats | float
) -> tuple[_Tangent, _Tangent]:
    """A rising tangent and a falling one; at ±steepest one may still fall or rise: that end is best."""
    rows = windows.upper.shape[0]
    if near is None:
        return _touch(windows, np.full(rows, -steepest)), _touch(windows, np.full(rows, steepest))
    left = _touch(windows, np.maximum(near - within, -steepest))
    right = _touch(windows, np.minimum(near + within, steepest))
    wrong = np.flatnonzero((left.rise <= 0) | (right.rise >= 0))
    if wrong.size:
        part = Windows(*(column[wrong] for column in windows))
        for side, end in ((left, -steepest), (right, steepest)):
            for kept, value in zip(side, _touch(part, np.full(wrong.size, end)), strict=True):
                kept[wrong] = value
    return left, right


def _flat_ends(left: _Tangent, right: _Tangent) -> _Tangent:
    """The better end of each row's bracket: the answer where the margin does not turn in between."""
    return _choose(left.margin >= right.margin, left, right)


def _touch(windows: Windows, slope: Floats) -> _Tangent:
    """Where lines of these slopes touch the bounds."""
    each = np.arange(slope.size)
    above = windows.upper - slope[:, None] * windows.upper_at
    below = windows.lower - slope[:, None] * windows.lower_at
    i, j = above.argmin(axis=1), below.argmax(axis=1)
    high, low = above[each, i], below[each, j]
    rise = windows.lower_at[each, j] - windows.upper_at[each, i]
    return _Tangent(slope, high - low, rise, (high + np.maximum(low, _NOWHERE)) / 2)


def _choose(which: NDArray[np.bool_], yes: _Tangent, no: _Tangent) -> _Tangent:
    return _Tangent(*(np.where(which, a, b) for a, b in zip(yes, no, strict=True)))


def _take(tangent: _Tangent, rows: Integers | NDArray[np.bool_]) -> _Tangent:
    return _Tangent(*(column[rows] for column in tangent))
