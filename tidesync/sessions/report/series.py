"""Curves thinned for plotting without losing an extreme, pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.report.verdict import GAP_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topside_agent.estimator.blocks import Floats, Integers

BINS = 600
"""About as many as a page has dots; a curve then has at most four times as many points."""
_MOST_BINS, _LEAST_BINS = 1200, 40
"""Of all figures together, so that a fleet's report stays small; of each, nevertheless."""
WINDOW_S = 8.0
"""The shortest stretch of which a slope is drawn."""


class Curve(NamedTuple):
    """Instants in ns and values, NaN where the line is interrupted."""

    at_ns: Integers
    values: Floats


NOTHING = Curve(np.empty(0, dtype=np.int64), np.empty(0))


def thinned(at_ns: Integers, values: Floats, bins: int = BINS) -> Curve:
    """The same shape with fewer points: of each bin the first, the least, the greatest and the last."""
    if at_ns.size <= 4 * bins:
        return Curve(at_ns, values)
    kept = [
        place
        for begin, end in _bins(at_ns, bins)
        for place in {
            begin,
            begin + int(values[begin:end].argmin()),
            begin + int(values[begin:end].argmax()),
            end - 1,
        }
    ]
    kept.sort()
    return Curve(at_ns[kept], values[kept])


def envelope(at_ns: Integers, values: Floats, bins: int = BINS) -> tuple[Curve, Curve]:
    """The least and the greatest of each bin, at its middle; few values are returned as they are."""
    if at_ns.size <= bins:
        return Curve(at_ns, values), Curve(at_ns, values)
    ranges = _bins(at_ns, bins)
    middles = np.array([(at_ns[begin] + at_ns[end - 1]) // 2 for begin, end in ranges], dtype=np.int64)
    least = np.array([values[begin:end].min() for begin, end in ranges])
    greatest = np.array([values[begin:end].max() for begin, end in ranges])
    return Curve(middles, least), Curve(middles, greatest)


def continuous(at_ns: Integers, segment: Integers) -> list[slice]:
    """The runs through which a line may be drawn: one segment, increasing time, no gap."""
    if not at_ns.size:
        return []
    waits = np.diff(at_ns)
    ends = np.flatnonzero((np.diff(segment) != 0) | (waits > GAP_NS) | (waits < 0)) + 1
    return [slice(begin, end) for begin, end in pairwise([0, *ends.tolist(), at_ns.size])]


def bins_each(figures: int) -> int:
    """How many bins each of so many figures gets."""
    return min(BINS, max(_LEAST_BINS, _MOST_BINS // max(figures, 1)))


def bins_of(run: slice, whole: Integers, bins: int = BINS) -> int:
    """How many of a curve's bins a run of it gets, by its duration; a clock set back subtracts nothing."""
    forward = np.maximum(np.diff(whole), 0)
    return max(8, int(bins * forward[run.start : run.stop - 1].sum() / max(forward.sum(), 1)))


def joined(runs: Sequence[Curve]) -> Curve:
    """One curve, interrupted between each two of `runs`."""
    if not runs:
        return NOTHING
    at_ns = [each for run in runs for each in (run.at_ns, run.at_ns[-1:])]
    values = [each for run in runs for each in (run.values, np.array([np.nan]))]
    return Curve(np.concatenate(at_ns)[:-1], np.concatenate(values)[:-1])


def slopes_ppm(at_ns: Integers, values: Floats) -> Curve:
    """The slope of one continuous run, ppm, over a window that depends on its length (8 to 300 s).

    `values` are ns; nothing for a run shorter than a window.
    """
    if at_ns.size < 2:  # noqa: PLR2004 - a slope needs two
        return NOTHING
    length_s = (at_ns[-1] - at_ns[0]) / 1e9
    window_s = min(max(length_s / 40, WINDOW_S), 300.0)
    if length_s < window_s:
        return NOTHING
    since_s = (at_ns - at_ns[0]) / 1e9
    middles_s = np.linspace(window_s / 2, length_s - window_s / 2, min(200, 1 + int(4 * length_s / window_s)))
    ahead = np.interp(middles_s + window_s / 2, since_s, values)
    behind = np.interp(middles_s - window_s / 2, since_s, values)
    return Curve(at_ns[0] + np.round(middles_s * 1e9).astype(np.int64), (ahead - behind) / window_s * 1e-3)


def _bins(at_ns: Integers, bins: int) -> list[tuple[int, int]]:
    """[begin, end) of each bin of equal time that holds anything."""
    edges = np.linspace(at_ns[0], at_ns[-1] + 1, bins + 1)
    places = np.searchsorted(at_ns, edges)
    places[-1] = at_ns.size
    return [(begin, end) for begin, end in pairwise(places.tolist()) if end > begin]
