"""Lines through the averages of the delays, for links whose delays scatter little.

The edges of the bounds (`window_set.py`) rest on the few shortest delays. Where the delays of one way, or of
both, are light-tailed, a least-squares line through all of them shows better how the offset moves. What it
cannot show is the constant between these delays and the offset: that is the mean of what the edges say beside
it, over a far longer time than a window (docs/mathematics.md §8).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from topside_agent.estimator.average_errors import WAYS, AverageErrors
from topside_agent.estimator.least_squares import BLOCK, Fits, Reference, least_squares, sums_of_newest
from topside_agent.estimator.window_errors import SHARPNESS, Line, disagreement

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Floats
    from topside_agent.estimator.settings import EstimatorSettings

_LEARN = 1 / 32
"""How much of a block's mean excess delay is learned."""
_OFTEN, _RARELY = 4, 32
"""Lines are fitted after so many blocks; rarely while the edges' error is far less (by `_HOPELESS`)."""
_HOPELESS = 4.0
_SPARE = 64
"""So many blocks beyond what the windows reach are dropped together."""
_EACH = np.arange(WAYS)


class BlockAverages:
    """What the exchanges of one block suggest, for each way; see `WAYS`."""

    def __init__(self) -> None:
        self._open: list[tuple[float, float, float, float]] = []
        self._least = self._excess = 0.0

    def add(self, bounds: tuple[float, float, float, float]) -> None:
        """Add an exchange's bounds (times in s, bounds in ns) to the open block."""
        self._open.append(bounds)

    def close(self, at_s: float, slope: float) -> tuple[float, ...]:
        """The open block's values, brought to `at_s` along `slope` (ns/s): see `BLOCK`."""
        out = [high + slope * (at_s - when) for when, high, _, _ in self._open]
        back = [low + slope * (at_s - when) for _, _, when, low in self._open]
        self._open.clear()
        weights = self._weights([high - low for high, low in zip(out, back, strict=True)])
        count, total = len(out), sum(weights)
        middle = sum([w * (high + low) for w, high, low in zip(weights, out, back, strict=True)]) / total / 2
        return 1.0, min(out), max(back), sum(out) / count, sum(back) / count, middle, total / count

    def _weights(self, delays: list[float]) -> list[float]:
        """A delay counts less the farther it exceeds the least, in mean excesses (chrony's weights)."""
        least = min(delays)
        if not self._excess or least < self._least:
            self._least = least
        excess = sum(delays) / len(delays) - self._least
        self._excess += (excess - self._excess) * (_LEARN if self._excess else 1.0)
        unit, least = self._excess + 1.0, self._least
        self._least += self._excess * _LEARN / 4  # so that a longer way is followed
        return [(1.0 + (delay - least) / unit) ** -2 for delay in delays]


class Averages:
    """The averages of one timebase's blocks, and the line that they suggest until the next fit.

    The blocks alone are kept. Their sums are made again for each fit: kept up to each block, they would take
    six times as much memory.
    """

    def __init__(self, settings: EstimatorSettings, errors: AverageErrors) -> None:
        self._settings = settings
        self._errors = errors
        self._spans = np.array(settings.window_blocks)
        self._size = 2 * settings.window_blocks[-1]
        self._open = BlockAverages()
        self.add = self._open.add
        self.restart()

    def restart(self) -> None:
        """Forget all blocks: after a gap, or when the clocks turn out to run apart unusually fast."""
        self._blocks = array("d")
        self._since = 0
        self._every = _OFTEN
        self.line: Line | None = None

    def close(self, end_s: float, passed: int, edges: Line | None, slope: float) -> None:
        """Take the block that ends at `end_s`, `passed` blocks after the one before.

        `edges` is the window set's present line, `slope` (ns/s) the drift along which an exchange is brought
        to its block's middle.
        """
        if passed > self._settings.gap_s / self._settings.block_s or self._since + passed > self._size:
            self.restart()
            passed = 1  # what was before counts no longer
        self._since += passed
        self._blocks.extend([0.0] * (BLOCK * (passed - 1)))
        self._blocks.extend(self._open.close(end_s - self._settings.block_s / 2, slope))
        if len(self._blocks) > BLOCK * (self._size + _SPARE):
            del self._blocks[: -BLOCK * self._size]
        if self._since >= self._every and edges is not None:
            self._since = 0
            self._fit(end_s, edges, slope)

    def _fit(self, end_s: float, edges: Line, slope: float) -> None:
        block_s = self._settings.block_s
        blocks = np.frombuffer(self._blocks).reshape(-1, BLOCK)[-self._size :].T
        spans = self._spans[self._spans <= blocks.shape[1]]
        earlier = spans[2 * spans <= blocks.shape[1]]
        reference = Reference(end_s - block_s / 2, float(blocks[1, -1]), slope)
        within = sums_of_newest(blocks, block_s, reference, (*spans.tolist(), *(2 * earlier).tolist()))
        within[..., spans.size :] -= within[..., : earlier.size]
        fits = least_squares(within, within[0, 0], reference)
        lines, past = fits.part(slice(spans.size)), fits.part(slice(spans.size, None))
        windows_s = earlier * block_s
        met_s, full = end_s - windows_s, lines.part(slice(earlier.size))
        bends = full.slope - past.slope
        squared = disagreement(past.at(met_s), full.at(met_s), bends, windows_s)
        self._errors.add(squared, bends, self._every)
        self._suggest(end_s, lines, squared, edges)

    def _suggest(self, end_s: float, lines: Fits, newest: Floats, edges: Line) -> None:
        """The best way's lines, averaged by their errors, at the level that the edges have beside it."""
        values, errors = lines.at(end_s), self._errors
        expected = errors.expected(newest, lines.variance)
        best = expected.argmin(axis=1)
        least = expected[_EACH, best]
        level, doubt = errors.level(edges, least)
        if np.isfinite(least).all():
            errors.add_level(edges.at(end_s) - values[_EACH, best], edges, self._every)
        totals = least + doubt
        way = int(totals.argmin())
        total = float(totals[way])
        self._every = _OFTEN if total < _HOPELESS * edges.variance else _RARELY
        if not np.isfinite(total):
            self.line = None
            return
        window, error = int(best[way]), float(least[way])
        weights = (error / expected[way]) ** SHARPNESS
        offset = float(np.where(weights > 0, weights * values[way], 0.0).sum() / weights.sum() + level[way])
        variance = error * errors.uncertainty(window) + float(doubt[way])
        slope_variance = errors.slope_variance(window, way, error)
        window_s = float(self._spans[window]) * self._settings.block_s
        self.line = Line(end_s, offset, float(lines.slope[way, window]), variance, slope_variance, window_s)
