"""A vehicle's whole track, read backwards: which piece a Pi timestamp belongs to, and what it answers.

A cut (step, reboot, suspend) parts two pieces. When it happened nobody knows better than "between the last
exchange before and the first after"; a timestamp that either piece may have given within that stretch is
ambiguous. After a backward step one Pi time belongs to several pieces: the order of rows decides (order.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.piece import Flags, Floats, Integers, Knots, Piece

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidesync.sessions.correction.limits import Limits
    from topside_agent.estimator import Row

STATES = ("ok", "holdover", "ambiguous", "outside")
OK, HOLDOVER, AMBIGUOUS, OUTSIDE = range(4)


class Answers(NamedTuple):
    """For each timestamp its topside instant, the error at most (both ns) and the state's place in STATES.

    The first two mean something only where the state is `ok` or `holdover`.
    """

    topside_ns: Integers
    max_error_ns: Integers
    state: Integers


@dataclass(frozen=True, slots=True)
class Span:
    """Pi times (ns) that one piece may have given: measured in the middle, a fringe on either side.

    A fringe that ends at a cut is ambiguous; one at the track's own end is held over.
    """

    piece: Piece
    from_ns: int
    to_ns: int
    cut_before: bool
    cut_after: bool

    def holds(self, pi_ns: Integers) -> Flags:
        """Which of `pi_ns` it may have given."""
        return (pi_ns >= self.from_ns) & (pi_ns <= self.to_ns)

    def answers(self, pi_ns: Integers) -> Flags:
        """Which of those it has an answer for."""
        before, after = pi_ns < self.piece.first_ns, pi_ns > self.piece.last_ns
        return ~((before & self.cut_before) | (after & self.cut_after))


class Timeline:
    """Answers for Pi timestamps, from one vehicle's track."""

    def __init__(self, spans: Sequence[Span], limits: Limits) -> None:
        self.spans = spans
        self._limits = limits

    @property
    def cuts(self) -> int:
        """How often the vehicle's clock was cut."""
        return max(len(self.spans) - 1, 0)

    @property
    def middle_ns(self) -> int:
        """A Pi time that was measured: tells seconds from milliseconds."""
        piece = self.spans[len(self.spans) // 2].piece
        return (piece.first_ns + piece.last_ns) // 2

    def extremes(self, pi_ns: Integers) -> tuple[Integers, Integers]:
        """The first and the last piece that may have given each timestamp; (number of pieces, −1) if none."""
        first = np.full(pi_ns.shape, len(self.spans), dtype=np.int64)
        last = np.full(pi_ns.shape, -1, dtype=np.int64)
        for index, span in enumerate(self.spans):
            held = span.holds(pi_ns)
            first[held & (first > index)] = index
            last[held] = index
        return first, last

    def answer(self, pi_ns: Integers, least: Integers, greatest: Integers) -> Answers:
        """The answers, each from a piece between `least` and `greatest` (what the order of rows allows)."""
        topside, error = np.zeros_like(pi_ns), np.zeros_like(pi_ns)
        state = np.full(pi_ns.shape, OUTSIDE, dtype=np.int64)
        candidates = np.zeros(pi_ns.shape, dtype=np.int64)
        for index, span in enumerate(self.spans):
            held = span.holds(pi_ns) & (least <= index) & (index <= greatest)
            candidates += held
            alone = held & (candidates == 1)
            if alone.any():
                topside[alone], error[alone], state[alone] = self._from(span, pi_ns[alone])
        state[candidates > 1] = AMBIGUOUS
        return Answers(topside, error, state)

    def _from(self, span: Span, pi_ns: Integers) -> tuple[Integers, Integers, Integers]:
        found = span.piece.answer(pi_ns)
        state = np.where(found.held, HOLDOVER, OK)
        state[found.max_error_ns > self._limits.max_error_ns] = OUTSIDE
        state[~span.answers(pi_ns)] = AMBIGUOUS
        error: Floats = np.minimum(found.max_error_ns, self._limits.max_error_ns)
        return found.topside_ns, error.astype(np.int64), state


def timeline(rows: Sequence[Row], topside_raw_ns: Mapping[int, int], limits: Limits) -> Timeline:
    """The timeline of a track.

    `topside_raw_ns` gives topside's RAW clock at a row's `topside_unix_ns`, where that is known: it tells how
    long a cut took although a wall clock was set.
    """
    parts = _parts(rows)
    pieces = [Piece(_knots(part), limits) for part in parts]
    widths = [
        _elapsed_ns(before[-1], after[0], topside_raw_ns) * (1 + 2 * (limits.rate + limits.slew))
        for before, after in pairwise(parts)
    ]
    fringes = [round(width) for width in widths]
    spans = []
    for index, (part, piece) in enumerate(zip(parts, pieces, strict=True)):
        cut_before, cut_after = index > 0, index < len(parts) - 1
        before = fringes[index - 1] + _width(part[0]) if cut_before else _holdover_ns(piece, limits, 0)
        after = fringes[index] + _width(part[-1]) if cut_after else _holdover_ns(piece, limits, 1)
        spans.append(Span(piece, piece.first_ns - before, piece.last_ns + after, cut_before, cut_after))
    return Timeline(spans, limits)


def _parts(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows that can be relied on, parted at cuts and ambiguous stretches; Pi time rises in each."""
    parts: list[list[Row]] = []
    before: Row | None = None
    for row in rows:
        if row.state not in {"ok", "holdover"}:
            before = None if row.state == "ambiguous" else before
            continue
        if before is None or row.segment != before.segment:
            if before is not None and len(parts[-1]) > 1:
                parts[-1].pop()  # the clock may have been set while its answer was on the way
            parts.append([])
        if not parts[-1] or _follows(row, parts[-1][-1]):
            parts[-1].append(row)
        before = row
    return parts


def _follows(row: Row, before: Row) -> bool:
    return (
        row.topside_unix_ns > before.topside_unix_ns
        and row.topside_unix_ns + row.offset_ns > before.topside_unix_ns + before.offset_ns
    )


def _knots(rows: Sequence[Row]) -> Knots:
    columns = [(r.topside_unix_ns, r.offset_ns, r.lower_ns, r.upper_ns) for r in rows]
    topside, offset, lower, upper = np.array(columns, dtype=np.int64).T
    return Knots(topside, offset, lower, upper, np.array([row.state == "holdover" for row in rows]))


def _elapsed_ns(before: Row, after: Row, topside_raw_ns: Mapping[int, int]) -> int:
    """How long it took from `before` to `after` at most.

    On topside's RAW clock; else the longer of what both wall clocks say, of which one has been set.
    """
    raw = topside_raw_ns.get(before.topside_unix_ns), topside_raw_ns.get(after.topside_unix_ns)
    if raw[0] is not None and raw[1] is not None and raw[1] > raw[0]:
        return raw[1] - raw[0]
    topside = after.topside_unix_ns - before.topside_unix_ns
    return max(topside, topside + after.offset_ns - before.offset_ns, 0)


def _width(row: Row) -> int:
    """How far the Pi's clock may have been from what the row says it showed."""
    return max(row.upper_ns - row.offset_ns, row.offset_ns - row.lower_ns, 0)


def _holdover_ns(piece: Piece, limits: Limits, end: int) -> int:
    edge = (piece.before, piece.after)[end]
    return round(edge.reach_s(limits.max_error_ns) * 1e9)
