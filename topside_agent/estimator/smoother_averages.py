"""Afterwards: least-squares lines through the blocks' averages, where they err less than the edges' lines.

What `averages.py` does online, with windows around each instant (docs/mathematics.md §10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from topside_agent.estimator.average_errors import BOTH, WAYS, corrected
from topside_agent.estimator.blocks import Floats
from topside_agent.estimator.least_squares import Fits, Reference, least_squares, sums_of
from topside_agent.estimator.window_errors import (
    BEND_OF_NOISE,
    CURVATURE,
    LEAST_SQUARED,
    disagreement,
    expected,
    most_certain,
)

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Bounds, Integers
    from topside_agent.estimator.settings import EstimatorSettings
    from topside_agent.estimator.smoother_windows import BoundaryEstimates, DenseBlocks

_PER_SPAN = 4
"""Ways are compared by pairs of windows so many times per their length."""
_CHUNK = 2048
_HOPELESS = 4.0
_SHARPNESS = 5
_WANDER = 1.0
"""ns/s^1.5, as for the smoother's windows."""
_GAUSSIAN = 1.46
"""A line's squared error at its window's middle, a quarter of that at its ends, in the units of the
smoother's windows: 1.96 σ of it are then 0.81 (`u95_factor_smoother`) times the root."""


class _Values(NamedTuple):
    """The blocks' values on the dense grid, their sums before each boundary."""

    sums: Floats
    known: Integers
    reference: Reference
    first: int
    block_s: float

    @property
    def blocks(self) -> int:
        return self.known.size - 1

    def lines(self, begin: Integers, end: Integers) -> Fits:
        """The lines through the blocks from `begin` to before `end`."""
        count = (self.known[end] - self.known[begin]).astype(np.float64)
        return least_squares(self.sums[:, :, end] - self.sums[:, :, begin], count, self.reference)

    def at_s(self, boundary: Integers) -> Floats:
        """The instant (s) of a block's beginning."""
        return (self.first + boundary).astype(np.float64) * self.block_s

    def disagreements(self, boundary: Integers, span: int) -> Floats:
        """What the windows of `span` blocks before and after these boundaries disagree by, ns².

        And what of it is for a steady change of drift: shape (2, ways, boundaries). NaN with too few blocks.
        """
        found = np.empty((2, self.sums.shape[1], boundary.size))
        for begin in range(0, boundary.size, _CHUNK):
            here = slice(begin, begin + _CHUNK)
            found[:, :, here] = self._disagreements(boundary[here], span)
        return found

    def _disagreements(self, boundary: Integers, span: int) -> tuple[Floats, Floats]:
        past, future = self.lines(boundary - span, boundary), self.lines(boundary, boundary + span)
        at_s, window_s = self.at_s(boundary), span * self.block_s
        bend, here, same = past.slope - future.slope, past.at(at_s), np.zeros(past.slope.shape)
        squared = disagreement(here, future.at(at_s), bend, window_s)
        return squared, disagreement(same, same, bend, window_s)

    def of_way(self, way: int) -> _Values:
        """One way alone."""
        return self._replace(sums=self.sums[:, way : way + 1])


def _block_values(
    dense: DenseBlocks,
    bounds: Bounds,
    number: Integers,
    edges: BoundaryEstimates,
    settings: EstimatorSettings,
) -> _Values:
    """The averages of these exchanges' blocks, brought to their middles along the edges' drift."""
    block_s, slope = settings.block_s, float(np.median(edges.slope))
    size, block = dense.bounds.upper.size, number - dense.first
    middle_s: Floats = (dense.first + np.arange(size, dtype=np.float64) + 0.5) * block_s
    out = bounds.upper + slope * (middle_s[block] - bounds.upper_at)
    back = bounds.lower + slope * (middle_s[block] - bounds.lower_at)
    count = np.bincount(block, minlength=size)
    filled = count > 0
    least_out, least_back = np.where(filled, np.inf, 0.0), np.where(filled, -np.inf, 0.0)
    np.minimum.at(least_out, block, out)
    np.maximum.at(least_back, block, back)
    excess = out - back - (out - back).min()
    weight = (1.0 + excess / (excess.mean() + 1.0)) ** -2
    total = np.bincount(block, weight, size)
    divisor = np.maximum(count, 1)
    mean_out, mean_back = np.bincount(block, out, size) / divisor, np.bincount(block, back, size) / divisor
    both = np.bincount(block, weight * (out + back) / 2, size) / np.where(filled, total, 1.0)
    values = np.stack([least_out, least_back, (least_out + least_back) / 2, mean_out, mean_back, both])
    weights = np.tile(filled.astype(np.float64), (WAYS, 1))
    weights[-1] = total / divisor
    first = int(np.argmax(filled))
    reference = Reference(float(middle_s[first]), float(values[-1, first]), slope)
    known = np.concatenate([[0], filled.cumsum()])
    return _Values(sums_of(middle_s, weights, values, reference), known, reference, dense.first, block_s)


def _spans(values: _Values, settings: EstimatorSettings) -> list[int]:
    """The window lengths in blocks, and on by √2 up to all of the blocks."""
    spans = [span for span in settings.window_blocks if span < values.blocks]
    while spans and spans[-1] * 2 < values.blocks:
        spans.append(round(spans[-1] * 1.414))
    return [*spans, values.blocks]


def _overall(values: _Values, spans: list[int]) -> Floats:
    """The expected squared errors (ns²) of all lines, shape (lengths, ways)."""
    means, bends, evidence = [], [], []
    ways = values.sums.shape[1]
    for span in spans:
        boundary = np.arange(span, values.blocks - span + 1, max(span // _PER_SPAN, 1))
        both = values.disagreements(boundary, span)
        both = both[:, :, np.isfinite(both[0, 0])]
        squared, bent = both.mean(axis=2) if both.size else np.zeros((2, ways))
        means.append(squared)
        noise = (squared - bent) * (BEND_OF_NOISE * CURVATURE**2)
        bends.append(np.maximum(bent - noise, 0.0) if both.size else None)
        evidence.append(np.full(ways, values.blocks / span if both.size else 0.0))
    windows_s = [span * values.block_s for span in spans]
    return np.array(expected(means, evidence, windows_s, means[0], _WANDER, bends=bends))


def with_averages(
    dense: DenseBlocks,
    bounds: Bounds,
    number: Integers,
    edges: BoundaryEstimates,
    settings: EstimatorSettings,
) -> BoundaryEstimates:
    """The edges' estimates, averaged with the best ways' where those have a chance.

    `bounds` and `number` (each exchange's block) are of the exchanges within `dense`.
    """
    values = _block_values(dense, bounds, number, edges, settings)
    spans = _spans(values, settings)
    overall = _overall(values, spans)
    best = np.nanmin(np.where(overall > 0, overall, np.inf), axis=0)
    usual = float(np.median(edges.variance))
    ways = [way for way in range(WAYS) if best[way] < _HOPELESS * usual]
    found = [_way(values.of_way(way), spans, overall[:, way]) for way in ways]
    return _joined(edges, found, ways, settings) if ways else edges


class _Way(NamedTuple):
    """At each boundary: offset without its level (ns), squared error (ns²), slope (ns/s), window (s)."""

    offset: Floats
    variance: Floats
    slope: Floats
    window_s: Floats


def _way(values: _Values, spans: list[int], overall: Floats) -> _Way:
    """One way's lines of all lengths, averaged by their errors around each boundary."""
    nodes = np.arange(values.blocks + 1)
    offsets, slopes, variances = np.empty((3, len(spans), nodes.size))
    for row, (span, usual) in enumerate(zip(spans, overall.tolist(), strict=True)):
        around = _around(values, span, usual)
        for first in range(0, nodes.size, _CHUNK):
            here = slice(first, first + _CHUNK)
            begin = np.clip(nodes[here] - span // 2, 0, values.blocks - span)
            lines = values.lines(begin, begin + span)
            offset, squared = (
                lines.at(values.at_s(nodes[here]))[0],
                np.maximum(around[here], lines.variance[0]),
            )
            variances[row, here] = np.where(np.isfinite(offset), np.maximum(squared, LEAST_SQUARED), np.inf)
            offsets[row, here], slopes[row, here] = np.nan_to_num(offset), lines.slope[0]
    offset, least, best = most_certain(offsets, variances, _SHARPNESS)
    windows_s = np.array(spans)[best] * values.block_s
    return _Way(offset, least * _GAUSSIAN, slopes[best, nodes], windows_s)


def _around(values: _Values, span: int, usual: float) -> Floats:
    """The squared error (ns²) of that length about each boundary; `usual` fills in for little data."""
    nodes = np.arange(values.blocks + 1)
    boundary = np.arange(span, values.blocks - span + 1)
    squared = values.disagreements(boundary, span)[0, 0]
    known = np.isfinite(squared)
    total = np.concatenate([[0.0], np.where(known, squared, 0.0).cumsum()])
    count = np.concatenate([[0], known.cumsum()])
    begin, end = (np.clip(nodes - span + move, 0, squared.size) for move in (-2 * span, 2 * span + 1))
    weight = (count[end] - count[begin]) / span
    mean = (total[end] - total[begin]) / np.maximum(count[end] - count[begin], 1)
    around: Floats = (mean * weight + usual) / (weight + 1.0)
    return around


def _joined(
    edges: BoundaryEstimates, found: list[_Way], ways: list[int], settings: EstimatorSettings
) -> BoundaryEstimates:
    offsets, variances = [edges.offset], [edges.variance]
    for way, number in zip(found, ways, strict=True):
        level, doubt = corrected(*_level(edges, way, settings), way.variance, BOTH[number])
        offsets.append(way.offset + level)
        variances.append(way.variance + doubt)
    offset, least, best = most_certain(np.array(offsets), np.array(variances), _SHARPNESS)
    middle = np.where(best == 0, edges.middle, settings.u95_factor_smoother)
    return edges._replace(offset=offset, variance=least, middle=middle)


def _level(edges: BoundaryEstimates, way: _Way, settings: EstimatorSettings) -> tuple[Floats, Floats]:
    """How far (ns) the edges lie above the way's line within `forget_s`, and its squared error."""
    apart, weight = edges.offset - way.offset, 1.0 / edges.variance
    reach = round(settings.forget_s / settings.block_s)
    nodes = np.arange(apart.size)
    begin, end = np.clip(nodes - reach, 0, None), np.clip(nodes + reach + 1, None, nodes.size)
    sums = np.concatenate(
        [np.zeros((3, 1)), np.cumsum([weight, weight * apart, weight * apart**2], axis=1)], axis=1
    )
    total, first, second = sums[:, end] - sums[:, begin]
    mean = first / total
    scatter = np.maximum(second / total - mean**2, (end - begin) / total)
    watched_s = (end - begin) * settings.block_s
    return mean, scatter * np.minimum(edges.window_s / watched_s, 1.0)
