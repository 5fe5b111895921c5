"""A vehicle's whole track, inverted: which segment a Pi timestamp belongs to, and its correction there.

A cut (step, reboot, suspend) lies somewhere between the last exchange of one segment and the first of the
next. A timestamp that the clock may have shown between those two is ambiguous. After a backward step one Pi
time belongs to several segments: the order of rows decides (order.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from tidesync.sessions.correction.interpolation import Interpolation, Knots
from tidesync.sessions.correction.unexplained import may_be_slewed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidesync.sessions.correction.clock_limits import ClockLimits
    from tidesync.sessions.correction.interpolation import Extrapolation, Instants
    from tidesync.sessions.correction.unexplained import Flags, Reading
    from topside_agent.estimator import Row
    from topside_agent.estimator.blocks import Floats, Integers

STATES = ("ok", "holdover", "ambiguous", "outside")
OK, HOLDOVER, AMBIGUOUS, OUTSIDE = range(4)


class Inverse(Protocol):
    """Corrects the Pi timestamps of one segment; measured ones are from `first_ns` to `last_ns`."""

    first_ns: int
    last_ns: int

    def instants(self, pi_ns: Integers) -> Instants:
        """The topside instants of `pi_ns`."""
        ...


class Corrections(NamedTuple):
    """For each timestamp its topside instant, the bound of its error (both ns) and its state (in STATES).

    The first two are valid only where the state is `ok` or `holdover`.
    """

    topside_ns: Integers
    max_error_ns: Integers
    state: Integers


@dataclass(frozen=True, slots=True)
class TimelineSegment:
    """Pi times (ns) that the clock may have shown in one segment: measured ones and a margin on either side.

    A margin that ends at a cut is ambiguous; so is one at an end of the track, unless the user promises that
    the clocks were not set there: then it is a holdover.
    """

    interpolation: Inverse
    from_ns: int
    to_ns: int
    cut_before: bool
    cut_after: bool

    def holds(self, pi_ns: Integers) -> Flags:
        """Which of `pi_ns` the clock may have shown in it."""
        return (pi_ns >= self.from_ns) & (pi_ns <= self.to_ns)

    def near_cut(self, pi_ns: Integers) -> Flags:
        """Which of them lie in a margin that ends at a cut."""
        before, after = pi_ns < self.interpolation.first_ns, pi_ns > self.interpolation.last_ns
        return (before & self.cut_before) | (after & self.cut_after)


class Timeline:
    """Corrects Pi timestamps by one vehicle's track."""

    def __init__(self, segments: Sequence[TimelineSegment], limits: ClockLimits) -> None:
        self.segments = _with_ends(segments)
        self._limits = limits

    @property
    def cuts(self) -> int:
        """How often the vehicle's clock was cut."""
        return max(len(self.segments) - 1, 0)

    @property
    def middle_ns(self) -> int:
        """A Pi time that was measured; it distinguishes seconds from milliseconds."""
        middle = self.segments[len(self.segments) // 2].interpolation
        return (middle.first_ns + middle.last_ns) // 2

    def extremes(self, pi_ns: Integers) -> tuple[Integers, Integers]:
        """The first and the last segment that may hold each timestamp; (number of segments, −1) if none."""
        first = np.full(pi_ns.shape, len(self.segments), dtype=np.int64)
        last = np.full(pi_ns.shape, -1, dtype=np.int64)
        for index, segment in enumerate(self.segments):
            holds = segment.holds(pi_ns)
            first[holds & (first > index)] = index
            last[holds] = index
        return first, last

    def correct(self, pi_ns: Integers, least: Integers, greatest: Integers) -> Corrections:
        """The corrections, each by a segment from `least` to `greatest` (what the order of rows allows)."""
        topside, error = np.zeros_like(pi_ns), np.zeros_like(pi_ns)
        state = np.full(pi_ns.shape, OUTSIDE, dtype=np.int64)
        candidates = np.zeros(pi_ns.shape, dtype=np.int64)
        for index, segment in enumerate(self.segments):
            holds = segment.holds(pi_ns) & (least <= index) & (index <= greatest)
            candidates += holds
            first = holds & (candidates == 1)
            if first.any():
                topside[first], error[first], state[first] = self._within(segment, pi_ns[first])
        state[candidates > 1] = AMBIGUOUS
        return Corrections(topside, error, state)

    def _within(self, segment: TimelineSegment, pi_ns: Integers) -> Corrections:
        found = segment.interpolation.instants(pi_ns)
        state = np.where(found.held, HOLDOVER, OK)
        state[found.max_error_ns > self._limits.max_error_ns] = OUTSIDE
        state[segment.near_cut(pi_ns) | found.undecided] = AMBIGUOUS
        error: Floats = np.minimum(found.max_error_ns, self._limits.max_error_ns)
        return Corrections(found.topside_ns, error.astype(np.int64), state)


def timeline(
    rows: Sequence[Row],
    topside_raw_ns: Mapping[int, int],
    limits: ClockLimits,
    readings: Mapping[int, Reading] | None = None,
) -> Timeline:
    """The timeline of a track.

    `topside_raw_ns` has topside's RAW clock at a row's `topside_unix_ns`, where it is known: it shows how
    long a cut was in which a wall clock was set. `readings` has what the exchange with that destination read.
    """
    read = readings or {}
    groups = _by_segment(rows)
    fastest = 1 + 2 * (limits.rate + limits.slew)
    elapsed_ns = [_elapsed_ns(before[-1], after[0], topside_raw_ns) for before, after in pairwise(groups)]
    cuts_ns = [round(elapsed * fastest) for elapsed in elapsed_ns]
    slewing = [
        may_be_slewed(read.get(before[-1].topside_unix_ns), read.get(after[0].topside_unix_ns), elapsed)
        for (before, after), elapsed in zip(pairwise(groups), elapsed_ns, strict=True)
    ]
    slewing = [False, *slewing, False]
    segments = []
    for index, group in enumerate(groups):
        within = Interpolation(
            _knots(group),
            limits,
            [read.get(row.topside_unix_ns) for row in group],
            slewing=(slewing[index], slewing[index + 1]),
        )
        inner = index > 0, index < len(groups) - 1
        before = (
            cuts_ns[index - 1] + group[0].max_error_ns if inner[0] else _holdover_ns(within.before, limits)
        )
        after = cuts_ns[index] + group[-1].max_error_ns if inner[1] else _holdover_ns(within.after, limits)
        first_ns, last_ns = within.first_ns - before, within.last_ns + after
        unknown = [each or not limits.promised for each in inner]
        segments.append(TimelineSegment(within, first_ns, last_ns, *unknown))
    return Timeline(segments, limits)


def _by_segment(rows: Sequence[Row]) -> list[list[Row]]:
    """The valid rows, split at cuts and at ambiguous rows; Pi time rises in each group."""
    groups: list[list[Row]] = []
    before: Row | None = None
    for row in rows:
        if row.state not in {"ok", "holdover"}:
            before = None if row.state == "ambiguous" else before
            continue
        if before is None or row.segment != before.segment:
            if before is not None and len(groups[-1]) > 1:
                groups[-1].pop()  # the clock may have been set after its last stamp, before the pong arrived
            groups.append([])
        if not groups[-1] or _follows(row, groups[-1][-1]):
            groups[-1].append(row)
        before = row
    return groups


def _follows(row: Row, before: Row) -> bool:
    return (
        row.topside_unix_ns > before.topside_unix_ns
        and row.topside_unix_ns + row.offset_ns > before.topside_unix_ns + before.offset_ns
    )


def _knots(rows: Sequence[Row]) -> Knots:
    columns = [(r.topside_unix_ns, r.offset_ns, r.lower_ns, r.upper_ns) for r in rows]
    topside, offset, lower, upper = np.array(columns, dtype=np.int64).T
    return Knots(topside, offset, lower, upper, np.array([row.state == "holdover" for row in rows]))


def _with_ends(segments: Sequence[TimelineSegment]) -> list[TimelineSegment]:
    """The segments; the first and the last also hold the times before and after them that others show.

    The clock may have shown those before the first and after the last measurement, too.
    """
    if not segments:
        return []
    made = list(segments)
    made[0] = replace(made[0], from_ns=min(segment.from_ns for segment in segments))
    made[-1] = replace(made[-1], to_ns=max(segment.to_ns for segment in segments))
    return made


def _elapsed_ns(before: Row, after: Row, topside_raw_ns: Mapping[int, int]) -> int:
    """The longest time from `before` to `after`.

    On topside's RAW clock; else the longer one of both wall clocks', of which one has been set.
    """
    raw = topside_raw_ns.get(before.topside_unix_ns), topside_raw_ns.get(after.topside_unix_ns)
    if raw[0] is not None and raw[1] is not None and raw[1] > raw[0]:
        return raw[1] - raw[0]
    topside = after.topside_unix_ns - before.topside_unix_ns
    return max(topside, topside + after.offset_ns - before.offset_ns, 0)


def _holdover_ns(end: Extrapolation, limits: ClockLimits) -> int:
    return round(end.reach_s(limits.max_error_ns) * 1e9)
