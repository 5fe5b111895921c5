"""Which segments the runs of a table may belong to, by the cuts that are found between them.

Between two runs the rows go on, pause, show a cut of the clock, or nothing relates them. A cut shows if the
times change by its size, but for the few spacings that pass between two rows; in a reboot the time that the
vehicle was off may pass too. Runs that are related make a *chain*: its rows are in the order in which they
were recorded (or all in the reverse one), so segments never decrease, and rows before a cut belong to a
segment before it. Two shows of one cut in a chain contradict each other: the chain then decides nothing.
Nor does a chain without a jump against its direction: it may have been sorted by the Pi's time.

Assumption: no row is late by the size of a cut itself, within a few spacings, so that it fits among rows of
the other segment; and two sets of rows that were recorded apart do not by chance meet as a cut would have it.
Where that is likelier (the table has other runs that nothing relates; a reboot), the chain has to have rows
that only one segment can hold both before and after; at a full quarter of an hour, when logs are rotated, and
where the session has several cuts, whose sums and differences are more sizes to meet by, on one side.
"""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.timeline import UNKNOWN_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.runs import Breaks
    from tidesync.sessions.correction.timeline import TimelineSegment
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

GOES_ON, _PAUSE, CUT, UNRELATED = range(4)
_LONGEST_BREAK = 256
"""Rows: a longer one is no disorder of a few rows."""
LEAST_RUN = 12
"""Rows on either side of a cut."""
_LARGE = 8
"""A cut shows only if it is larger than so many spacings."""
_MOST_BACK, _MOST_AHEAD, _LONGEST_PAUSE, _LATEST = 4, 16, 64, 3
"""In spacings: a change of the times that is no cut, a pause, and how late the row after a cut may be."""
_QUARTER_NS = 900_000_000_000


class Transition(NamedTuple):
    """From one segment to a later one; `size_ns`: the least by which the clock was set."""

    old: int
    new: int
    size_ns: int
    prompt: bool
    """Whether no more time passed than a few spacings."""
    brief: bool
    """Whether it was short beside the size."""


class Runs:
    """The runs of a table, numbered from 0; `break_` n is between the runs n and n + 1."""

    def __init__(self, breaks: Breaks, rows: int, ends_ns: tuple[int, int]) -> None:
        self.breaks = breaks
        self.first = np.concatenate([[0], breaks.first])
        self.last = np.concatenate([breaks.last, [rows - 1]])
        self.begins_ns = np.concatenate([[ends_ns[0]], breaks.after_ns])
        self.ends_ns = np.concatenate([breaks.before_ns, [ends_ns[1]]])
        spacing = np.concatenate([[0], breaks.spacing_after]), np.concatenate([breaks.spacing_before, [0]])
        self.spacing_ns = np.maximum(*spacing)


class Decisions:
    """After it was made, `least` and `greatest` have the possible segments of every run."""

    def __init__(self, runs: Runs, segments: Sequence[TimelineSegment]) -> None:
        self._runs, self._segments = runs, segments
        self.least = np.zeros(runs.first.size, dtype=np.int64)
        self.greatest = np.full(runs.first.size, len(segments) - 1, dtype=np.int64)
        self._transitions: dict[int, list[Transition]] = {}
        self.kinds, self._unordered = self._related()
        self._hold_first = np.array([segment.holds(runs.begins_ns) for segment in segments])
        self._hold_last = np.array([segment.holds(runs.ends_ns) for segment in segments])
        ends = np.concatenate([[-1], np.flatnonzero(self.kinds == UNRELATED), [runs.first.size - 1]])
        for before, last in pairwise(np.unique(ends).tolist()):
            cuts = [cut for cut in range(before + 1, last) if self.kinds[cut] == CUT]
            if cuts:
                self._decide(before + 1, last, cuts)

    def _related(self) -> tuple[Integers, bool]:
        """What is between the runs, and whether there are unrelated ones that do not go on."""
        at, runs = self._runs.breaks, self._runs
        spacing = np.minimum(at.spacing_before, at.spacing_after)
        rows = at.first - at.last
        change = np.where(at.forward_before == 1, 1, -1) * (at.after_ns - at.before_ns)
        close = (at.forward_before == at.forward_after) & (rows <= _LONGEST_BREAK)
        close &= change >= -_MOST_BACK * spacing
        self._against = ~close
        kinds = np.full(rows.shape, UNRELATED, dtype=np.int64)
        kinds[close & (change <= (_LONGEST_PAUSE + 2 * rows) * spacing)] = _PAUSE
        kinds[close & (change <= (_MOST_AHEAD + 2 * rows) * spacing)] = GOES_ON
        length = runs.last - runs.first + 1
        maybe = (kinds > GOES_ON) & (at.forward_before == at.forward_after) & (rows <= _LONGEST_BREAK)
        maybe &= (length[:-1] >= LEAST_RUN) & (length[1:] >= LEAST_RUN)
        for place in np.flatnonzero(maybe).tolist():
            if found := self._possible(place, int(spacing[place]), int(rows[place])):
                self._transitions[place] = found
                kinds[place] = CUT
        return kinds, bool(((kinds == UNRELATED) & ~close).any())

    def _possible(self, place: int, spacing_ns: int, rows: int) -> list[Transition]:
        """The transitions of the clock that may be at a break."""
        at = self._runs.breaks
        old_ns, new_ns = int(at.before_ns[place]), int(at.after_ns[place])
        if not at.forward_before[place]:
            old_ns, new_ns = new_ns, old_ns
        before, after = self._instants(old_ns), self._instants(new_ns)
        found, unknown = [], []
        for old, new in product(before, after):
            if old >= new:
                continue
            earlier, later = before[old], after[new]
            if earlier is None or later is None:
                unknown.append(Transition(old, new, UNKNOWN_NS, prompt=True, brief=True))
                continue
            passed_ns, error_ns = later[0] - earlier[0], earlier[1] + later[1]
            size_ns = min(abs(new_ns - old_ns - passed_ns), self._least_cut(old, new))
            if size_ns < _LARGE * spacing_ns or error_ns > _MOST_BACK * spacing_ns:
                continue
            prompt = passed_ns <= (rows + _LATEST) * spacing_ns + error_ns
            near_ns = _MOST_BACK * spacing_ns + error_ns
            near = new == old + 1 and old_ns >= self._segments[old].interpolation.last_ns - near_ns
            near &= new_ns <= self._segments[new].interpolation.first_ns + near_ns
            if passed_ns >= -spacing_ns - error_ns and (prompt or near):
                brief = prompt or _LARGE * passed_ns <= size_ns
                found.append(Transition(old, new, size_ns, prompt, brief))
        return [*found, *unknown] if found else []

    def _least_cut(self, old: int, new: int) -> int:
        """The least distance by which the clock was set between two segments, ns; 0 if one is not known."""
        offsets = []
        for segment in self._segments[old : new + 1] if new > old + 1 else ():
            middle_ns = (segment.interpolation.first_ns + segment.interpolation.last_ns) // 2
            found = segment.interpolation.instants(np.array([middle_ns]))
            if found.undecided.any():
                return 0
            offsets.append(middle_ns - int(found.topside_ns[0]))
        return min((abs(one - other) for one, other in pairwise(offsets)), default=UNKNOWN_NS)

    def _instants(self, pi_ns: int) -> dict[int, tuple[int, int] | None]:
        """The topside instant of a time and its error in each segment that holds it; None: undecided."""
        times = np.array([pi_ns])
        found: dict[int, tuple[int, int] | None] = {}
        for index, segment in enumerate(self._segments):
            if segment.holds(times).all():
                instants = segment.interpolation.instants(times)
                error_ns = int(min(float(instants.max_error_ns[0]), 2.0**60))
                known = int(instants.topside_ns[0]), error_ns
                found[index] = None if instants.undecided.any() else known
        return found

    def _decide(self, first: int, last: int, cuts: Sequence[int]) -> None:
        """Decide a chain from its first to its last run, by the cuts at these breaks."""
        at = self._runs.breaks
        forward = bool(at.forward_before[cuts[0]])
        order = list(range(first, last + 1)) if forward else list(range(last, first - 1, -1))
        if not forward:
            cuts = cuts[::-1]
        if not any(self._against[cut] for cut in cuts):
            return
        places = {min(runs): number for number, runs in enumerate(pairwise(order))}
        feasible = self._feasible(order, forward=forward)
        known = np.array([self._known(run) for run in order])
        first_cut, last_cut = places[cuts[0]], places[cuts[-1]]
        begun, ended = bool(known[: first_cut + 1].any()), bool(known[last_cut + 1 :].any())
        several = len(self._segments) > 2  # noqa: PLR2004 - one cut
        certain = begun and ended if self._doubtful(cuts) else begun or ended or not several
        if feasible is None or not certain:
            return
        if self._rotated(cuts) and not self._apart(
            (order[0], order[-1]), (cuts[0], cuts[-1]), (begun, ended)
        ):
            return
        for cut in cuts:
            least, greatest = max(old for old, *_ in feasible[cut]), min(new for _, new, *_ in feasible[cut])
            if least >= greatest:
                continue
            size_ns = min(each.size_ns for each in feasible[cut])
            number = places[cut]
            before = self._reach(order[number::-1], known[number::-1], size_ns)
            after = self._reach(order[number + 1 :], known[number + 1 :], size_ns)
            self.greatest[before] = np.minimum(self.greatest[before], least)
            self.least[after] = np.maximum(self.least[after], greatest)

    def _doubtful(self, cuts: Sequence[int]) -> bool:
        """Whether runs may have met by chance as these cuts would have it."""
        found = [each for cut in cuts for each in self._transitions[cut]]
        brief, prompt = all(each.brief for each in found), all(each.prompt for each in found)
        return not brief or (self._unordered and not (prompt and len(cuts) > 1))

    def _rotated(self, cuts: Sequence[int]) -> bool:
        """Whether any of the cuts is where logs are rotated."""
        at = self._runs.breaks
        times = np.concatenate([at.before_ns[list(cuts)], at.after_ns[list(cuts)]])
        spacing = np.concatenate([at.spacing_before[list(cuts)], at.spacing_after[list(cuts)]])
        to_quarter = np.abs((times + _QUARTER_NS // 2) % _QUARTER_NS - _QUARTER_NS // 2)
        return bool((to_quarter <= _LATEST * spacing).any())

    def _apart(self, runs: tuple[int, int], cuts: tuple[int, int], known: tuple[bool, bool]) -> bool:
        """Whether the chain is not of two logs that begin or end alike, as two of the same hour do.

        An end of the chain at which a segment is known is that of no such log; one end at least has to be.
        """
        at, times = self._runs.breaks, self._runs
        forward = bool(at.forward_before[cuts[0]])
        ends = times.begins_ns[runs[0]], times.ends_ns[runs[1]]
        seams = at.after_ns[cuts[0]], at.before_ns[cuts[1]]
        if not forward:
            ends = times.ends_ns[runs[0]], times.begins_ns[runs[1]]
            seams = at.before_ns[cuts[0]], at.after_ns[cuts[1]]
        spacing = max(int(at.spacing_before[cut]) for cut in cuts)
        elsewhere = [
            abs(int(end) - int(seam)) > _LATEST * spacing for end, seam in zip(ends, seams, strict=True)
        ]
        return any(known) and all(one or other for one, other in zip(known, elsewhere, strict=True))

    def _known(self, run: int) -> bool:
        """Whether only one segment holds its first or its last row."""
        return bool(self._hold_first[:, run].sum() == 1 or self._hold_last[:, run].sum() == 1)

    def _reach(self, order: Sequence[int], known: Flags, size_ns: int) -> list[int]:
        """The runs to which a cut's evidence reaches, from the one beside it away.

        A pause ends it, unless a run beyond it is known; so does a spacing that is not small beside the cut.
        """
        beyond = np.logical_or.accumulate(known[::-1])[::-1]
        reached: list[int] = []
        for number, run in enumerate(order):
            paused = number > 0 and self.kinds[min(run, order[number - 1])] == _PAUSE
            if (paused and not beyond[number]) or _LARGE * self._runs.spacing_ns[run] > size_ns:
                break
            reached.append(run)
        return reached

    def _feasible(self, order: Sequence[int], *, forward: bool) -> dict[int, list[Transition]] | None:
        """The transitions at each cut that some sequence of segments through the whole chain has."""
        hold_enter, hold_leave = (self._hold_first, self._hold_last)[:: 1 if forward else -1]
        reached: list[Flags] = []
        enter = hold_enter[:, order[0]]
        for before, run in pairwise([-1, *order]):
            if before >= 0:
                enter = hold_enter[:, run] & self._next(reached[-1], min(before, run))
            reached.append(hold_leave[:, run] & np.logical_or.accumulate(enter))
        feasible: dict[int, list[Transition]] = {}
        leave = reached[-1]
        for number in range(len(order) - 1, 0, -1):
            run, break_ = order[number], min(order[number], order[number - 1])
            enter = hold_enter[:, run] & _from_later(leave)
            if self.kinds[break_] == CUT:
                feasible[break_] = [
                    each
                    for each in self._transitions[break_]
                    if reached[number - 1][each.old] and enter[each.new]
                ]
                leave = np.isin(np.arange(enter.size), [each.old for each in feasible[break_]])
            else:
                leave = reached[number - 1] & _from_later(enter)
            if not leave.any():
                return None
        return feasible

    def _next(self, reached: Flags, break_: int) -> Flags:
        """The segments in which the clock may be after a break."""
        if self.kinds[break_] != CUT:
            found: Flags = np.logical_or.accumulate(reached)
            return found
        new = [each.new for each in self._transitions[break_] if reached[each.old]]
        return np.isin(np.arange(reached.size), new)


def _from_later(possible: Flags) -> Flags:
    """The segments from which a possible one is reached, itself or a later one."""
    found: Flags = np.logical_or.accumulate(possible[::-1])[::-1]
    return found
