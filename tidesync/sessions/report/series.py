"""Curves thinned for plotting so that no extreme is hidden, pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidesync.sessions.report.coverage import GAP_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BINS = 600
"""About as many as a page has dots to show; a curve then has at most four times as many points."""


class Curve(NamedTuple):
    """Instants in ns and values, NaN where a line must break."""

    at_ns: Integers
    values: Floats


NOTHING = Curve(np.empty(0, dtype=np.int64), np.empty(0))


def thinned(at_ns: Integers, values: Floats, bins: int = BINS) -> Curve:
    """The same shape with few points: of each bin the first, the least, the greatest and the last."""
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
    """The least and the greatest of each bin, at its middle; where they are few, the values themselves."""
    if at_ns.size <= bins:
        return Curve(at_ns, values), Curve(at_ns, values)
    parts = list(_bins(at_ns, bins))
    middles = np.array([(at_ns[begin] + at_ns[end - 1]) // 2 for begin, end in parts], dtype=np.int64)
    least = np.array([values[begin:end].min() for begin, end in parts])
    greatest = np.array([values[begin:end].max() for begin, end in parts])
    return Curve(middles, least), Curve(middles, greatest)


def unbroken(at_ns: Integers, segment: Integers) -> list[slice]:
    """The places between which a line may be drawn: one segment, time going on, no gap."""
    if not at_ns.size:
        return []
    waits = np.diff(at_ns)
    ends = np.flatnonzero((np.diff(segment) != 0) | (waits > GAP_NS) | (waits < 0)) + 1
    return [slice(begin, end) for begin, end in pairwise([0, *ends.tolist(), at_ns.size])]


def share(part: slice, whole: Integers) -> int:
    """How many bins a part of a curve gets, by its time; a clock set back takes no time away."""
    forward = np.maximum(np.diff(whole), 0)
    return max(8, int(BINS * forward[part.start : part.stop - 1].sum() / max(forward.sum(), 1)))


def joined(parts: Sequence[Curve]) -> Curve:
    """One curve with a break between each two of `parts`."""
    if not parts:
        return NOTHING
    at_ns = [each for part in parts for each in (part.at_ns, part.at_ns[-1:])]
    values = [each for part in parts for each in (part.values, np.array([np.nan]))]
    return Curve(np.concatenate(at_ns)[:-1], np.concatenate(values)[:-1])


def slopes_ppm(at_ns: Integers, values: Floats) -> Curve:
    """The slope of one unbroken piece, ppm, each over a window that suits its length (8 to 300 s).

    `values` are ns; nothing for a piece shorter than a window.
    """
    if at_ns.size < 2:  # noqa: PLR2004 - a slope needs two
        return NOTHING
    length_s = (at_ns[-1] - at_ns[0]) / 1e9
    window_s = min(max(length_s / 40, 8.0), 300.0)
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
