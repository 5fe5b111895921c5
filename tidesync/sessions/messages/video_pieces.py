"""Answers of consecutive seconds as straight pieces, pure: few where the clocks ran on, more where one moved.

A piece's error has that of its seconds, how far they are from its line, and what may lie between two of them
where the line bends: no more than the bends of its seconds, the neighbours' included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.timeline import STATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Floats, Integers

_STRAIGHT_NS = 200_000
"""How far from a piece's line a second may be."""
_RATE = 1e-3
"""More than what the common error of all instants of a recording may change their distances by, of itself."""


class Piece(NamedTuple):
    """Instants `from_ns` to `to_ns` of the computer's clock, Unix ns, and topside's of the first."""

    from_ns: int
    to_ns: int
    topside_ns: int | None
    """None: not known."""
    ratio: float | None
    """Topside's seconds for each of the computer's; None: not known, or of a single instant."""
    ratio_error_ppm: float | None
    max_error_ns: int
    state: str


def pieces_of(at_ns: Integers, found: Corrections, common_ns: int) -> list[Piece]:
    """The pieces of ascending instants; all of them may be off by the same, up to `common_ns`."""
    known, pieces = found.known, list[Piece]()
    ahead: Floats = np.where(known, found.topside_ns - at_ns, 0).astype(np.float64)
    bends = _bends(ahead, known)
    for begin, end in _runs(found.state, known):
        if not known[begin]:
            state = STATES[int(found.state[begin])]
            pieces.append(Piece(int(at_ns[begin]), int(at_ns[end]), None, None, None, 0, state))
            continue
        for first, last in _straight(at_ns, ahead, begin, end):
            pieces.append(_piece(at_ns, found, bends, (first, last), common_ns))
    return pieces


def _piece(
    at_ns: Integers, found: Corrections, bends: Floats, ends: tuple[int, int], common_ns: int
) -> Piece:
    first, last = ends
    here = slice(first, last + 1)
    passed, topside_ns = int(at_ns[last] - at_ns[first]), found.topside_ns[here] - found.topside_ns[first]
    ratio = 1.0 if not passed else float(topside_ns[-1]) / passed
    apart = np.abs(topside_ns - (at_ns[here] - at_ns[first]) * ratio)
    error = int(np.ceil((found.max_error_ns[here] + apart).max() + bends[here].max()))
    own = np.maximum(found.max_error_ns[[first, last]] - common_ns, 0) + common_ns * _RATE
    by_ppm = float(own.sum()) / passed * 1e6 if passed else None
    return Piece(
        int(at_ns[first]),
        int(at_ns[last]),
        int(found.topside_ns[first]),
        ratio if passed else None,
        None if by_ppm is None else float(np.ceil(by_ppm * 1000)) / 1000,
        error,
        STATES[int(found.state[first])],
    )


def _bends(ahead: Floats, known: Flags) -> Floats:
    """By how much the line bends at each instant and its neighbours, ns."""
    bend = np.zeros(ahead.shape)
    if ahead.size > 2:  # noqa: PLR2004 - a bend has three points
        whole = known[:-2] & known[1:-1] & known[2:]
        bend[1:-1] = np.where(whole, np.abs(np.diff(ahead, 2)), 0)
    padded = np.pad(bend, 1)
    return np.maximum(bend, np.maximum(padded[:-2], padded[2:]))


def _runs(state: Integers, known: Flags) -> Iterator[tuple[int, int]]:
    """The first and the last place of consecutive ones of one state."""
    changes = np.flatnonzero((np.diff(state) != 0) | (np.diff(known.astype(np.int8)) != 0)) + 1
    starts = [0, *changes.tolist()]
    yield from zip(starts, [*(each - 1 for each in starts[1:]), state.size - 1], strict=True)


def _straight(at_ns: Integers, ahead: Floats, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Divide known instants where no line from the first one is near all of them; parts share their ends."""
    first, low, high = begin, -np.inf, np.inf
    for place in range(begin + 1, end + 1):
        passed = float(at_ns[place] - at_ns[first])
        rise = float(ahead[place] - ahead[first])
        slope = rise / passed
        if not low <= slope <= high:
            yield first, place - 1
            first, low, high = place - 1, -np.inf, np.inf
            passed, rise = float(at_ns[place] - at_ns[first]), float(ahead[place] - ahead[first])
        low, high = (
            max(low, (rise - _STRAIGHT_NS) / passed),
            min(high, (rise + _STRAIGHT_NS) / passed),
        )
    yield first, end
