"""The point estimate online: lines over windows of many lengths, averaged by their proven worth."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from math import inf, isfinite, nan
from operator import mul
from typing import TYPE_CHECKING

import numpy as np

from topside_agent.estimator.fits import Fits
from topside_agent.estimator.settings import FEWEST_BLOCKS
from topside_agent.estimator.window import SHARPNESS, Line, WindowErrors, disagreement, expected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topside_agent.estimator.fits import Fit
    from topside_agent.estimator.lines import Floats
    from topside_agent.estimator.settings import EstimatorSettings


class History:
    """What each window's line was at every block's end, as far back as the window is long.

    Plain arrays, since ten numbers at a time are quicker told in Python than in numpy.
    """

    def __init__(self, spans: Sequence[int]) -> None:
        self._spans = spans
        self._offsets = [array("d", [nan]) * span for span in spans]
        self._slopes = [array("d", [nan]) * span for span in spans]
        self.length = 0

    def exchange(self, offsets: Sequence[float], slopes: Sequence[float]) -> list[tuple[float, float]]:
        """Add one block's offsets (ns) and slopes (ns/s); returns each window's, its own length ago."""
        before = []
        for span, old_offsets, old_slopes, offset, slope in zip(
            self._spans, self._offsets, self._slopes, offsets, slopes, strict=True
        ):
            place = self.length % span
            before.append((old_offsets[place], old_slopes[place]))
            old_offsets[place], old_slopes[place] = offset, slope
        self.length += 1
        return before

    def carry(self, block_s: float) -> None:
        """Through an empty block the lines go on as they are."""
        places = [(self.length - 1) % span for span in self._spans]
        slopes = [row[place] for row, place in zip(self._slopes, places, strict=True)]
        offsets = [row[place] for row, place in zip(self._offsets, places, strict=True)]
        moved = [offset + slope * block_s for offset, slope in zip(offsets, slopes, strict=True)]
        self.exchange(moved, slopes)


class Ladder:
    """One run's windows. `close` is called with every closed block, `line` is the answer until the next."""

    def __init__(self, settings: EstimatorSettings, memory: WindowErrors) -> None:
        self._settings = settings
        self._memory = memory
        self._spans = [round(window_s / settings.block_s) for window_s in settings.ladder_s]
        self._steepest = settings.rate_limit_ppm * 1e3
        self.line: Line | None = None
        self.earlier: Line | None = None
        """The last line before the last long silence."""
        self._restart()

    def _restart(self) -> None:
        self._history = History(self._spans)
        self._fits = Fits(self._steepest)

    def close(self, columns: Floats, end_s: float, passed: int) -> None:
        """Take the closed blocks, the newest ending at `end_s` and `passed` blocks after the one before.

        After a long silence the windows begin anew: a line across it would claim to know what it has not
        seen.
        """
        if passed > self._settings.gap_s / self._settings.block_s:
            self._restart()
            self.earlier, self.line = self.line or self.earlier, None
        if self._history.length:
            for _ in range(passed - 1):
                self._history.carry(self._settings.block_s)
        self._memory.forget(passed)
        length = self._history.length + 1
        first, spans = self._usable(columns, length)
        fits = self._fits.close(columns, spans[first:], first, passed)
        unknown = [nan] * first, [nan] * (len(self._spans) - len(spans))
        offsets = [*unknown[0], *(fit.middle + fit.slope * end_s for fit in fits), *unknown[1]]
        slopes = [*unknown[0], *(fit.slope for fit in fits), *unknown[1]]
        squared = self._measure(offsets, slopes, self._history.exchange(offsets, slopes))
        if fits:
            self._average(end_s, spans, offsets, fits, squared)

    def _usable(self, columns: Floats, length: int) -> tuple[int, list[int]]:
        """The spans to fit, the last of them clipped to what there is, and how many of them to leave out.

        Those hold hardly any block: not a line, and nothing to be measured against later.
        """
        most = min(length, columns.shape[1])
        if length < self._spans[0]:
            return 0, []
        full = bisect_right(self._spans, length)
        spans = [min(span, most) for span in self._spans[: full + 1]]
        if inf not in columns[1, -spans[0] :].tolist():
            return 0, spans  # as nearly always
        known = np.isfinite(columns[1, ::-1]).cumsum()[np.array(spans) - 1]
        return int((known < FEWEST_BLOCKS).sum()), spans

    def _measure(
        self, offsets: list[float], slopes: list[float], before: list[tuple[float, float]]
    ) -> list[float]:
        """Every full window's disagreement with the one before it, into the memory; 0 where there is none."""
        squared = [0.0] * len(self._spans)
        for rung, span in enumerate(self._spans):
            if 2 * span > self._history.length:
                break
            past, slope_before = before[rung]
            span_s = span * self._settings.block_s
            bend = slopes[rung] - slope_before
            found = disagreement(past, offsets[rung] - slopes[rung] * span_s, bend, span_s)
            if isfinite(found):
                squared[rung] = found
                self._memory.take(rung, found, bend)
        return squared

    def _average(
        self, end_s: float, spans: list[int], offsets: list[float], fits: list[Fit], squared: list[float]
    ) -> None:
        """Weigh the fitted windows, which are the last of `spans`, by what is expected of them."""
        first = len(spans) - len(fits)
        usable = slice(first, len(spans))
        windows_s = [span * self._settings.block_s for span in spans[first:]]
        evidence = self._memory.evidence()[usable]
        errors = expected(
            self._memory.means()[usable],
            evidence,
            windows_s,
            (fits[0].margin / 4) ** 2,
            self._settings.wander_typical * 1e9,
        )
        errors = [max(error, seen) for error, seen in zip(errors, squared[usable], strict=True)]
        least = min(errors)
        best = errors.index(least)
        weights = [(least / error) ** SHARPNESS for error in errors]
        doubt = 1 + self._settings.u95_doubt / (evidence[best] + 0.5)
        self.line = Line(
            end_s,
            sum(map(mul, weights, offsets[usable])) / sum(weights),
            fits[best].slope,
            least * doubt,
            self._memory.slope_variance(first + best, least),
            windows_s[best],
        )
