"""Which segments a row may belong to by its place in the table: Pi times repeat after a backward step.

The order of rows is evidence only where it is consistent: runs.py finds the runs of rows that follow each
other, chains.py the cuts of the clock that show between them. A cut that shows decides the runs around it as
far as they are related; nothing else decides, and what remains undecided is ambiguous. So tables may be
newest first, several logs one after another, or shuffled, with late, swapped and doubled rows.

Assumption: that of chains.py. Within a few rows of a break nothing is decided: there a row may be out of
place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.chains import Decisions, Runs
from tidesync.sessions.correction.runs import RunFinder
from tidesync.sessions.correction.silences import has_silences, stamped_in_silence
from tidesync.sessions.correction.timeline import AMBIGUOUS, NO_U95, Corrections

if TYPE_CHECKING:
    from tidesync.sessions.correction.silences import Rows
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

_MARGIN = 3
"""Rows at either end of a run that stay undecided."""


class RowCorrector:
    """Corrects the rows of a table, batch by batch in their order; those without a timestamp are left out.

    Where `passes` is 2, the whole table has to be passed to `note` before the first `correct`.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._order = RowOrder(timeline)

    @property
    def passes(self) -> int:
        """How often the table has to be read: twice where the Pi's times repeat, or may have."""
        return 2 if self._timeline.repeats or has_silences(self._timeline.segments) else 1

    @property
    def decided(self) -> bool:
        """Whether the order of rows decided any segment; only after a `correct`."""
        return self._order.decided

    def note(self, pi_ns: Integers) -> None:
        """Take the next rows' Pi timestamps in the first pass."""
        self._order.note(pi_ns)

    def correct(self, pi_ns: Integers, coarser: tuple[Timeline, Integers] | None = None) -> Corrections:
        """The corrections of the next rows.

        `coarser`, where some are written in longer steps than the table's others: the timeline of exact
        timestamps, and each row's step, ns (0: the table's).
        """
        least, greatest, unheard = self._order.allowed(pi_ns)
        found = self._timeline.correct(pi_ns, least, greatest)
        if coarser is not None:
            self._coarsen(found, pi_ns, coarser, least, greatest)
        void = unheard & found.known
        for column, value in zip(found, (0, 0, AMBIGUOUS, NO_U95), strict=True):
            column[void] = value
        return found

    def _coarsen(
        self,
        found: Corrections,
        pi_ns: Integers,
        coarser: tuple[Timeline, Integers],
        least: Integers,
        greatest: Integers,
    ) -> None:
        """Put the corrections of coarser rows in the place of theirs in `found`."""
        exact, steps_ns = coarser
        for step_ns in np.unique(steps_ns[steps_ns > 0]).tolist():
            rows = np.flatnonzero(steps_ns == step_ns)
            part = Corrections(*(column[rows] for column in found))
            wide = exact.coarsened(part, pi_ns[rows], step_ns, least[rows], greatest[rows])
            for column, values in zip(found, wide, strict=True):
                column[rows] = values


class RowOrder:
    """After all rows have been passed to `note`, `allowed` has each row's first and last possible segment.

    It also says which rows were stamped in a silence, after the clock had been set (silences.py). Rows that
    no segment can hold do not count. Memory is bounded by runs.MOST_BREAKS.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._finder = RunFinder()
        self._decided: tuple[Integers, Integers, Integers, Integers] | None = None
        self._silent: list[Rows] = []
        self._passed = 0

    def note(self, pi_ns: Integers) -> None:
        """Take the next rows' timestamps."""
        self._finder.note(pi_ns[self._counted(pi_ns)])

    @property
    def decided(self) -> bool:
        """Whether order decided anything, which rests on the assumption of chains.py."""
        return self._decided is not None and bool(self._decided[0].size)

    def _counted(self, pi_ns: Integers) -> Flags:
        counted = np.zeros(pi_ns.shape, dtype=bool)
        for segment in self._timeline.segments:
            counted |= segment.holds(pi_ns)
        return counted

    def allowed(self, pi_ns: Integers) -> tuple[Integers, Integers, Flags]:
        """The first and the last possible segment of the next rows, which are passed again.

        And whether nobody knows when they were stamped, whichever segment holds them.
        """
        if self._decided is None:
            self._decided = self._decide()
        least = np.zeros(pi_ns.shape, dtype=np.int64)
        greatest = np.full(pi_ns.shape, max(len(self._timeline.segments) - 1, 0), dtype=np.int64)
        unheard = np.zeros(pi_ns.shape, dtype=bool)
        begins, ends, run_least, run_greatest = self._decided
        if not begins.size and not self._silent:
            return least, greatest, unheard
        counted = np.flatnonzero(self._counted(pi_ns))
        rows = self._passed + np.arange(counted.size)
        self._passed += counted.size
        run = np.searchsorted(begins, rows, side="right") - 1
        inside = run >= 0
        inside[inside] = rows[inside] <= ends[run[inside]]
        least[counted[inside]] = run_least[run[inside]]
        greatest[counted[inside]] = run_greatest[run[inside]]
        for first, last, after_ns, before_ns in self._silent:
            here = counted[np.searchsorted(rows, first) : np.searchsorted(rows, last, side="right")]
            unheard[here] |= (pi_ns[here] > after_ns) & (pi_ns[here] < before_ns)
        return *self._timeline.consistent(pi_ns, least, greatest), unheard

    def _decide(self) -> tuple[Integers, Integers, Integers, Integers]:
        """First and last row, first and last possible segment of each run of which order decides anything."""
        breaks, finder = self._finder.breaks(), self._finder
        if finder.ends_ns is None or not breaks.last.size:
            return (np.zeros(0, dtype=np.int64),) * 4
        runs = Runs(breaks, finder.rows, finder.ends_ns)
        decisions = Decisions(runs, self._timeline.segments)
        self._silent = stamped_in_silence(runs, decisions.kinds, self._timeline.segments)
        begins, ends = runs.first + _MARGIN, runs.last - _MARGIN
        begins[0], ends[-1] = 0, finder.rows - 1
        narrowed = (decisions.least > 0) | (decisions.greatest < len(self._timeline.segments) - 1)
        narrowed &= begins <= ends
        return begins[narrowed], ends[narrowed], decisions.least[narrowed], decisions.greatest[narrowed]
