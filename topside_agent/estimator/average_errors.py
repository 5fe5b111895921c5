"""How wrong the lines through averages were, and at which level they lie beside the edges."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from topside_agent.estimator.window_errors import LEAST_SQUARED

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Floats
    from topside_agent.estimator.settings import EstimatorSettings
    from topside_agent.estimator.window_errors import Line

Flags = NDArray[np.bool_]

WAYS = 6
"""What is averaged: the block's least delay out, back, the middle of both; its mean delay out, back, both.

The last is weighted by the exchanges' delays.
"""
BOTH = np.array([False, False, True, False, False, True])
_UNSEEN = 2.25
"""A level counts as none while its square is below so many times its own squared error and the line's."""
_BLIND = 9.0
"""Where its squared error is so many times the line's a level would go unnoticed: then it is corrected."""
_CUTOFF = 4
_NEVER = 1e30


class AverageErrors:
    """The lines' measured errors, by way and window; they survive cuts, as the network does."""

    def __init__(self, settings: EstimatorSettings) -> None:
        self._windows_s = np.array(settings.windows_s)
        self._block_s, self._forget_s, self._doubt = settings.block_s, settings.forget_s, settings.u95_doubt
        windows = self._windows_s.size
        self._sums, self._bends = np.zeros((WAYS, windows)), np.zeros((WAYS, windows))
        self._counts = np.zeros(windows)
        self._levels, self._squares, self._weight = np.zeros(WAYS), np.zeros(WAYS), 0.0

    def add(self, squared: Floats, bends: Floats, blocks: int) -> None:
        """Count the disagreements (ns²) and changes of slope (ns/s) of the shortest windows.

        They stand for `blocks` blocks of time; NaN where there were too few blocks.
        """
        keep = exp(-blocks * self._block_s / self._forget_s)
        self._sums *= keep
        self._bends *= keep
        self._counts *= keep
        known = np.flatnonzero(np.isfinite(squared[0]))
        self._sums[:, known] += squared[:, known] * blocks
        self._bends[:, known] += bends[:, known] ** 2 * (blocks / 2)
        self._counts[known] += blocks

    def expected(self, newest: Floats, residual: Floats) -> Floats:
        """Each line's expected squared error (ns²): the greatest of three that are all too small at times.

        The mean disagreement, the `newest` one, and that which the residuals suggest; infinite where nothing
        was measured.
        """
        usable = residual.shape[1]
        counts = self._counts[:usable]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = self._sums[:, :usable] / counts
        found = np.maximum(np.maximum(mean, residual), LEAST_SQUARED)
        found[:, : newest.shape[1]] = np.maximum(found[:, : newest.shape[1]], newest)
        found[~np.isfinite(found)] = np.inf
        return found

    def uncertainty(self, window: int) -> float:
        """The factor (above 1) on a squared error that was measured only a few times."""
        evidence = float(self._counts[window]) * self._block_s / float(self._windows_s[window])
        return 1 + self._doubt / (evidence + 0.5)

    def slope_variance(self, window: int, way: int, squared: float) -> float:
        """The squared error (ns²/s²) of the line's slope: see `WindowErrors.slope_variance`."""
        count, window_s = float(self._counts[window]), float(self._windows_s[window])
        weight = count * self._block_s / window_s
        mean = float(self._bends[way, window]) / count
        return (mean * weight + 3 * squared / window_s**2) / (weight + 1.0)

    def add_level(self, level: Floats, edges: Line, blocks: int) -> None:
        """Count how far (ns) the edges lie above each way's line, by how sure they are."""
        keep = exp(-blocks * self._block_s / self._forget_s)
        weight = blocks / edges.variance
        self._levels = self._levels * keep + weight * level
        self._squares = self._squares * keep + weight * level**2
        self._weight = self._weight * keep + weight

    def level(self, edges: Line, error: Floats) -> tuple[Floats, Floats]:
        """Each way's level (ns) and its squared error; `error` is that of each way's line (ns²).

        The edges' errors are new after about a window's length. The middle of both ways has no level while
        they are symmetric: one that is smaller than the line's own error is not corrected.
        """
        if not self._weight:
            return np.zeros(WAYS), np.full(WAYS, _NEVER)
        mean = self._levels / self._weight
        scatter = np.maximum(self._squares / self._weight - mean**2, edges.variance)
        watched_s = self._weight * edges.variance * self._block_s
        doubt = scatter * min(edges.window_s / watched_s, 1.0)
        return corrected(mean, doubt, error)


def corrected(level: Floats, doubt: Floats, error: Floats, both: Flags = BOTH) -> tuple[Floats, Floats]:
    """The levels (ns) to correct by and their squared errors; the middle of both ways has none in doubt.

    `doubt` is each level's squared error, `error` that of the line (ns²), `both` marks those middles.
    """
    error = np.minimum(error, _NEVER)
    seen, blind = level**2 / (_UNSEEN * (doubt + error)), doubt / (_BLIND * error)
    trust = np.where(both, 1 / (1 + seen**_CUTOFF + blind**_CUTOFF), 0.0)
    return level * (1 - trust), doubt * (1 - trust)
