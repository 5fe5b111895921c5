"""The max-margin line: of all lines between the upper and the lower bounds, the one farthest from both.

The margin of a slope is the least (upper − slope·t) less the greatest (lower − slope·t). It is a concave
function of the slope, and any pair of an upper and a lower bound is a tangent above it. The cutting-plane
method in one dimension keeps one rising and one falling tangent, evaluates the margin where they meet, and
replaces one of the two (Harrison and Newman, TICSync, ICRA 2011; Geng et al., Huygens, NSDI 2018).

`widest_lines` does so for many windows at once, for the smoother. `WindowFits` does so online, window after
window, and starts from the tangents of the last block: nearly always the old line is still the best.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from operator import mul, sub
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from topside_agent.estimator.blocks import Bounds, Floats

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLOSE_NS = 1e-2
"""A margin this near to where the tangents meet is the greatest one."""
_MOST_STEPS = 60
_NOWHERE = -1e300
"""Replaces −infinity where both sides of a window are empty, so that its middle is not NaN."""
_FEW = 64
"""Up to so many blocks plain Python is faster than numpy, whose every call takes a microsecond."""


class Lines(NamedTuple):
    """One line per window, shape (windows,): `slope` in ns/s, `middle` in ns at time 0, `margin` in ns."""

    slope: Floats
    middle: Floats
    margin: Floats


_SLOPE, _MARGIN, _RISE, _MIDDLE = range(4)
"""Rows of an array of tangents, one per column: the slope where each touches the margin, the margin and its
derivative there, and the middle there. One array, because numpy takes a microsecond for each call.
"""


def widest_lines(windows: Bounds, steepest: float) -> Lines:
    """The max-margin line of each row of `windows`, shape (windows, blocks).

    Slopes are limited to ±`steepest` ns/s. Where the margin still rises or falls there, that end is the best.
    """
    rows = windows.upper.shape[0]
    left, right = (_tangents(windows, np.full(rows, end)) for end in (-steepest, steepest))
    found = np.where(left[_MARGIN] >= right[_MARGIN], left, right)  # right where no turn lies in between
    todo = np.flatnonzero((left[_RISE] > 0) & (right[_RISE] < 0))
    left, right = left[:, todo], right[:, todo]
    for _ in range(_MOST_STEPS):
        if not todo.size:
            break
        part = windows if todo.size == rows else Bounds(*(column[todo] for column in windows))
        meet = (
            right[_MARGIN] - left[_MARGIN] + left[_RISE] * left[_SLOPE] - right[_RISE] * right[_SLOPE]
        ) / (left[_RISE] - right[_RISE])
        new = _tangents(part, meet)
        found[:, todo] = new
        open_ = left[_MARGIN] + left[_RISE] * (meet - left[_SLOPE]) - new[_MARGIN] > _CLOSE_NS
        still_open = np.count_nonzero(open_)
        if not still_open:
            break
        rising = new[_RISE] > 0
        left, right = np.where(rising, new, left), np.where(rising, right, new)
        if still_open < todo.size:
            todo, left, right = todo[open_], left[:, open_], right[:, open_]
    return Lines(found[_SLOPE], found[_MIDDLE], found[_MARGIN])


def _tangents(windows: Bounds, slope: Floats) -> Floats:
    """The tangent of each window's margin at its `slope`: shape (4, windows)."""
    each, steep = np.arange(slope.size), slope[:, None]
    above = windows.upper - steep * windows.upper_at
    below = windows.lower - steep * windows.lower_at
    i, j = above.argmin(axis=1), below.argmax(axis=1)
    high, low = above[each, i], below[each, j]
    tangents = np.empty((4, slope.size))
    tangents[_SLOPE] = slope
    tangents[_MARGIN] = high - low
    tangents[_RISE] = windows.lower_at[each, j] - windows.upper_at[each, i]
    tangents[_MIDDLE] = (high + np.maximum(low, _NOWHERE)) / 2
    return tangents


Tangent = tuple[float, float, int]
"""The margin's rise (ns for each ns/s), its value at slope 0 (ns), and the number of the older of its blocks.

Any upper and any lower bound of a window make a tangent that the margin is nowhere above, whatever other
blocks come. So a window's tangents are valid until their blocks leave it, and for every longer window too.
"""


class Touching(NamedTuple):
    """The two bounds (times in s, bounds in ns) that a line of this slope touches, and their blocks."""

    slope: float
    upper_at: float
    upper: float
    lower_at: float
    lower: float
    above: int
    below: int

    @property
    def tangent(self) -> Tangent:
        """The margin's tangent at this slope."""
        oldest = min(self.above, self.below)
        return self.lower_at - self.upper_at, self.upper - self.lower, oldest

    @property
    def edges(self) -> tuple[float, float]:
        """The highest and the lowest line (ns at time 0) of this slope between the bounds."""
        return self.upper - self.slope * self.upper_at, self.lower - self.slope * self.lower_at

    @property
    def margin(self) -> float:
        """How far apart (ns) these are."""
        slope, upper_at, upper, lower_at, lower, _, _ = self
        return (upper - slope * upper_at) - (lower - slope * lower_at)

    def line(self, left: Tangent | None, right: Tangent | None) -> Fit:
        """The line in the middle, where these tangents meet."""
        high, low = self.edges
        return Fit(self.slope, (high + low) / 2, high - low, left, right, self)

    def with_newest(self, newest: Sequence[Sequence[float]], number: int) -> Touching:
        """Those with the `newest` blocks, the last one first, which has this number."""
        slope, found, (high, low) = self.slope, self, self.edges
        for place in reversed(range(len(newest))):
            upper_at, upper, lower_at, lower = newest[place]
            if upper - slope * upper_at < high:
                high = upper - slope * upper_at
                found = found._replace(upper_at=upper_at, upper=upper, above=number - place)
            if lower - slope * lower_at > low:
                low = lower - slope * lower_at
                found = found._replace(lower_at=lower_at, lower=lower, below=number - place)
        return found


@dataclass(slots=True)
class Fit:
    """The line with the greatest margin: `slope` in ns/s, `middle` in ns at time 0, `margin` in ns.

    It lies where the rising tangent `left` meets the falling `right`. Without one of them the margin does not
    turn within the steepest slopes, and the line has one of those.
    """

    slope: float
    middle: float
    margin: float
    left: Tangent | None
    right: Tangent | None
    touching: Touching

    def holds(self, first: int, newest: Sequence[Sequence[float]]) -> bool:
        """Whether it is still the best line of a window that begins with block `first`.

        It is if its tangents' blocks are in the window and the `newest` blocks lie outside of its margin.
        """
        if self.left is None or self.right is None or self.left[2] < first or self.right[2] < first:
            return False
        slope, half = self.slope, self.margin / 2
        high, low = self.middle + half, self.middle - half
        for upper_at, upper, lower_at, lower in newest:
            if upper - slope * upper_at < high or lower - slope * lower_at > low:
                return False
        return True

    def with_newest(self, first: int, newest: Sequence[Sequence[float]], number: int) -> Touching | None:
        """What its slope touches in that window with the `newest` blocks; None if blocks have left it."""
        if min(self.touching.above, self.touching.below) < first:
            return None
        return self.touching.with_newest(newest, number)


class _Closed:
    """The closed blocks up to the newest; every window ends with that."""

    def __init__(self, columns: Floats, number: int) -> None:
        self.number = number
        """The newest block's."""
        self._columns = columns
        self._few: list[list[float]] = columns[:, -_FEW:].tolist()

    def newest(self, count: int) -> list[list[float]]:
        """The newest blocks: of each one upper's time, upper, lower's time, lower."""
        return [[row[-place] for row in self._few] for place in range(1, count + 1)]

    def touching(self, span: int, slope: float) -> Touching:
        """What a line of this slope touches in the window of the last `span` blocks."""
        first = self.number - span + 1
        if span > _FEW:
            upper_at, upper, lower_at, lower = self._columns[:, -span:]
            i, j = int((upper - slope * upper_at).argmin()), int((lower - slope * lower_at).argmax())
            bounds = float(upper_at[i]), float(upper[i]), float(lower_at[j]), float(lower[j])
            return Touching(slope, *bounds, first + i, first + j)
        uppers_at, uppers, lowers_at, lowers = [row[-span:] for row in self._few]
        above = list(map(sub, uppers, map(mul, repeat(slope), uppers_at)))
        below = list(map(sub, lowers, map(mul, repeat(slope), lowers_at)))
        i, j = above.index(min(above)), below.index(max(below))
        return Touching(slope, uppers_at[i], uppers[i], lowers_at[j], lowers[j], first + i, first + j)


class WindowFits:
    """The max-margin lines of a set of windows, all of which end with the newest block."""

    def __init__(self, steepest: float) -> None:
        self._steepest = steepest
        self._fits: list[Fit | None] = []
        self._number = 0

    def close(
        self, columns: Floats, spans: Sequence[int], begin: int, passed: int, together: int = 1
    ) -> list[Fit]:
        """The fits over the last `spans` (rising) of the closed blocks, `passed` blocks after the last call.

        `together`: as of `WindowSet.close`.

        `columns` are those of `Blocks.columns`. The windows have the indices from `begin` on; each holds at
        least `FEWEST_BLOCKS` blocks with exchanges.
        """
        self._number += passed
        if not spans:
            return []
        closed = _Closed(columns, self._number)
        self._fits += [None] * (begin + len(spans) - len(self._fits))
        self._fits[:begin] = [None] * begin  # they miss this block, so they may not hold any more
        blocks, shorter, found = closed.newest(together), None, []
        for index, span in enumerate(spans, begin):
            fit = self._fits[index]
            first = self._number - span + 1
            if fit is None or passed != together or not fit.holds(first, blocks):
                known = None
                if fit is not None and passed == together:
                    known = fit.with_newest(first, blocks, self._number)
                left, right = _usable(fit, shorter, first)
                fit = self._fits[index] = self._search(closed, span, left, right, known)
            found.append(fit)
            shorter = fit
        return found

    def _search(
        self, closed: _Closed, span: int, left: Tangent | None, right: Tangent | None, known: Touching | None
    ) -> Fit:
        """Search between these tangents, or from the steepest slopes: the margin may be greatest there.

        `known` is what one of the slopes touches.
        """
        steepest = self._steepest
        if left is None:
            touching = closed.touching(span, -steepest)
            left = touching.tangent
            if left[0] <= 0:
                return touching.line(None, None)
        if right is None:
            touching = closed.touching(span, steepest)
            right = touching.tangent
            if right[0] >= 0:
                return touching.line(None, None)
        for _ in range(_MOST_STEPS):
            slope = (right[1] - left[1]) / (left[0] - right[0])
            slope = min(max(slope, -steepest), steepest)  # old tangents may meet beyond
            touching = known if known and known.slope == slope else closed.touching(span, slope)
            rise = touching.lower_at - touching.upper_at
            if abs(slope) == steepest and rise * slope >= 0:
                return touching.line(None, None)
            if left[1] + left[0] * slope - touching.margin <= _CLOSE_NS:
                break
            if rise > 0:
                left = touching.tangent
            else:
                right = touching.tangent
        return touching.line(left, right)


def _usable(old: Fit | None, shorter: Fit | None, first: int) -> tuple[Tangent | None, Tangent | None]:
    """A rising and a falling tangent known for the window from block `first` on, or for a shorter one."""
    left = right = None
    for fit in (old, shorter):
        if fit is None:
            continue
        if left is None and fit.left is not None and fit.left[2] >= first:
            left = fit.left
        if right is None and fit.right is not None and fit.right[2] >= first:
            right = fit.right
    return left, right
