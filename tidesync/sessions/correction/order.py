"""Which segment a row may belong to by its place in the file: Pi times repeat after a backward step.

Rows are taken to be in the order in which they were recorded, so their segments never decrease. A row that
only one segment can hold decides for all rows before or after it; where the Pi's time jumps back from one row
to the next, there is a cut between them. What remains undecided is ambiguous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tidesync.sessions.correction.interpolation import Instants
    from tidesync.sessions.correction.timeline import Corrections, Timeline
    from topside_agent.estimator.blocks import Integers

_NEVER = 2**62
_TOLERANCE_NS = 1_000_000_000
"""How far a jump back may exceed the step that explains it: errors of both, and rows stamped late."""

Transition = tuple[int, int]
"""From one segment to a later one."""


class RowCorrector:
    """Corrects the rows of a table, batch by batch in their order; those without a timestamp are left out.

    Where the vehicle's clock was cut, the whole table has to be passed to `note` before the first `correct`.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._order = RowOrder(timeline)
        self._corrected = 0

    @property
    def passes(self) -> int:
        """How often the table has to be read."""
        return 2 if self._timeline.cuts else 1

    def note(self, pi_ns: Integers) -> None:
        """Take the next rows' Pi timestamps in the first pass."""
        self._order.note(pi_ns)

    def correct(self, pi_ns: Integers) -> Corrections:
        """The corrections of the next rows."""
        allowed = self._order.allowed(self._corrected, pi_ns.size)
        self._corrected += pi_ns.size
        return self._timeline.correct(pi_ns, *allowed)


class RowOrder:
    """After all rows have been passed to `note`, `allowed` has each row's first and last possible segment.

    Rows are counted from 0. Memory grows with the number of cuts only.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        segments = len(timeline.segments)
        self._count = 0
        self._before: tuple[int, int] | None = None
        self._last_at_most = np.full(segments, -1, dtype=np.int64)
        self._first_at_least = np.full(segments, _NEVER, dtype=np.int64)
        self._jumps: list[tuple[int, list[Transition]]] = []
        """Rows before which the Pi's time jumps back, and the transitions that explain it."""
        self._disorder = False
        """A jump back that no step explains: the rows are not in the order in which they were recorded."""

    def note(self, pi_ns: Integers) -> None:
        """Take the next rows' timestamps."""
        if not pi_ns.size:
            return
        first, last = self._timeline.extremes(pi_ns)
        rows = np.arange(self._count, self._count + pi_ns.size)
        known = last >= 0
        np.maximum.at(self._last_at_most, last[known], rows[known])
        np.minimum.at(self._first_at_least, first[known], rows[known])
        self._note_jumps(pi_ns, first, last)
        self._count += pi_ns.size
        self._before = int(pi_ns[-1]), int(first[-1])

    def _note_jumps(self, pi_ns: Integers, first: Integers, last: Integers) -> None:
        before, first_before = self._before or (int(pi_ns[0]), int(first[0]))
        earlier = np.concatenate([[before], pi_ns[:-1]])
        first_earlier = np.concatenate([[first_before], first[:-1]])
        back = (pi_ns < earlier) & (first_earlier < len(self._timeline.segments)) & (last >= 0)
        self._disorder |= bool((back & (first_earlier >= last)).any())
        for place in np.flatnonzero(back & (first_earlier < last)).tolist():
            if len(self._jumps) <= self._timeline.cuts:  # one more than there are cuts shows disorder
                segments = range(int(first_earlier[place]), int(last[place]) + 1)
                transitions = self._transitions(segments, int(earlier[place]), int(pi_ns[place]))
                self._jumps.append((self._count + place, transitions))

    def _transitions(self, segments: range, before_ns: int, after_ns: int) -> list[Transition]:
        """The possible transitions of the clock between two rows, across one or more cuts at once."""
        old, new = (
            {
                index: self._timeline.segments[index].interpolation.instants(at)
                for index in segments
                if self._timeline.segments[index].holds(at).all()
            }
            for at in (np.array([before_ns]), np.array([after_ns]))
        )
        return [
            (index, later)
            for index, earlier in old.items()
            for later, found in new.items()
            if index < later and not _too_early(earlier, found)
        ]

    def boundaries(self) -> tuple[Integers, Integers]:
        """For each cut: rows below the first number are before it, rows from the second on are after it."""
        cuts = self._timeline.cuts
        not_before = np.maximum.accumulate(self._last_at_most)[:cuts] + 1
        not_after = np.minimum.accumulate(self._first_at_least[::-1])[::-1][1:]
        decided, over = np.minimum(not_before, not_after), np.maximum(not_before, not_after)
        for cut, row in self._located(not_before, not_after).items():
            decided[cut] = over[cut] = row
        return decided, over

    def _located(self, not_before: Integers, not_after: Integers) -> dict[int, int]:
        """The cuts that are at one certain jump, whichever sequence of transitions the clock has made.

        A transition may follow another if it begins at a segment not before that where the other ends. So it
        suffices to know the earliest segment in which the jumps before can end, and the latest one in which
        the jumps after can begin.
        """
        jumps = [
            (row, [each for each in transitions if _fits(each, row, not_before, not_after)])
            for row, transitions in self._jumps
        ]
        earliest, latest = [0], [self._timeline.cuts]
        for _, transitions in jumps:
            earliest.append(min((new for old, new in transitions if old >= earliest[-1]), default=_NEVER))
        for _, transitions in reversed(jumps):
            latest.append(max((old for old, new in transitions if new <= latest[-1]), default=-1))
        if self._disorder or earliest[-1] == _NEVER:
            return {}
        located: dict[int, int] = {}
        for (row, transitions), least, greatest in zip(jumps, earliest, latest[-2::-1], strict=False):
            possible = [(old, new) for old, new in transitions if old >= least and new <= greatest]
            certain = range(max(old for old, _ in possible), min(new for _, new in possible))
            located |= dict.fromkeys(certain, row)
        return located

    def allowed(self, begin: int, count: int) -> tuple[Integers, Integers]:
        """The first and the last possible segment of `count` rows from row `begin` on."""
        decided, over = self.boundaries()
        rows = np.arange(begin, begin + count)
        over = np.minimum.accumulate(over[::-1])[::-1]
        decided = np.maximum.accumulate(decided)
        least = np.searchsorted(over, rows, side="right")
        greatest = np.searchsorted(decided, rows, side="right")
        return least.astype(np.int64), greatest.astype(np.int64)


def _too_early(before: Instants, after: Instants) -> bool:
    """Whether the second instant is certainly before the first; an undecided one may be anywhere."""
    if before.undecided[0] or after.undecided[0]:
        return False
    return bool(after.topside_ns[0] < before.topside_ns[0] - _TOLERANCE_NS)


def _fits(transition: Transition, row: int, not_before: Integers, not_after: Integers) -> bool:
    """Whether the clock can have made the transition just before `row`, by the rows that decide alone."""
    old, new = transition
    return bool((not_before[:new] <= row).all() and (not_after[old:] >= row).all())
