"""The timeline of a track: its segments, inverted, and what the clock may have shown at the cuts between."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.interpolation import Interpolation, Knots, u95_of
from tidesync.sessions.correction.timeline import Timeline, TimelineSegment
from tidesync.sessions.correction.unexplained import may_be_slewed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidesync.sessions.correction.clock_limits import ClockLimits
    from tidesync.sessions.correction.interpolation import Extrapolation
    from tidesync.sessions.correction.unexplained import Reading
    from topside_agent.estimator import Row


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
    held = np.array([row.state == "holdover" for row in rows])
    return Knots(topside, offset, lower, upper, held, u95_of(rows))


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
