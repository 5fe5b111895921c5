"""Which piece a row may belong to by its place in the file: Pi times repeat after a backward step.

Rows stand in the order in which they were recorded, so their pieces never go back. A row that only one piece
can have given says so for all before or after it; where the Pi's time falls from one row to the next, a cut
lies between them. What is left undecided stays undecided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tidesync.sessions.correction.piece import Integers
    from tidesync.sessions.correction.timeline import Timeline

_NEVER = 2**62
_TOLERANCE_NS = 1_000_000_000
"""How far a fall may exceed the step that explains it: errors of both, and rows stamped late."""


Way = tuple[int, int]
"""From one piece to a later one."""


class RowOrder:
    """Seen all rows of a file in `note`, `allowed` tells each row's first and last possible piece.

    Rows are counted from 0, malformed ones left out. Memory grows with the number of cuts only.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        pieces = len(timeline.spans)
        self._count = 0
        self._before: tuple[int, int] | None = None
        self._last_at_most = np.full(pieces, -1, dtype=np.int64)
        self._first_at_least = np.full(pieces, _NEVER, dtype=np.int64)
        self._falls: list[tuple[int, list[Way]]] = []
        """Rows before which the Pi's time falls, and the ways in which the clock can have got there."""
        self._disorder = False
        """A fall that no step explains: the rows are not in the order in which they were recorded."""

    def note(self, pi_ns: Integers) -> None:
        """Take the next rows' timestamps."""
        if not pi_ns.size:
            return
        first, last = self._timeline.extremes(pi_ns)
        rows = np.arange(self._count, self._count + pi_ns.size)
        known = last >= 0
        np.maximum.at(self._last_at_most, last[known], rows[known])
        np.minimum.at(self._first_at_least, first[known], rows[known])
        self._note_falls(pi_ns, first, last)
        self._count += pi_ns.size
        self._before = int(pi_ns[-1]), int(first[-1])

    def _note_falls(self, pi_ns: Integers, first: Integers, last: Integers) -> None:
        before, first_before = self._before or (int(pi_ns[0]), int(first[0]))
        earlier = np.concatenate([[before], pi_ns[:-1]])
        first_earlier = np.concatenate([[first_before], first[:-1]])
        fell = (pi_ns < earlier) & (first_earlier < len(self._timeline.spans)) & (last >= 0)
        self._disorder |= bool((fell & (first_earlier >= last)).any())
        for place in np.flatnonzero(fell & (first_earlier < last)).tolist():
            if len(self._falls) <= self._timeline.cuts:  # one more than that is disorder, and enough
                pieces = range(int(first_earlier[place]), int(last[place]) + 1)
                ways = self._ways(pieces, int(earlier[place]), int(pi_ns[place]))
                self._falls.append((self._count + place, ways))

    def _ways(self, pieces: range, before_ns: int, after_ns: int) -> list[Way]:
        """From which piece to which the clock can have gone between two rows, one or more cuts at once."""
        spans = self._timeline.spans
        old, new = (
            {
                piece: int(spans[piece].piece.answer(at).topside_ns[0])
                for piece in pieces
                if spans[piece].holds(at).all()
            }
            for at in (np.array([before_ns]), np.array([after_ns]))
        )
        return [
            (piece, later)
            for piece, earlier_ns in old.items()
            for later, later_ns in new.items()
            if piece < later and later_ns >= earlier_ns - _TOLERANCE_NS
        ]

    def boundaries(self) -> tuple[Integers, Integers]:
        """For each cut: rows below the first number lie before it, from the second on after it."""
        cuts = self._timeline.cuts
        not_before = np.maximum.accumulate(self._last_at_most)[:cuts] + 1
        not_after = np.minimum.accumulate(self._first_at_least[::-1])[::-1][1:]
        decided, over = np.minimum(not_before, not_after), np.maximum(not_before, not_after)
        for cut, row in self._located(not_before, not_after).items():
            decided[cut] = over[cut] = row
        return decided, over

    def _located(self, not_before: Integers, not_after: Integers) -> dict[int, int]:
        """The cuts that lie at one certain fall, whichever way through all falls the clock has gone.

        A way may follow another if it begins at a piece not before that where the other ends; so it is enough
        to know how early a piece the falls before can end in, and how late one the falls after can begin in.
        """
        falls = [
            (row, [way for way in ways if _fits(way, row, not_before, not_after)])
            for row, ways in self._falls
        ]
        earliest, latest = [0], [self._timeline.cuts]
        for _, ways in falls:
            earliest.append(min((new for old, new in ways if old >= earliest[-1]), default=_NEVER))
        for _, ways in reversed(falls):
            latest.append(max((old for old, new in ways if new <= latest[-1]), default=-1))
        if self._disorder or earliest[-1] == _NEVER:
            return {}
        located: dict[int, int] = {}
        for (row, ways), least, greatest in zip(falls, earliest, latest[-2::-1], strict=False):
            possible = [(old, new) for old, new in ways if old >= least and new <= greatest]
            certain = range(max(old for old, _ in possible), min(new for _, new in possible))
            located |= dict.fromkeys(certain, row)
        return located

    def allowed(self, begin: int, count: int) -> tuple[Integers, Integers]:
        """The first and the last possible piece of `count` rows from row `begin` on."""
        decided, over = self.boundaries()
        rows = np.arange(begin, begin + count)
        over = np.minimum.accumulate(over[::-1])[::-1]
        decided = np.maximum.accumulate(decided)
        least = np.searchsorted(over, rows, side="right")
        greatest = np.searchsorted(decided, rows, side="right")
        return least.astype(np.int64), greatest.astype(np.int64)


def _fits(way: Way, row: int, not_before: Integers, not_after: Integers) -> bool:
    """Whether the clock can have gone that way just before `row`, by what single rows say."""
    old, new = way
    return bool((not_before[:new] <= row).all() and (not_after[old:] >= row).all())
