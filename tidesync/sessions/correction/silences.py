"""Rows that the Pi stamped in a silence after its clock had been set, as far as the order of rows shows it.

In a silence (`TimelineSegment.unheard_ns`) nobody read the Pi's clock: it may have been set, and booted after
it, or set several times, so that it showed once more what it had shown at another time. Such rows come right
after the last that a segment measured, or right before the first that the next one did; the times fall there,
and no cut of the clock explains that. Until the times rise above what they fell from, or the silence is over,
nobody knows when the rows were stamped. Nor of those before any such fall that follow the last one measured.
Where the Pi booted, and topside booted too or may have slept and been set, no clock shows how long the
silence was: of rows between those of both segments, with such a jump among them, none is answered that either
did not measure.

Assumptions: the table has rows on both sides of such a fall, which is larger than a few spacings, and is in
the order of stamping but for a few falls: the order of a shuffled table shows nothing. A longer log that
begins there was stamped elsewhere.
"""

from __future__ import annotations

from collections import deque
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.chains import CUT, GOES_ON, LEAST_RUN, UNRELATED
from tidesync.sessions.correction.timeline import UNKNOWN_NS
from tidesync.sessions.correction.unexplained import LONGEST_KNOWN_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidesync.sessions.correction.chains import Runs
    from tidesync.sessions.correction.timeline import TimelineSegment
    from topside_agent.estimator.blocks import Integers

_SHORTEST_NS = round(LONGEST_KNOWN_S * 1e9)
_FEW, _NEAR = 4, 64
"""In spacings: a change of the times that is no fall; how near to a silence the row beside it is."""

_MOST_ROWS_APART = 16
"""Two rows of a table that has an order are less than such a part of its times apart."""
_MOST_FALLS = 4
"""With more unexplained falls for each silence, and as many besides, a table has no order."""


class Rows(NamedTuple):
    """From a first to a last row those stamped after and before two times of the Pi's clock."""

    first: int
    last: int
    after_ns: int = -UNKNOWN_NS
    before_ns: int = UNKNOWN_NS


class _Silence(NamedTuple):
    """What a segment measured until `ends_ns`, and the next one from `begins_ns` on, on the Pi's clock."""

    ends_ns: int
    begins_ns: int
    until_ns: int
    """What the clock of the one may have shown at the latest, and"""
    since_ns: int
    """that of the other at the earliest, if it was not set."""
    longest_ns: int

    @property
    def is_unknown(self) -> bool:
        """Whether no clock shows how long it was."""
        return self.longest_ns == UNKNOWN_NS

    def beside(self, at: _Change, old: _Stretch, new: _Stretch) -> tuple[bool, bool]:
        """Whether rows that follow each other leave what was measured before, or enter what was after it."""
        return self.leaves(at) and old.follow_each_other, self.enters(at) and new.follow_each_other

    def run_beyond(self, at: _Change, old: _Stretch, new: _Stretch) -> tuple[bool, bool]:
        """Whether rows go on after the last measured one, or reach the first one, of an unknown length."""
        if not self.is_unknown or at.explained:
            return False, False
        runs_on = old.begins_ns <= self.ends_ns <= at.old_ns
        runs_in = at.new_ns <= self.begins_ns <= new.ends_ns
        return runs_on and old.follow_each_other, runs_in and new.follow_each_other

    def leaves(self, at: _Change) -> bool:
        """Whether the row before may be the last one before the silence, or in it."""
        return self.ends_ns - at.near_ns <= at.old_ns <= self.until_ns + at.near_ns

    def enters(self, at: _Change) -> bool:
        """Whether the row after may be the first one after it, or in it."""
        return self.since_ns - at.near_ns <= at.new_ns <= self.begins_ns + at.near_ns


class _Stretch(NamedTuple):
    """Rows that follow each other; the times at which the first and the last of them was stamped."""

    rows: tuple[int, int]
    begins_ns: int
    ends_ns: int

    @property
    def follow_each_other(self) -> bool:
        """Whether there are enough rows to show that they do."""
        return self.rows[1] - self.rows[0] + 1 >= LEAST_RUN


class _Change(NamedTuple):
    """Between the stretch `number` and the next, in the order of stamping."""

    number: int
    old_ns: int
    new_ns: int
    near_ns: int
    few_ns: int
    between: tuple[int, int]
    """Rows between the two, that are of neither."""
    falls: bool
    explained: bool
    """Whether a cut of the clock explains it."""
    greatest_ns: int
    least_ns: int
    """Of both rows and those between."""

    @property
    def hidden(self) -> _Change:
        """The fall that the rows between may hide: they follow the one row, and then there is a pause."""
        old_ns = self.greatest_ns if self.greatest_ns > self.new_ns + self.few_ns else self.old_ns
        new_ns = self.least_ns if self.least_ns < self.old_ns - self.few_ns else self.new_ns
        falls = new_ns < old_ns - self.few_ns
        return self._replace(old_ns=old_ns, new_ns=new_ns, falls=falls, explained=False)


def has_silences(segments: Sequence[TimelineSegment]) -> bool:
    """Whether the clock may have been set while nobody read it, beyond what a cut shows."""
    return bool(_silences(segments))


def stamped_in_silence(runs: Runs, kinds: Integers, segments: Sequence[TimelineSegment]) -> list[Rows]:
    """Those of a table, by their place in it; `kinds` are those of its breaks (chains.py)."""
    silences, found = _silences(segments), list[Rows]()
    for forward in (True, False) if silences else ():
        stretches, changes = _stretches(runs, kinds, forward=forward)
        unexplained = sum(change.falls and not change.explained for change in changes)
        for silence in silences if unexplained <= _MOST_FALLS * (1 + len(silences)) else ():
            found += _in_silence(stretches, changes, silence)
    return sorted({rows for rows in found if rows.first <= rows.last})


def _silences(segments: Sequence[TimelineSegment]) -> list[_Silence]:
    own = [segment for segment in segments if not segment.foreign]
    found = []
    for before, after in pairwise(own):
        longest_ns = max(before.unheard_ns[1], after.unheard_ns[0])
        ends_ns, begins_ns = before.interpolation.last_ns, after.interpolation.first_ns
        until_ns, since_ns = ends_ns + before.unheard_ns[1], begins_ns - after.unheard_ns[0]
        if longest_ns == UNKNOWN_NS:
            measured = [(each.interpolation.first_ns, each.interpolation.last_ns) for each in own]
            until_ns = min((first for first, _ in measured if first > ends_ns), default=UNKNOWN_NS)
            since_ns = max((last for _, last in measured if last < begins_ns), default=-UNKNOWN_NS)
        if longest_ns > _SHORTEST_NS:
            found.append(_Silence(ends_ns, begins_ns, until_ns, since_ns, longest_ns))
    return found


def _stretches(runs: Runs, kinds: Integers, *, forward: bool) -> tuple[list[_Stretch], list[_Change]]:
    """The stretches of a table and what is between them, both in the order of stamping.

    `forward`: whether the rows there were stamped in the order of the table, or else in the reverse one.
    """
    at = runs.breaks
    apart = np.flatnonzero((kinds != GOES_ON) | (at.first - at.last > 1))
    first, last = np.concatenate([[0], apart + 1]), np.concatenate([apart, [runs.first.size - 1]])
    columns = np.stack([runs.first[first], runs.last[last], runs.begins_ns[first], runs.ends_ns[last]])
    stretches = [_Stretch((begin, end), *times) for begin, end, *times in columns.T.tolist()]
    ends_ns = np.concatenate([runs.begins_ns, runs.ends_ns])
    most_ns = int(ends_ns.max() - ends_ns.min()) // _MOST_ROWS_APART
    changes = []
    for number, place in enumerate(apart.tolist()):
        spacing = int(min(at.spacing_before[place], at.spacing_after[place]))
        times = int(at.before_ns[place]), int(at.after_ns[place])
        old_ns, new_ns = times if forward else times[::-1]
        of_order = bool(at.forward_before[place]) == forward or bool(at.forward_after[place]) == forward
        if of_order and spacing <= most_ns:
            between = int(at.last[place]) + 1, int(at.first[place]) - 1
            explained = bool(kinds[place] == CUT)
            falls = new_ns < old_ns - _FEW * spacing and (explained or kinds[place] == UNRELATED)
            near_ns = _NEAR * spacing, _FEW * spacing
            here = number if forward else len(apart) - 1 - number
            extremes = int(at.greatest_ns[place]), int(at.least_ns[place])
            changes.append(_Change(here, old_ns, new_ns, *near_ns, between, falls, explained, *extremes))
    if not forward:
        stretches = [_Stretch(rows, ends, begins) for rows, begins, ends in reversed(stretches)]
        changes.reverse()
    return stretches, changes


def _in_silence(
    stretches: Sequence[_Stretch], changes: Sequence[_Change], silence: _Silence
) -> Iterator[Rows]:
    passed_ns = [0, *accumulate(abs(each.ends_ns - each.begins_ns) for each in stretches)]
    left: deque[_Change] = deque()
    least_ns = -UNKNOWN_NS
    shown_ns: dict[int, int] = {}
    """The least that rows after a change show if the clock was not set, by its number."""
    entered: _Change | None = None
    for at in changes:
        old, new = stretches[at.number : at.number + 2]
        leaves, enters = silence.beside(at, old, new)
        if leaves or enters:
            yield Rows(*at.between)
        fall = at if at.falls else at.hidden
        if fall.falls and any(silence.beside(fall, old, new)):
            yield from _at_fall(stretches, fall, silence)
        runs_on, runs_in = silence.run_beyond(at, old, new)
        if runs_on and runs_in:
            yield Rows(*old.rows, after_ns=silence.ends_ns)
            yield Rows(*new.rows, before_ns=silence.begins_ns)
        since_ns = passed_ns[at.number + 1] - silence.longest_ns - at.near_ns
        while left and passed_ns[left[0].number + 1] < since_ns:
            left.popleft()
        if (enters or runs_in) and left:
            rising = entered is not None and entered.new_ns <= at.new_ns
            first = max(left[0].number, entered.number) if entered and rising else left[0].number
            yield from _within(stretches, (first, at), shown_ns, silence)
            entered = at
            if silence.is_unknown:
                yield Rows(*stretches[left[0].number].rows, after_ns=silence.ends_ns)
                if new.ends_ns >= silence.begins_ns:
                    yield Rows(*new.rows, before_ns=silence.begins_ns)
        if leaves or runs_on:
            left.append(at)
            least_ns = max(least_ns, min(at.old_ns - at.few_ns, silence.ends_ns))
        shown_ns[at.number] = least_ns


def _at_fall(stretches: Sequence[_Stretch], at: _Change, silence: _Silence) -> Iterator[Rows]:
    """Beside a fall that leaves what was measured before a silence, or enters what was after it."""
    yield Rows(*at.between)
    old, new = stretches[at.number], stretches[at.number + 1]
    if old.begins_ns <= silence.until_ns:
        yield Rows(*old.rows, after_ns=silence.ends_ns)
    if new.ends_ns >= silence.since_ns:
        yield Rows(*new.rows, before_ns=silence.begins_ns)
    leaves, enters = silence.leaves(at), silence.enters(at)
    unset = at.old_ns <= silence.until_ns + at.few_ns and at.new_ns >= silence.since_ns - at.few_ns
    if at.explained or (leaves and enters and unset):
        return
    for forward in {leaves, not enters}:
        first, last = at.between
        for rows in _beyond(stretches, at, silence, forward=forward):
            first, last = min(first, rows.first), max(last, rows.last)
            yield rows._replace(first=first, last=last)


def _within(
    stretches: Sequence[_Stretch],
    between: tuple[int, _Change],
    shown_ns: Mapping[int, int],
    silence: _Silence,
) -> Iterator[Rows]:
    """Between rows of both segments, those that neither clock shows if it was not set; those in no stretch.

    From a change on, by its number, until the one that enters the next segment. If it is not known for how
    long the silence ran, those that neither showed while it was read.
    """
    first, entered = between
    since_ns = shown_ns[first]
    for number in range(first, entered.number + 1):
        since_ns = shown_ns.get(number, since_ns)
        (before, *_), (rows, begins_ns, ends_ns) = stretches[number : number + 2]
        apart = Rows(min(before[1], rows[1]) + 1, max(before[0], rows[0]) - 1)
        if apart.first <= apart.last:
            yield apart
        if number == entered.number:
            return
        of_old = since_ns <= begins_ns and ends_ns <= silence.until_ns
        of_new = silence.since_ns <= begins_ns and ends_ns <= entered.new_ns + entered.few_ns
        if not (of_old or of_new):
            yield Rows(*rows)
        elif silence.is_unknown:
            yield from [Rows(*rows, after_ns=silence.ends_ns)] * of_old
            yield from [Rows(*rows, before_ns=silence.begins_ns)] * of_new


def _beyond(
    stretches: Sequence[_Stretch], fall: _Change, silence: _Silence, *, forward: bool
) -> Iterator[Rows]:
    """The rows from the fall on, or back from it, as long as they are beyond it and within the silence."""
    passed_ns = 0
    for number in range(fall.number + 1, len(stretches)) if forward else range(fall.number, -1, -1):
        rows, begins_ns, ends_ns = stretches[number]
        edge_ns = silence.begins_ns if forward else silence.ends_ns
        crosses = begins_ns <= edge_ns <= ends_ns
        since_ns, until_ns = (begins_ns, ends_ns) if forward else (ends_ns, begins_ns)
        passed_ns += abs((edge_ns if crosses else until_ns) - since_ns)
        beyond = begins_ns < fall.old_ns if forward else ends_ns > fall.new_ns
        if not beyond or passed_ns > silence.longest_ns + fall.near_ns:
            return
        if crosses:
            yield Rows(*rows, before_ns=edge_ns) if forward else Rows(*rows, after_ns=edge_ns)
            return
        yield Rows(*rows)
