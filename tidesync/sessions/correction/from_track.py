"""The timeline of a track: its segments, inverted, and what the clock may have shown at the cuts between."""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.interpolation import Interpolation, Knots
from tidesync.sessions.correction.timeline import UNKNOWN_NS, Timeline, TimelineSegment
from tidesync.sessions.correction.unexplained import FASTEST_SLEW, JUMP_NS, may_be_slewed
from topside_agent.estimator import Rows

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
    Assumption: in the silence in which a clock was set it was not also slewed, by seconds, the other way.
    Only a clock history shows that.
    """
    read = readings or {}
    groups = _by_segment(rows)
    fastest = 1 + 2 * (limits.rate + limits.slew)
    elapsed_ns = [
        _elapsed_ns(before[-1], after[0], topside_raw_ns, read) for before, after in pairwise(groups)
    ]
    cuts_ns = [round(elapsed * fastest) for elapsed in elapsed_ns]
    slewing = [
        _may_be_slewed(before[-1], after[0], elapsed, read, limits)
        for (before, after), elapsed in zip(pairwise(groups), elapsed_ns, strict=True)
    ]
    slewing = [False, *slewing, False]
    unknown = [_is_unknown(before[-1], after[0], topside_raw_ns, read) for before, after in pairwise(groups)]
    unheard_ns = [0, *(UNKNOWN_NS if each else cut for each, cut in zip(unknown, cuts_ns, strict=True)), 0]
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
        first_ns, last_ns = group[0].pi_unix_ns - before, group[-1].pi_unix_ns + after
        cut_before, cut_after = (each or not limits.promised for each in inner)
        unheard = unheard_ns[index], unheard_ns[index + 1]
        segments.append(TimelineSegment(within, first_ns, last_ns, cut_before, cut_after, unheard_ns=unheard))
    return Timeline(segments, limits)


def _by_segment(rows: Sequence[Row]) -> list[Rows]:
    """The valid rows, split at cuts and at ambiguous rows; Pi time rises in each group.

    A segment without a valid row has its ambiguous ones: what the clock showed then is not another's.
    """
    listed = Rows.of(rows)
    valid = set(listed.in_states("ok", "holdover").column("segment").tolist())
    if not valid:
        return []
    groups: list[array[int]] = []
    before = kept = None
    for place, row in enumerate(listed):
        if row.state not in {"ok", "holdover"} and row.segment in valid:
            before = None if row.state == "ambiguous" else before
            continue
        if before is None or row.segment != before.segment:
            if before is not None and len(groups[-1]) > 1:
                groups[-1].pop()  # the clock may have been set after its last stamp, before the pong arrived
            groups.append(array("q"))
            kept = None
        if kept is None or _follows(row, kept):
            groups[-1].append(place)
            kept = row
        before = row
    return [listed.at(np.array(group, dtype=np.int64)) for group in groups]


def _follows(row: Row, before: Row) -> bool:
    return (
        row.topside_unix_ns > before.topside_unix_ns
        and row.topside_unix_ns + row.offset_ns > before.topside_unix_ns + before.offset_ns
    )


def _knots(rows: Rows) -> Knots:
    return Knots(
        rows.column("topside_unix_ns"),
        rows.column("offset_ns"),
        rows.column("lower_ns"),
        rows.column("upper_ns"),
        np.array([row.state == "holdover" for row in rows]),
        rows.u95_ns,
    )


def _elapsed_ns(
    before: Row, after: Row, topside_raw_ns: Mapping[int, int], read: Mapping[int, Reading]
) -> int:
    """The longest time from `before` to `after`: that on a RAW clock whose realtime was not set meanwhile.

    A RAW clock stops while its machine sleeps, and one of another boot says nothing. So where both realtimes
    jumped, it may be as long as the longest that any of the four clocks shows.
    Too short if both machines slept or booted, and both were set back: see `_is_unknown`.
    """
    rows = before, after
    readings = [read.get(row.topside_unix_ns) for row in rows]
    pi_raw = [
        None if each is None or each.pi_ns is None else row.pi_unix_ns - each.pi_ns
        for row, each in zip(rows, readings, strict=True)
    ]
    raw = _difference([topside_raw_ns.get(row.topside_unix_ns) for row in rows])
    passed = [
        (
            after.topside_unix_ns - before.topside_unix_ns,
            None if _rebooted(readings, "topside_boot") else raw,
        ),
        (
            after.pi_unix_ns - before.pi_unix_ns,
            None if _rebooted(readings, "pi_boot") else _difference(pi_raw),
        ),
    ]
    on_raw = [raw_ns for _, raw_ns in passed if raw_ns is not None]
    awake = any(raw_ns is not None and abs(real_ns - raw_ns) < JUMP_NS for real_ns, raw_ns in passed)
    return max(0, *on_raw, *(() if awake else (real_ns for real_ns, _ in passed)))


def _rebooted(readings: Sequence[Reading | None], side: str) -> bool:
    """Whether the two readings name different boots of a side."""
    first, second = (getattr(each, side, None) for each in readings)
    return first is not None and second is not None and first != second


def _is_unknown(
    before: Row, after: Row, topside_raw_ns: Mapping[int, int], read: Mapping[int, Reading]
) -> bool:
    """Whether no clock shows how long it was: the Pi booted, and topside did, or it slept or was set."""
    readings = [read.get(row.topside_unix_ns) for row in (before, after)]
    raw_ns = _difference([topside_raw_ns.get(row.topside_unix_ns) for row in (before, after)])
    passed_ns = after.topside_unix_ns - before.topside_unix_ns
    moved = raw_ns is not None and abs(passed_ns - raw_ns) >= JUMP_NS
    return _rebooted(readings, "pi_boot") and (moved or _rebooted(readings, "topside_boot"))


def _may_be_slewed(
    before: Row, after: Row, elapsed_ns: int, read: Mapping[int, Reading], limits: ClockLimits
) -> bool:
    """Whether a clock may have been slewed, and be slewed still, at the cut between two rows.

    Where the Pi's clock was read at neither, only the cut shows that it moved; that is a slew if the kernel's
    fastest explains it, unless the user promises another.
    """
    earlier, later = read.get(before.topside_unix_ns), read.get(after.topside_unix_ns)
    if any(each is not None and each.pi_ns is not None for each in (earlier, later)):
        return may_be_slewed(earlier, later, elapsed_ns)
    moved_ns = abs(after.offset_ns - before.offset_ns) - before.max_error_ns - after.max_error_ns
    return not limits.promised and moved_ns <= 2 * FASTEST_SLEW * elapsed_ns


def _difference(values: Sequence[int | None]) -> int | None:
    """From the first to the second where both are known and it rises."""
    first, second = values
    return None if first is None or second is None or second <= first else second - first


def _holdover_ns(end: Extrapolation, limits: ClockLimits) -> int:
    return round(end.reach_s(limits.max_error_ns) * 1e9)
