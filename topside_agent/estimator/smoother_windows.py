"""The point estimate afterwards: lines over windows centred on each instant, for a stretch without holes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from topside_agent.estimator.lines import Floats, Integers, Windows, widest_lines
from topside_agent.estimator.settings import FEWEST_BLOCKS
from topside_agent.estimator.window import expected

if TYPE_CHECKING:
    from topside_agent.estimator.settings import EstimatorSettings

_CHUNK = 512
"""Windows fitted at once: few enough for the processor's cache."""
_PER_SPAN = 16
"""Long windows are fitted so many times per their own length, not at every block."""
_SHIFTS = (-1 / 4, -1 / 6, -1 / 12, 0.0, 1 / 12, 1 / 6, 1 / 4)
"""Windows moved by these parts of their length are averaged: the few blocks that a line rests on change."""
_SHARPNESS = 5
_WANDER = 1.0
"""ns/s^1.5: afterwards long windows have been measured as often as short ones, and need little prior."""


class Stretch(NamedTuple):
    """Blocks without a long hole, on a dense grid from block number `first` on; times are the run's."""

    first: int
    blocks: Windows


class Rung(NamedTuple):
    """All lines of one window length, the `rank`th of the ladder (or clipped).

    `ends` are the windows' last blocks, counted within the stretch.
    """

    rank: int
    span: int
    ends: Integers
    slope: Floats
    middle: Floats

    def at(self, place: Integers, at_s: Floats) -> Floats:
        """The offset (ns) at `at_s` by the line of window `place`."""
        return self.middle[place] + self.slope[place] * at_s


class Centred(NamedTuple):
    """At each block boundary of a stretch: offset (ns), expected squared error (ns²), slope (ns/s)."""

    at_s: Floats
    offset: Floats
    variance: Floats
    slope: Floats
    slope_variance: Floats
    """Expected squared error of `slope`, (ns/s)²."""
    inside: Floats
    """1 where the best window has as much on either side, 0 where it lies on one side only."""


def fit(stretch: Stretch, settings: EstimatorSettings) -> list[Rung]:
    """Every window of the ladder that fits into the stretch, and one more that is clipped to it.

    Lengths of which some window holds hardly a block are left out.
    """
    blocks = stretch.blocks.upper.size
    spans = [round(window_s / settings.block_s) for window_s in settings.ladder_s]
    if blocks < spans[0]:
        return []
    fitting = [span for span in spans if span <= blocks]
    if len(fitting) < len(spans) and fitting[-1] < blocks:
        fitting.append(blocks)
    steepest = settings.rate_limit_ppm * 1e3
    known = np.concatenate([[0], np.cumsum(np.isfinite(stretch.blocks.upper))])
    return [
        _rung(stretch.blocks, index, span, steepest)
        for index, span in enumerate(fitting)
        if (known[span:] - known[:-span]).min() >= FEWEST_BLOCKS
    ]


def _rung(blocks: Windows, index: int, span: int, steepest: float) -> Rung:
    every = max(d for d in range(1, max(span // _PER_SPAN, 1) + 1) if span % d == 0)
    starts = np.arange(0, blocks.upper.size - span + 1, every)
    if starts[-1] != blocks.upper.size - span:
        starts = np.append(starts, blocks.upper.size - span)
    views = [sliding_window_view(column, span) for column in blocks]
    slope, middle = np.empty(starts.size), np.empty(starts.size)
    for begin in range(0, starts.size, _CHUNK):
        part = slice(begin, begin + _CHUNK)
        lines = widest_lines(Windows(*(view[starts[part]] for view in views)), steepest)
        slope[part], middle[part] = lines.slope, lines.middle
    return Rung(index, span, starts + span - 1, slope, middle)


def _pairs(rung: Rung) -> tuple[Integers, Integers]:
    """The places of windows that meet: where one ends, the other begins."""
    future = np.searchsorted(rung.ends, rung.ends + rung.span)
    past = np.flatnonzero(future < rung.ends.size)
    past = past[rung.ends[future[past]] == rung.ends[past] + rung.span]
    return past, future[past]


def disagreements(rung: Rung, first: int, block_s: float) -> tuple[Floats, Floats]:
    """When (s) and by how much (G²/2, ns²) the windows before and after an instant disagree."""
    past, future = _pairs(rung)
    at_s = (first + rung.ends[past] + 1).astype(np.float64) * block_s
    return at_s, (rung.at(past, at_s) - rung.at(future, at_s)) ** 2 / 2


def pooled(stretches: Sequence[tuple[Stretch, list[Rung]]], settings: EstimatorSettings) -> list[float]:
    """Each window's expected squared error (ns²) over all stretches; all 0 if nothing was measured."""
    means, evidence = [], []
    for window_s in settings.ladder_s:
        squares = [
            disagreements(rung, stretch.first, settings.block_s)[1]
            for stretch, rungs in stretches
            for rung in rungs
            if rung.span == round(window_s / settings.block_s)
        ]
        every = np.concatenate(squares) if squares else np.empty(0)
        means.append(float(every.mean()) if every.size else 0.0)
        blocks = sum(stretch.blocks.upper.size for stretch, _ in stretches)
        evidence.append(blocks * settings.block_s / window_s if every.size else 0.0)
    measured = [mean * window_s for mean, window_s in zip(means, settings.ladder_s, strict=True) if mean]
    if not measured:
        return [0.0] * len(means)
    return expected(means, evidence, settings.ladder_s, measured[0] / settings.ladder_s[0], _WANDER)


def centred(
    stretch: Stretch, rungs: list[Rung], errors: Sequence[float], settings: EstimatorSettings
) -> Centred:
    """The average of all windows at each block boundary, by what each is worth around there."""
    blocks = stretch.blocks.upper.size
    nodes = np.arange(blocks + 1)
    at_s = (stretch.first + nodes).astype(np.float64) * settings.block_s
    every = [_value(rung, nodes, at_s, blocks) for rung in rungs]
    offsets, slopes = np.array([o for o, _ in every]), np.array([s for _, s in every])
    variances = np.array([_around(rung, stretch.first, at_s, errors[rung.rank], settings) for rung in rungs])
    least = variances.min(axis=0)
    weights = (least / variances) ** _SHARPNESS
    best = variances.argmin(axis=0)
    offset: Floats = (weights * offsets).sum(axis=0) / weights.sum(axis=0)
    span = np.array([float(rung.span) for rung in rungs])[best]
    inside = np.minimum(2 * np.minimum(nodes, blocks - nodes) / span, 1.0)
    bends = np.array([_bend(rung) for rung in rungs])[best]
    bends = np.maximum(bends, 3 * least / (span * settings.block_s) ** 2)
    return Centred(at_s, offset, least, slopes[best, nodes], bends, inside)


def _bend(rung: Rung) -> float:
    """Half the mean square by which the slopes of windows that meet differ, (ns/s)²; 0 where none do."""
    past, future = _pairs(rung)
    return float(np.mean((rung.slope[past] - rung.slope[future]) ** 2)) / 2 if past.size else 0.0


def _value(rung: Rung, nodes: Integers, at_s: Floats, blocks: int) -> tuple[Floats, Floats]:
    """Offset and slope at the nodes, averaged over shifted windows, which stay within the stretch."""
    offset, slope = np.zeros(nodes.size), np.zeros(nodes.size)
    for shift in _SHIFTS:
        end = nodes + (rung.span // 2 - 1 + round(shift * rung.span))
        place = _nearest(rung.ends, np.clip(end, rung.span - 1, blocks - 1))
        offset += rung.at(place, at_s)
        slope += rung.slope[place]
    return offset / len(_SHIFTS), slope / len(_SHIFTS)


def _nearest(sorted_: Integers, wanted: Integers) -> Integers:
    after = np.searchsorted(sorted_, wanted).clip(0, sorted_.size - 1)
    before = (after - 1).clip(0)
    nearer: Integers = np.where(wanted - sorted_[before] < sorted_[after] - wanted, before, after)
    return nearer


def _around(rung: Rung, first: int, at_s: Floats, overall: float, settings: EstimatorSettings) -> Floats:
    """The window's squared error within `forget_s` of each node; overall's where that is little."""
    when_s, squares = disagreements(rung, first, settings.block_s)
    total = np.concatenate([[0.0], np.cumsum(squares)])
    begin = np.searchsorted(when_s, at_s - settings.forget_s)
    end = np.searchsorted(when_s, at_s + settings.forget_s)
    count = (end - begin).astype(np.float64)
    span_s = rung.span * settings.block_s
    every_s = (when_s[-1] - when_s[0]) / (when_s.size - 1) if when_s.size > 1 else 0.0
    weight = count * every_s / span_s
    mean = (total[end] - total[begin]) / np.maximum(count, 1.0)
    around: Floats = (mean * weight + overall) / (weight + 1.0)
    return around
