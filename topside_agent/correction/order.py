"""Which piece a row may belong to by its place in the file: Pi times repeat after a backward step.

Rows stand in the order in which they were recorded, so their pieces never go back. A row that only one piece
can have given says so for all before or after it; where the Pi's time falls from one row to the next, a cut
lies between them. What is left undecided stays undecided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from topside_agent.correction.piece import Integers
    from topside_agent.correction.timeline import Timeline

_NEVER = 2**62
_MOST_FALLS = 64
"""Falls kept for each cut; more of them than this decide nothing."""
_TOLERANCE_NS = 1_000_000_000
"""How far a fall may exceed the step that explains it: errors of both, and rows stamped late."""


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
        self._falls: list[list[int]] = [[] for _ in range(timeline.cuts)]
        self._unsure: set[int] = set()
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
            cuts = range(int(first_earlier[place]), int(last[place]))
            self._note_fall(place, [c for c in cuts if self._explains(c, earlier[place], pi_ns[place])])

    def _note_fall(self, place: int, cuts: list[int]) -> None:
        """A fall that one cut alone explains shows where that cut is; one that none explains, disorder."""
        self._disorder |= not cuts
        if len(cuts) > 1:
            self._unsure.update(cuts)
        for cut in cuts:
            if len(self._falls[cut]) <= _MOST_FALLS:
                self._falls[cut].append(self._count + place)

    def _explains(self, cut: int, before_ns: int, after_ns: int) -> bool:
        """Whether the clock's step at `cut` can have brought a row from `before_ns` to `after_ns`."""
        earlier, later = (
            span.piece.answer(at[span.holds(at)]).topside_ns
            for span, at in zip(
                self._timeline.spans[cut : cut + 2], np.array([[before_ns], [after_ns]]), strict=True
            )
        )
        return bool(earlier.size and later.size and later[0] >= earlier[0] - _TOLERANCE_NS)

    def boundaries(self) -> tuple[Integers, Integers]:
        """For each cut: rows below the first number lie before it, from the second on after it."""
        cuts = self._timeline.cuts
        not_before = np.maximum.accumulate(self._last_at_most)[:cuts] + 1
        not_after = np.minimum.accumulate(self._first_at_least[::-1])[::-1][1:]
        decided, over = np.minimum(not_before, not_after), np.maximum(not_before, not_after)
        for cut, falls in enumerate(self._falls):
            inside = [row for row in falls if decided[cut] <= row <= over[cut]]
            sure = not self._disorder and cut not in self._unsure and len(falls) <= _MOST_FALLS
            if inside and sure and not_before[cut] <= not_after[cut]:
                decided[cut], over[cut] = inside[0], inside[-1]
        return decided, over

    def allowed(self, begin: int, count: int) -> tuple[Integers, Integers]:
        """The first and the last possible piece of `count` rows from row `begin` on."""
        decided, over = self.boundaries()
        rows = np.arange(begin, begin + count)
        over = np.minimum.accumulate(over[::-1])[::-1]
        decided = np.maximum.accumulate(decided)
        least = np.searchsorted(over, rows, side="right")
        greatest = np.searchsorted(decided, rows, side="right")
        return least.astype(np.int64), greatest.astype(np.int64)
