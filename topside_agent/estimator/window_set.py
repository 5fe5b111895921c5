"""The point estimate online: max-margin lines over windows of many lengths, averaged by measured error."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import repeat
from math import inf, isfinite, nan
from operator import mul
from typing import TYPE_CHECKING

import numpy as np

from topside_agent.estimator.max_margin import WindowFits
from topside_agent.estimator.settings import FEWEST_BLOCKS
from topside_agent.estimator.window_errors import (
    LEAST_SQUARED,
    SHARPNESS,
    Line,
    WindowErrors,
    disagreement,
    expected,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topside_agent.estimator.blocks import Floats
    from topside_agent.estimator.max_margin import Fit
    from topside_agent.estimator.settings import EstimatorSettings


class LineHistory:
    """What each window's line was at every block's end, as far back as the window is long.

    Plain arrays: for ten numbers at a time Python is faster than numpy.
    """

    def __init__(self, spans: Sequence[int]) -> None:
        self._spans = spans
        self._offsets = [array("d", [nan]) * span for span in spans]
        self._slopes = [array("d", [nan]) * span for span in spans]
        self.length = 0

    def rotate(self, offsets: Sequence[float], slopes: Sequence[float]) -> list[tuple[float, float]]:
        """Store one block's offsets (ns) and slopes (ns/s); returns each window's of its own length ago."""
        before = []
        for span, old_offsets, old_slopes, offset, slope in zip(
            self._spans, self._offsets, self._slopes, offsets, slopes, strict=True
        ):
            index = self.length % span
            before.append((old_offsets[index], old_slopes[index]))
            old_offsets[index], old_slopes[index] = offset, slope
        self.length += 1
        return before

    def carry(self, block_s: float) -> None:
        """Extrapolate all lines through an empty block."""
        indices = [(self.length - 1) % span for span in self._spans]
        slopes = [row[index] for row, index in zip(self._slopes, indices, strict=True)]
        offsets = [row[index] for row, index in zip(self._offsets, indices, strict=True)]
        moved = [offset + slope * block_s for offset, slope in zip(offsets, slopes, strict=True)]
        self.rotate(moved, slopes)


class WindowSet:
    """The windows of one timebase. `close` takes each closed block, `line` is the estimate until the next."""

    def __init__(self, settings: EstimatorSettings, errors: WindowErrors) -> None:
        self._settings = settings
        self._errors = errors
        self._spans = settings.window_blocks
        self._steepest = settings.usual_rate
        self.line: Line | None = None
        self.earlier: Line | None = None
        """The last line before the last gap."""
        self._restart()

    def _restart(self) -> None:
        self._history = LineHistory(self._spans)
        self._fits = WindowFits(self._steepest)

    def steepen(self, steepest: float) -> None:
        """The RAW clocks are farther apart than was likely, by up to `steepest` ns/s: begin again."""
        self._steepest = steepest
        self.line = self.earlier = None
        self._restart()

    def close(self, columns: Floats, end_s: float, passed: int, together: int = 1) -> None:
        """Take the closed blocks, the newest ending at `end_s` and `passed` blocks after the one before.

        `together` is `passed` where none of those is empty, and all are taken at once; else 1.
        After a gap (`gap_s`) the windows start again: a line across it would claim an accuracy that was
        measured elsewhere.
        """
        if passed > self._settings.gap_s / self._settings.block_s:
            self._restart()
            self.earlier, self.line = self.line or self.earlier, None
        if self._history.length:
            for _ in range(passed - 1):
                self._history.carry(self._settings.block_s)
        self._errors.forget(passed)
        length = self._history.length + 1
        first, spans = self._usable(columns, length)
        fits = self._fits.close(columns, spans[first:], first, passed, together)
        unknown = [nan] * first, [nan] * (len(self._spans) - len(spans))
        offsets = [*unknown[0], *(fit.middle + fit.slope * end_s for fit in fits), *unknown[1]]
        slopes = [*unknown[0], *(fit.slope for fit in fits), *unknown[1]]
        squared = self._measure(offsets, slopes, self._history.rotate(offsets, slopes), together)
        if fits:
            self._average(end_s, spans, offsets, fits, squared)

    def _usable(self, columns: Floats, length: int) -> tuple[int, list[int]]:
        """How many of the shortest windows to leave out, and the spans, the last one clipped to the data.

        A window with fewer than `FEWEST_BLOCKS` blocks with exchanges is left out.
        """
        most = min(length, columns.shape[1])
        if length < self._spans[0]:
            return 0, []
        spans = self._spans
        if most < spans[-1]:
            spans = [min(span, most) for span in spans[: bisect_right(spans, length) + 1]]
        if inf not in columns[1, -spans[0] :].tolist():
            return 0, spans  # as nearly always
        known = np.isfinite(columns[1, ::-1]).cumsum()[np.array(spans) - 1]
        return int((known < FEWEST_BLOCKS).sum()), spans

    def _measure(
        self, offsets: list[float], slopes: list[float], before: list[tuple[float, float]], blocks: int
    ) -> list[float]:
        """Record each full window's disagreement (ns²) with the one before it; 0 where there is none."""
        squared = [0.0] * len(self._spans)
        for index, span in enumerate(self._spans):
            if 2 * span > self._history.length:
                break
            past, slope_before = before[index]
            span_s = span * self._settings.block_s
            bend = slopes[index] - slope_before
            found = disagreement(past, offsets[index] - slopes[index] * span_s, bend, span_s)
            if isfinite(found):
                squared[index] = found
                self._errors.add(index, found, bend, blocks)
        return squared

    def _average(
        self, end_s: float, spans: list[int], offsets: list[float], fits: list[Fit], squared: list[float]
    ) -> None:
        """Weigh the fitted windows, which are the last of `spans`, by their expected errors."""
        first = len(spans) - len(fits)
        usable = slice(first, len(spans))
        windows_s = [span * self._settings.block_s for span in spans[first:]]
        evidence = self._errors.evidence()[usable]
        errors = expected(
            self._errors.means()[usable],
            evidence,
            windows_s,
            (fits[0].margin / 4) ** 2,
            self._settings.wander_typical * 1e9,
        )
        errors = [max(pair) for pair in zip(errors, squared[usable], repeat(LEAST_SQUARED))]
        least = min(errors)
        best = errors.index(least)
        weights = [(least / error) ** SHARPNESS for error in errors]
        doubt = 1 + self._settings.u95_doubt / (evidence[best] + 0.5)
        self.line = Line(
            end_s,
            sum(map(mul, weights, offsets[usable])) / sum(weights),
            fits[best].slope,
            least * doubt,
            self._errors.slope_variance(first + best, least),
            windows_s[best],
        )
