"""The point estimate afterwards: max-margin lines over windows around each instant, between gaps."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from topside_agent.estimator.blocks import Bounds, Floats, Integers
from topside_agent.estimator.max_margin import widest_lines
from topside_agent.estimator.settings import FEWEST_BLOCKS
from topside_agent.estimator.window_errors import BEND_OF_NOISE, LEAST_SQUARED, expected, most_certain

if TYPE_CHECKING:
    from topside_agent.estimator.settings import EstimatorSettings

_CHUNK = 512
"""Windows fitted at once: few enough for the processor's cache."""
_PER_SPAN = 16
"""Long windows are fitted so many times per their own length, not at every block."""
_DISPLACEMENTS = (-1 / 4, -1 / 6, -1 / 12, 0.0, 1 / 12, 1 / 6, 1 / 4)
"""Windows moved by these parts of their length are averaged: each line depends on a few blocks, which change.
"""
_SHARPNESS = 5
_WANDER = 1.0
"""ns/s^1.5: afterwards long windows have been measured as often as short ones, and need little prior."""

_CURVATURE = 1 / 16
"""In the middle, a line of greatest margin through a parabola is off by W/16 times the change of slope from
one window to the next. The lines before and after an instant are bent equally, so that G does not show it.
"""
_HALF = 2
"""So many lengths shorter a window is half as long."""
_FOURFOLD = 4
"""So many lengths longer a window is four times as long."""
_NORMAL = 1.96
_STUDENT = 2.4
"""(z² + 1)/2 with z = 1.96: Student's quantile for ν degrees of freedom is near z·√(1 + this/ν)."""


class DenseBlocks(NamedTuple):
    """Blocks without a gap, on a dense grid from block number `first` on.

    `bounds` have shape (blocks,), times relative to the timebase's anchor.
    """

    first: int
    bounds: Bounds


class WindowLines(NamedTuple):
    """All lines of the window length with this index in the settings (or clipped to the blocks).

    `ends` are the windows' last blocks, counted from `DenseBlocks.first`; `slope` in ns/s and `middle` in ns
    at time 0 have one entry per window.
    """

    length_index: int
    span: int
    ends: Integers
    slope: Floats
    middle: Floats

    def at(self, window: Integers, at_s: Floats) -> Floats:
        """The offset (ns) at `at_s` by the lines of these windows."""
        return self.middle[window] + self.slope[window] * at_s


class Pooled(NamedTuple):
    """Each window length's expected squared error (ns²) over `watched_s` seconds of all blocks."""

    errors: list[float]
    watched_s: float

    def doubt(self, window_s: Floats) -> Floats:
        """The factor on the squared error for how few pairs of windows of this length have shown it."""
        return 1.0 + _STUDENT / np.maximum(self.watched_s / window_s - 1.0, 0.5)


class BoundaryEstimates(NamedTuple):
    """At each block boundary: offset (ns), expected squared error (ns²), slope (ns/s): (blocks + 1,)."""

    at_s: Floats
    offset: Floats
    variance: Floats
    slope: Floats
    slope_variance: Floats
    """Expected squared error of `slope`, (ns/s)²."""
    inside: Floats
    """1 where the best window has as much on either side, 0 where it lies on one side only."""
    window_s: Floats
    """The best window's length, s."""
    lifted: Floats
    """What the best window's edges lie off, squared (ns²), as its half shows."""
    middle: Floats
    """The factor from the root of `variance` to a 95 % error in the middle of the data."""


def fit(dense: DenseBlocks, settings: EstimatorSettings, steepest: float) -> list[WindowLines]:
    """Every window that fits into the blocks, and one more that is clipped to them.

    Lines have drifts within ± `steepest` (ns/s). A length is left out if some window of it has fewer than
    `FEWEST_BLOCKS` blocks with exchanges.
    """
    blocks = dense.bounds.upper.size
    spans = settings.window_blocks
    if blocks < spans[0]:
        return []
    fitting = [span for span in spans if span <= blocks]
    if len(fitting) < len(spans) and fitting[-1] < blocks:
        fitting.append(blocks)
    known = np.concatenate([[0], np.cumsum(np.isfinite(dense.bounds.upper))])
    return [
        _window_lines(dense.bounds, index, span, steepest)
        for index, span in enumerate(fitting)
        if (known[span:] - known[:-span]).min() >= FEWEST_BLOCKS
    ]


def _window_lines(bounds: Bounds, index: int, span: int, steepest: float) -> WindowLines:
    every = max(d for d in range(1, max(span // _PER_SPAN, 1) + 1) if span % d == 0)
    starts = np.arange(0, bounds.upper.size - span + 1, every)
    if starts[-1] != bounds.upper.size - span:
        starts = np.append(starts, bounds.upper.size - span)
    views = [sliding_window_view(column, span) for column in bounds]
    slope, middle = np.empty(starts.size), np.empty(starts.size)
    for begin in range(0, starts.size, _CHUNK):
        chunk = slice(begin, begin + _CHUNK)
        lines = widest_lines(Bounds(*(view[starts[chunk]] for view in views)), steepest)
        slope[chunk], middle[chunk] = lines.slope, lines.middle
    return WindowLines(index, span, starts + span - 1, slope, middle)


def _pairs(lines: WindowLines) -> tuple[Integers, Integers]:
    """The adjacent windows: where one of the first ends, the same one of the second begins."""
    future = np.searchsorted(lines.ends, lines.ends + lines.span)
    past = np.flatnonzero(future < lines.ends.size)
    past = past[lines.ends[future[past]] == lines.ends[past] + lines.span]
    return past, future[past]


def disagreements(lines: WindowLines, first: int, block_s: float) -> tuple[Floats, Floats, Floats]:
    """When (s) and by how much (ns²) the windows before and after an instant disagree.

    And what of it is for a steady change of drift, which bends both equally.
    """
    past, future = _pairs(lines)
    at_s = (first + lines.ends[past] + 1).astype(np.float64) * block_s
    bent = ((lines.slope[past] - lines.slope[future]) * (lines.span * block_s * _CURVATURE)) ** 2
    return at_s, (lines.at(past, at_s) - lines.at(future, at_s)) ** 2 / 2 + bent, bent


def pooled(fits: Sequence[tuple[DenseBlocks, list[WindowLines]]], settings: EstimatorSettings) -> Pooled:
    """Each window length's expected squared error over all blocks; all 0 if nothing was measured."""
    means, bends, evidence = [], [], []
    watched_s = sum(dense.bounds.upper.size for dense, _ in fits) * settings.block_s
    for window_s, span in zip(settings.windows_s, settings.window_blocks, strict=True):
        of_length = [(dense, line) for dense, lines in fits for line in lines if line.span == span]
        parts = [disagreements(line, dense.first, settings.block_s)[1:] for dense, line in of_length]
        squared, bent = np.concatenate([np.empty((2, 0)), *parts], axis=1)
        means.append(float(squared.mean()) if squared.size else 0.0)
        bends.append(_beyond_noise(squared, bent) if squared.size else None)
        evidence.append(watched_s / window_s if squared.size else 0.0)
    measured = [mean * window_s for mean, window_s in zip(means, settings.windows_s, strict=True) if mean]
    if not measured:
        return Pooled([0.0] * len(means), watched_s)
    start = measured[0] / settings.windows_s[0]
    return Pooled(expected(means, evidence, settings.windows_s, start, _WANDER, bends=bends), watched_s)


def _beyond_noise(squared: Floats, bent: Floats) -> float:
    """The mean of `bent` without what noise alone makes of it."""
    noise = (squared - bent).mean() * BEND_OF_NOISE * _CURVATURE**2
    return max(float(bent.mean() - noise), 0.0)


def at_boundaries(
    dense: DenseBlocks, fits: list[WindowLines], errors: Sequence[float], settings: EstimatorSettings
) -> BoundaryEstimates:
    """The average of all windows at each block boundary, by each one's error around there.

    `errors` are those of `pooled`.
    """
    blocks = dense.bounds.upper.size
    nodes = np.arange(blocks + 1)
    at_s = (dense.first + nodes).astype(np.float64) * settings.block_s
    offsets, slopes, variances = np.empty((3, len(fits), nodes.size))
    for row, lines in enumerate(fits):
        offsets[row], slopes[row] = _value(lines, nodes, at_s, blocks)
        variances[row] = _around(lines, dense.first, at_s, errors[lines.length_index], settings)
    np.maximum(variances, LEAST_SQUARED, out=variances)
    offset, least, best = most_certain(offsets, variances, _SHARPNESS)
    span = np.array([float(lines.span) for lines in fits])[best]
    inside = np.minimum(2 * np.minimum(nodes, blocks - nodes) / span, 1.0)
    bends = np.array([_bend(lines) for lines in fits])[best]
    bends = np.maximum(bends, 3 * least / (span * settings.block_s) ** 2)
    lifted = lifted_by_length(offsets, fits)[best]
    window_s = span * settings.block_s
    middle = np.full(nodes.size, middle_factor(offsets, fits, errors, settings))
    return BoundaryEstimates(
        at_s, offset, least, slopes[best, nodes], bends, inside, window_s, lifted, middle
    )


def middle_factor(
    offsets: Floats, fits: list[WindowLines], errors: Sequence[float], settings: EstimatorSettings
) -> float:
    """1.96 times how much surer lines are in the middle of their windows than at the ends (`errors`, ns²).

    A line and one four times as long, surer by noise alone, differ in the middle by what the longer one
    leaves of the shorter one's error: its squares are compared with those of the ends. `u95_factor_smoother`
    counts as one window, and is the least.
    """
    usual, squared = settings.u95_factor_smoother, [errors[lines.length_index] for lines in fits]
    total, weight = (usual / _NORMAL) ** 2, 1.0
    for index in range(int(np.argmin(squared)) + 1 - _FOURFOLD):
        less = squared[index] - squared[index + _FOURFOLD]
        if less <= squared[index] / 2:
            continue
        longer = fits[index + _FOURFOLD].span
        inner = slice(longer // 2, offsets.shape[1] - (longer - longer // 2))
        apart = offsets[index, inner] - offsets[index + _FOURFOLD, inner]
        windows = apart.size / fits[index].span
        total, weight = total + float(apart.var()) / less * windows, weight + windows
    return max(usual, min(_NORMAL * sqrt(total / weight), settings.u95_factor))


def lifted_by_length(offsets: Floats, fits: list[WindowLines]) -> Floats:
    """How far each window's edges lie off, squared (ns²), as halves of it and of shorter windows show it.

    An edge is made by the least of n delays, which lies above the least possible by what halving n adds to
    it. Both ways do so equally only where they are symmetric. It mostly falls as 1/n or more slowly, so that
    shorter windows, of which there are more, show the least that is to be expected of a longer one. The
    greater of both counts. What chance explains is taken off.
    """
    lifted = np.zeros(len(fits))
    total = weight = 0.0
    for index in range(_HALF, len(fits)):
        moved, chance = _moved_by_half(offsets, fits, index)
        span = fits[index].span
        sure = 1.0 / (max(chance, 1.0) * span**2)
        total, weight = total + moved * span * sure, weight + sure
        expected_here, doubt = total / (weight * span), 1.0 / (weight * span**2)
        lifted[index] = max(moved**2 - chance, expected_here**2 - doubt, 0.0)
    return lifted


def _moved_by_half(offsets: Floats, fits: list[WindowLines], index: int) -> tuple[float, float]:
    """How far (ns) lines of half its length lie off its own on average, and what may be chance (ns²)."""
    span, half = fits[index].span, fits[index - _HALF].span
    inner = slice(span // 2, offsets.shape[1] - (span - span // 2))
    moved = offsets[index - _HALF, inner] - offsets[index, inner]
    return float(moved.mean()), float(moved.var()) * min(half / (2 * moved.size), 1.0)


def _bend(lines: WindowLines) -> float:
    """Half the mean squared difference of adjacent windows' slopes, (ns/s)²; 0 if none are adjacent."""
    past, future = _pairs(lines)
    return float(np.mean((lines.slope[past] - lines.slope[future]) ** 2)) / 2 if past.size else 0.0


def _value(lines: WindowLines, nodes: Integers, at_s: Floats, blocks: int) -> tuple[Floats, Floats]:
    """Offset (ns) and slope (ns/s) at the nodes, averaged over displaced windows within the blocks."""
    offset, slope = np.zeros(nodes.size), np.zeros(nodes.size)
    for displacement in _DISPLACEMENTS:
        end = nodes + (lines.span // 2 - 1 + round(displacement * lines.span))
        window = _nearest(lines.ends, np.clip(end, lines.span - 1, blocks - 1))
        offset += lines.at(window, at_s)
        slope += lines.slope[window]
    return offset / len(_DISPLACEMENTS), slope / len(_DISPLACEMENTS)


def _nearest(ascending: Integers, wanted: Integers) -> Integers:
    after = np.searchsorted(ascending, wanted).clip(0, ascending.size - 1)
    before = (after - 1).clip(0)
    nearer: Integers = np.where(wanted - ascending[before] < ascending[after] - wanted, before, after)
    return nearer


def _around(
    lines: WindowLines, first: int, at_s: Floats, overall: float, settings: EstimatorSettings
) -> Floats:
    """The window's squared error (ns²) within `forget_s` of each node; `overall` fills in for little data."""
    when_s, squares, _ = disagreements(lines, first, settings.block_s)
    total = np.concatenate([[0.0], np.cumsum(squares)])
    begin = np.searchsorted(when_s, at_s - settings.forget_s)
    end = np.searchsorted(when_s, at_s + settings.forget_s)
    count = (end - begin).astype(np.float64)
    span_s = lines.span * settings.block_s
    every_s = (when_s[-1] - when_s[0]) / (when_s.size - 1) if when_s.size > 1 else 0.0
    weight = count * every_s / span_s
    mean = (total[end] - total[begin]) / np.maximum(count, 1.0)
    around: Floats = (mean * weight + overall) / (weight + 1.0)
    return around
