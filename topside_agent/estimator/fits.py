"""Each window's line, kept while it stays the best, else found anew from the bounds that it rested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topside_agent.estimator.lines import Floats

_CLOSE_NS = 1e-2
"""A margin this near to what the tangents promise is the greatest one."""
_MOST_TURNS = 60
_FEW = 64
"""Up to so many blocks plain Python is quicker than numpy, whose every call takes a microsecond."""

Tangent = tuple[float, float, int]
"""Of the margin, a concave function of the slope: by how much it rises (ns for each ns/s), what it is at
slope 0 (ns), and the number of the older of its two blocks.

Any upper and any lower bound of a window make a tangent that the margin is nowhere above, whatever other
blocks come. So a window's tangents serve until their blocks leave it, and serve every longer window as well.
"""


@dataclass(slots=True)
class Fit:
    """The line with the greatest margin: `slope` in ns/s, `middle` in ns at time 0, `margin` in ns.

    It lies where the tangents `left`, which rises, and `right`, which falls, meet; without one of them the
    margin turns nowhere within the steepest slopes, and ends at one of those.
    """

    slope: float
    middle: float
    margin: float
    left: Tangent | None
    right: Tangent | None

    def holds(self, first: int, newest: Sequence[float]) -> bool:
        """Whether it is the best still.

        It is while its blocks are in the window, which begins with block `first`, and the `newest` block lies
        outside of its margin.
        """
        if self.left is None or self.right is None or self.left[2] < first or self.right[2] < first:
            return False
        upper_at, upper, lower_at, lower = newest
        half = self.margin / 2
        return (
            upper - self.slope * upper_at >= self.middle + half
            and lower - self.slope * lower_at <= self.middle - half
        )


class Newest:
    """The closed blocks up to the newest: what windows that end with it are made of."""

    def __init__(self, columns: Floats, number: int) -> None:
        self.number = number
        """The newest block's."""
        self._columns = columns
        self._few: list[list[float]] = columns[:, -_FEW:].tolist()

    @property
    def block(self) -> list[float]:
        """The newest block: upper's time, upper, lower's time, lower."""
        return [row[-1] for row in self._few]

    def touch(self, span: int, slope: float) -> tuple[Tangent, float, float]:
        """The tangent at `slope` of the window of the last `span` blocks; the margin and the middle there."""
        if span > _FEW:
            return self._touch_many(span, slope)
        upper_at, upper, lower_at, lower = self._few
        places = slice(-span, None)
        above = [ns - slope * at for at, ns in zip(upper_at[places], upper[places], strict=True)]
        below = [ns - slope * at for at, ns in zip(lower_at[places], lower[places], strict=True)]
        high, low = min(above), max(below)
        i, j = above.index(high) - span, below.index(low) - span
        rise, open_ = lower_at[j] - upper_at[i], upper[i] - lower[j]
        return (rise, open_, self.number + 1 + min(i, j)), high - low, (high + low) / 2

    def _touch_many(self, span: int, slope: float) -> tuple[Tangent, float, float]:
        upper_at, upper, lower_at, lower = self._columns[:, -span:]
        above, below = upper - slope * upper_at, lower - slope * lower_at
        i, j = int(above.argmin()), int(below.argmax())
        high, low = float(above[i]), float(below[j])
        rise, open_ = float(lower_at[j] - upper_at[i]), float(upper[i] - lower[j])
        return (rise, open_, self.number - span + 1 + min(i, j)), high - low, (high + low) / 2


class Fits:
    """The fits of a ladder of windows, all of which end with the newest block."""

    def __init__(self, steepest: float) -> None:
        self._steepest = steepest
        self._fits: list[Fit | None] = []
        self._number = 0

    def close(self, columns: Floats, spans: Sequence[int], begin: int, passed: int) -> list[Fit]:
        """The fits over the last `spans` (rising) of the closed blocks, `passed` blocks after the last call.

        They are the ladder's rungs from `begin` on; each holds a few blocks with exchanges at least.
        """
        self._number += passed
        if not spans:
            return []
        newest = Newest(columns, self._number)
        self._fits += [None] * (begin + len(spans) - len(self._fits))
        self._fits[:begin] = [None] * begin  # they miss this block: what they rest on may not hold
        block, shorter, found = newest.block, None, []
        for rung, span in enumerate(spans, begin):
            fit = self._fits[rung]
            if fit is None or passed != 1 or not fit.holds(self._number - span + 1, block):
                left, right = _usable(fit, shorter, self._number - span + 1)
                fit = self._fits[rung] = self._anew(newest, span, left, right)
            found.append(fit)
            shorter = fit
        return found

    def _anew(self, newest: Newest, span: int, left: Tangent | None, right: Tangent | None) -> Fit:
        """Search from these tangents, or from the steepest slopes: the margin may end at one of those."""
        if left is None:
            left, margin, middle = newest.touch(span, -self._steepest)
            if left[0] <= 0:
                return Fit(-self._steepest, middle, margin, None, None)
        if right is None:
            right, margin, middle = newest.touch(span, self._steepest)
            if right[0] >= 0:
                return Fit(self._steepest, middle, margin, None, None)
        return self._between(newest, span, left, right)

    def _between(self, newest: Newest, span: int, left: Tangent, right: Tangent) -> Fit:
        """The greatest margin, where a rising and a falling tangent meet: each turn replaces one of them.

        The cutting-plane method in one dimension. Harrison and Newman, TICSync, ICRA 2011; Geng et al.,
        Huygens, NSDI 2018.
        """
        steepest = self._steepest
        for _ in range(_MOST_TURNS):
            slope = (right[1] - left[1]) / (left[0] - right[0])
            slope = min(max(slope, -steepest), steepest)  # old tangents may meet beyond
            tangent, margin, middle = newest.touch(span, slope)
            if abs(slope) == steepest and tangent[0] * slope >= 0:
                return Fit(slope, middle, margin, None, None)
            if left[1] + left[0] * slope - margin <= _CLOSE_NS:
                break
            if tangent[0] > 0:
                left = tangent
            else:
                right = tangent
        return Fit(slope, middle, margin, left, right)


def _usable(old: Fit | None, shorter: Fit | None, first: int) -> tuple[Tangent | None, Tangent | None]:
    """A rising and a falling tangent that are known of the window from block `first` on, or of a shorter."""
    left = right = None
    for fit in (old, shorter):
        if fit is None:
            continue
        if left is None and fit.left is not None and fit.left[2] >= first:
            left = fit.left
        if right is None and fit.right is not None and fit.right[2] >= first:
            right = fit.right
    return left, right
