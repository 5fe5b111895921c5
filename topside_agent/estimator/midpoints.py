"""A line through the middles of short stretches: surer than edges, where both ways are delayed alike."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from topside_agent.estimator.symmetric import FEWEST, believed, middle, unlike
from topside_agent.estimator.window import Line

if TYPE_CHECKING:
    from topside_agent.estimator.settings import EstimatorSettings

_FEWEST_CELLS = 4
_LONG = 0.5
"""Of the longest window there can be. A shorter one is best where the clock wanders, not the delays: there a
line that is surer of the delays gains nothing (used regardless, it lost 24 % in a cold dunk).
"""


class _Cell(NamedTuple):
    """One stretch's middle (ns) at its own middle (s), and how differently both ways spread."""

    at_s: float
    middle: float
    apart: tuple[float, float]
    """Spread out less spread back (ns), over a quarter and over half of the delays."""
    squared: tuple[float, float]
    """The squared standard deviations of both."""


class Cells:
    """The cells of one run, as long as the shortest window, without those that hold too few exchanges."""

    def __init__(self, settings: EstimatorSettings) -> None:
        self._cell_s = settings.ladder_s[0]
        self._longest_s = settings.ladder_s[-1]
        self._wander = settings.wander_typical * 1e9
        self._cells: deque[_Cell] = deque(maxlen=round(settings.ladder_s[-1] / self._cell_s))
        self._facts: list[tuple[float, float, float, float]] = []
        self._place = 0
        self.line: Line | None = None

    def add(self, facts: tuple[float, float, float, float], best: Line | None) -> None:
        """Take an exchange's bounds (times in s, ns); `best` is the windows' line until now."""
        place = int(facts[2] // self._cell_s)
        if place > self._place:
            self._close(best)
            self._place = place
        self._facts.append(facts)

    def _close(self, best: Line | None) -> None:
        if len(self._facts) >= FEWEST and best is not None:
            self._cells.append(_cell(self._facts, (self._place + 0.5) * self._cell_s, best.slope))
        self._facts.clear()
        end_s = (self._place + 1) * self._cell_s
        longest_s = min(end_s, self._longest_s)
        noisy = best is not None and best.window_s >= longest_s * _LONG
        self.line = self._through(end_s, best.window_s) if noisy and best is not None else None

    def _through(self, end_s: float, window_s: float) -> Line | None:
        """The least-squares line through the cells of the window, its error as they scatter around it."""
        cells = [cell for cell in self._cells if cell.at_s > end_s - window_s]
        count = len(cells)
        if count < _FEWEST_CELLS or count * self._cell_s < window_s / 2:
            return None
        trust = believed(max(_pooled(cells, rank) for rank in (0, 1)))
        mean_s = sum(cell.at_s for cell in cells) / count
        mean = sum(cell.middle for cell in cells) / count
        spread = sum((cell.at_s - mean_s) ** 2 for cell in cells)
        slope = sum((cell.at_s - mean_s) * (cell.middle - mean) for cell in cells) / spread
        rest = sum((cell.middle - mean - slope * (cell.at_s - mean_s)) ** 2 for cell in cells)
        squared = rest / (count - 2) / max(trust, 1e-9)
        variance = squared * (1 / count + (end_s - mean_s) ** 2 / spread)
        variance += _bend(cells, mean_s, mean, slope) + self._wander**2 * 0.01 * window_s**3
        offset = mean + slope * (end_s - mean_s)
        return Line(end_s, offset, slope, variance, squared / spread, window_s)


def _bend(cells: list[_Cell], mean_s: float, mean: float, slope: float) -> float:
    """The square (ns²) of what a parabola through the cells adds to the line at its end."""
    steps = [cell.at_s - mean_s for cell in cells]
    squares = sum(step**2 for step in steps) / len(steps)
    cubes = sum(step**3 for step in steps) / len(steps)
    curves = [step**2 - squares - cubes / squares * step for step in steps]
    rest = [c.middle - mean - slope * step for c, step in zip(cells, steps, strict=True)]
    curvature = sum(c * r for c, r in zip(curves, rest, strict=True)) / sum(c**2 for c in curves)
    return (curvature * curves[-1]) ** 2


def _cell(facts: list[tuple[float, float, float, float]], at_s: float, slope: float) -> _Cell:
    above = sorted(upper - slope * (upper_at_s - at_s) for upper_at_s, upper, _, _ in facts)
    below = sorted(slope * (lower_at_s - at_s) - lower for _, _, lower_at_s, lower in facts)
    apart, squared = zip(*(unlike(above, below, len(above) // part) for part in (4, 2)), strict=True)
    return _Cell(at_s, middle(above, below), apart, squared)


def _pooled(cells: list[_Cell], rank: int) -> float:
    """The squared mean difference of the spreads, in its squared standard deviations."""
    squared = sum(cell.squared[rank] for cell in cells)
    return sum(cell.apart[rank] for cell in cells) ** 2 / squared if squared else 0.0
