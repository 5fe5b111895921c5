"""The point estimate online: lines over windows of many lengths, averaged by their proven worth."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from topside_agent.estimator.lines import Floats, Integers, Lines, Windows, widest_lines
from topside_agent.estimator.settings import FEWEST_BLOCKS
from topside_agent.estimator.window import SHARPNESS, Line, Memory, disagreement, expected

if TYPE_CHECKING:
    from topside_agent.estimator.settings import EstimatorSettings


_GONE = 2**40
"""Stands for a block that no window holds."""


class History:
    """The lines of the last windows: for every block's end, each window's offset (ns) and slope (ns/s)."""

    def __init__(self, rungs: int, size: int) -> None:
        self._size = size
        self._filled = 0
        self.length = 0
        self._columns: Floats = np.empty((2, rungs, 2 * size))

    def append(self, offset: Floats, slope: Floats) -> None:
        """Add one block's lines."""
        if self._filled == 2 * self._size:
            self._columns[:, :, : self._size] = self._columns[:, :, self._size :]
            self._filled = self._size
        self._columns[0, :, self._filled] = offset
        self._columns[1, :, self._filled] = slope
        self._filled += 1
        self.length += 1

    def ago(self, blocks: Integers) -> tuple[Floats, Floats]:
        """Each rung's offset and slope so many blocks before the newest, which must be kept still."""
        places = self._filled - 1 - blocks
        rungs = np.arange(blocks.size)
        return self._columns[0, rungs, places], self._columns[1, rungs, places]


class Fits:
    """Each window's line, kept while it stays the one with the greatest margin.

    It does while the blocks that it rests on are in the window and the new block lies outside of its margin:
    what a line does not touch does not hold it, and the margin is a concave function of the slope.
    """

    def __init__(self, steepest: float) -> None:
        self._steepest = steepest
        self._lines: Lines | None = None

    def close(
        self, columns: Floats, spans: Integers, passed: int, near: tuple[Floats, Floats] | None
    ) -> Lines:
        """The lines of the last `spans` blocks, `passed` blocks after the call before.

        `oldest` counts back from the newest block here. The arrays are the caller's until the next call.
        """
        stale = np.arange(spans.size) if passed != 1 else self._stale(columns[:, -1], spans)
        if self._lines is None:
            empty = np.empty((3, spans.size))
            self._lines = Lines(empty[0], empty[1], empty[2], np.empty(spans.size, np.int64))
        if stale.size:
            windows = _suffixes(columns, spans[stale])
            begin = () if near is None else (near[0][stale], near[1][stale])
            new = widest_lines(windows, self._steepest, *begin)
            back = np.where(new.oldest < 0, _GONE, windows.upper.shape[1] - 1 - new.oldest)
            for kept, value in zip(self._lines, new._replace(oldest=back), strict=True):
                kept[stale] = value
        return self._lines

    def _stale(self, newest: Floats, spans: Integers) -> Integers:
        """Which lines rest on a block that has left the window, or are touched by the newest one."""
        if self._lines is None:
            return np.arange(spans.size)
        slope, middle, margin, oldest = self._lines
        oldest += 1
        upper_at, upper, lower_at, lower = newest
        high, low = middle + margin / 2, middle - margin / 2
        touched = (upper - slope * upper_at < high) | (lower - slope * lower_at > low)
        return np.flatnonzero(touched | (oldest >= spans))


class Ladder:
    """One run's windows. `close` is called with every closed block, `line` is the answer until the next."""

    def __init__(self, settings: EstimatorSettings, memory: Memory) -> None:
        self._settings = settings
        self._memory = memory
        self._spans = np.rint(np.array(settings.ladder_s) / settings.block_s).astype(np.int64)
        self._steepest = settings.rate_limit_ppm * 1e3
        self.line: Line | None = None
        self.earlier: Line | None = None
        """The last line before the last long silence."""
        self._restart()

    def _restart(self) -> None:
        self._history = History(self._spans.size, int(self._spans[-1]) + 1)
        self._near: tuple[Floats, Floats] | None = None
        self._fits = Fits(self._steepest)

    def close(self, columns: Floats, end_s: float, passed: int) -> None:
        """Take the closed blocks, the newest ending at `end_s` and `passed` blocks after the one before.

        After a long silence the windows begin anew: a line across it would claim to know what it has not
        seen.
        """
        if passed > self._settings.gap_s / self._settings.block_s:
            self._restart()
            self.earlier, self.line = self.line or self.earlier, None
        self._carry(passed - 1)
        self._memory.forget(passed)
        length = self._history.length + 1
        if length < self._spans[0]:
            self._history.append(np.full(self._spans.size, np.nan), np.full(self._spans.size, np.nan))
            return
        spans = np.minimum(self._spans, min(length, columns.shape[1]))
        known = np.isfinite(columns[1, ::-1]).cumsum()[spans - 1]
        lines = self._fits.close(columns, spans, passed, self._near)
        offset = lines.middle + lines.slope * end_s
        first = int((known < FEWEST_BLOCKS).sum())
        offset[:first] = np.nan  # hardly any block: not a line, and nothing to be measured against later
        self._history.append(offset, lines.slope)
        squared = self._measure(offset, lines.slope)
        last = int((self._spans <= length).sum()) + 1
        if first < min(last, spans.size):
            usable = slice(first, last)
            every = lines._replace(slope=lines.slope.copy(), middle=offset)
            self._average(end_s, spans[usable], every, squared, usable)

    def _carry(self, blocks: int) -> None:
        """Through empty blocks the lines go on as they are."""
        if self._history.length:
            for _ in range(blocks):
                offset, slope = self._history.ago(np.zeros_like(self._spans))
                self._history.append(offset + slope * self._settings.block_s, slope)

    def _measure(self, offset: Floats, slope: Floats) -> Floats:
        """Every full window's disagreement with the one before it, into the memory; 0 where there is none."""
        full = int((2 * self._spans <= self._history.length).sum())
        squared = np.zeros(self._spans.size)
        if full:
            past, before = self._history.ago(np.minimum(self._spans, self._history.length - 1))
            span_s = self._spans.astype(np.float64) * self._settings.block_s
            every = disagreement(past, offset - slope * span_s, slope - before, span_s)
            for rung in np.flatnonzero(np.isfinite(every[:full])).tolist():
                squared[rung] = every[rung]
                self._memory.take(rung, float(every[rung]), float(slope[rung] - before[rung]))
        return squared

    def _average(self, end_s: float, spans: Integers, lines: Lines, squared: Floats, usable: slice) -> None:
        """Weigh the usable windows; `lines` goes through its middle at `end_s`."""
        windows_s = (spans * self._settings.block_s).tolist()
        start = float(lines.margin[usable][0] / 4) ** 2
        errors = np.array(
            expected(
                self._memory.means()[usable],
                self._memory.evidence()[usable],
                windows_s,
                start,
                self._settings.wander_typical * 1e9,
            )
        )
        errors = np.maximum(errors, squared[usable])
        weights = (errors.min() / errors) ** SHARPNESS
        best = int(errors.argmin())
        spread = np.sqrt(3 * errors) / windows_s
        doubt = 1 + self._settings.u95_doubt / (self._memory.evidence()[usable][best] + 0.5)
        within = np.full(self._spans.size, self._steepest)
        within[usable] = spread
        self._near = (lines.slope, within)
        self.line = Line(
            end_s,
            float(weights @ lines.middle[usable] / weights.sum()),
            float(lines.slope[usable][best]),
            float(errors[best]) * doubt,
            self._memory.slope_variance(usable.start + best, float(errors[best])),
            windows_s[best],
        )


def _suffixes(columns: Floats, spans: Integers) -> Windows:
    """The last blocks as one row for each of the rising `spans`, the blocks before it emptied."""
    widest = int(spans[-1])
    every = np.empty((4, spans.size, widest))
    every[:] = columns[:, None, -widest:]
    outside = np.arange(widest) < widest - spans[:, None]
    every[1][outside], every[3][outside] = inf, -inf
    return Windows(*every)
