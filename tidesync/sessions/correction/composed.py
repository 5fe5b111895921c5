"""A Pi timestamp corrected through three relations: Pi realtime → Pi RAW → topside RAW → topside realtime.

The first and the last are each machine's own clock history (clock_function.py), the one between is that of
the RAW clocks (raw_groups.py), which no step and no slew touches. The error adds up what each contributes:

- Pi RAW is known within E₁ (the half-width of the history's piece).
- The RAW relation gives topside's RAW within E₂ for that instant; over E₁ it moves by less than 1.12·E₁.
- Topside's realtime rises, so it lies between its values at both ends of that, each within its half-width.

u95 adds up the RAW relation's own and, in full, both half-widths.

An instant that comes within its error of a step, a gap or a suspend is undecided.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.interpolation import Instants, Interpolation
from tidesync.sessions.correction.timeline import Timeline, TimelineSegment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidesync.sessions.correction.clock_function import ClockFunction, Lines
    from tidesync.sessions.correction.clock_limits import ClockLimits
    from tidesync.sessions.correction.raw_groups import Boot, RawGroup
    from topside_agent.estimator.blocks import Integers

_RATES = 1.12
"""More than any two clocks of two machines run apart."""
_HALF_NS = 2**61


class ComposedInterpolation:
    """Corrects Pi timestamps of one run of the Pi's clock by one group of the RAW relation.

    `topside_from_ns` and `topside_to_ns` are the RAW instants at which topside slept before and after.
    """

    def __init__(
        self,
        pi: Lines,
        raw: Interpolation,
        topside: Lines,
        *,
        first_ns: int,
        last_ns: int,
        topside_from_ns: int,
        topside_to_ns: int,
    ) -> None:
        self._pi, self._raw, self._topside = pi, raw, topside
        self._awake = topside_from_ns, topside_to_ns
        self.first_ns, self.last_ns = first_ns, last_ns

    def instants(self, pi_ns: Integers) -> Instants:
        """The topside instants of `pi_ns`."""
        pi_raw, pi_error = self._pi.raw_at(pi_ns)
        raw = self._raw.instants(pi_raw)
        reach = np.ceil(np.minimum(raw.max_error_ns + _RATES * pi_error, _HALF_NS / 4)).astype(np.int64)
        centre, _, run = self._topside.realtime_at(raw.topside_ns)
        low, low_width, low_run = self._topside.realtime_at(raw.topside_ns - reach)
        high, high_width, high_run = self._topside.realtime_at(raw.topside_ns + reach)
        undecided = raw.undecided | (run < 0) | (low_run != run) | (high_run != run)
        awake_from, awake_to = self._awake
        undecided |= (raw.topside_ns - reach < awake_from) | (raw.topside_ns + reach > awake_to)
        error = np.maximum(high + high_width - centre, centre - low + low_width) + 2
        width = np.maximum(low_width, high_width)
        u95 = np.minimum(_RATES * (raw.u95_ns + _RATES * pi_error) + width + 2, error)
        return Instants(centre, error.astype(np.float64), u95, raw.held, undecided)


def composed_timeline(
    groups: Sequence[RawGroup],
    pi: Mapping[Boot, ClockFunction],
    topside: Mapping[Boot, ClockFunction],
    limits: ClockLimits,
) -> Timeline:
    """The timeline of the groups, in which every run of the Pi's clock is a segment."""
    steady = replace(limits, slew=0.0)
    ends = [*pairwise([None, *groups]), (groups[-1], None)] if groups else []
    segments = []
    for index, group in enumerate(groups):
        clocks = pi[group.pi_boot], topside[group.topside_boot]
        raw = Interpolation(group.knots(), steady)
        awake = _awake(group, clocks)
        own = (
            max(awake[0][0], _pi_raw_at(raw, awake[1][0], after=False)),
            min(awake[0][1], _pi_raw_at(raw, awake[1][1], after=True)),
        )
        pi_range = _between(group, ends[index][0], ends[index + 1][1], own)
        segments += _segments(raw, *clocks, pi_range, awake[1])
    return Timeline(segments, limits)


def _segments(
    raw: Interpolation,
    pi: ClockFunction,
    topside: ClockFunction,
    pi_range: tuple[int, int],
    awake: tuple[int, int],
) -> list[TimelineSegment]:
    lines = pi.lines
    found = []
    for run in np.unique(lines.run).tolist():
        of_run = lines.of_run(run)
        first_raw, last_raw = int(of_run.from_raw[0]), int(of_run.to_raw[-1])
        begin, end = max(first_raw, pi_range[0]), min(last_raw, pi_range[1])
        if begin >= end:
            continue
        at_ends, widths, _ = of_run.realtime_at(np.array([begin, end]))
        # A step may follow at once, or at the next reading: what the clock may have shown until then.
        here = np.flatnonzero(lines.run == run)
        gap_before = first_raw - int(lines.to_raw[here[0] - 1]) if here[0] else 0
        gap_after = int(lines.from_raw[here[-1] + 1]) - last_raw if here[-1] + 1 < lines.run.size else 0
        margins = (
            gap_before if begin == first_raw else 0,
            gap_after if end == last_raw else 0,
        )
        low, high = (int(each) for each in at_ends)
        low_width, high_width = (int(each) for each in widths)
        within = ComposedInterpolation(
            of_run,
            raw,
            topside.lines,
            first_ns=low + low_width,
            last_ns=high - high_width,
            topside_from_ns=awake[0],
            topside_to_ns=awake[1],
        )
        first_ns = low - low_width - round(_RATES * margins[0])
        last_ns = high + high_width + round(_RATES * margins[1])
        found.append(TimelineSegment(within, first_ns, last_ns, cut_before=True, cut_after=True))
    return found


def _awake(group: RawGroup, clocks: tuple[ClockFunction, ClockFunction]) -> list[tuple[int, int]]:
    """Of both sides (the Pi first), the RAW instants between which it certainly ran on."""
    (first, _), (last, _) = group.rows[0], group.rows[-1]
    measured = (first.pi_raw_ns, last.pi_raw_ns), (first.topside_raw_ns, last.topside_raw_ns)
    found = []
    for clock, slept, instants in zip(clocks, group.sleeps, measured, strict=True):
        between, continuous = clock.awake(slept), clock.continuous(*instants)
        found.append((max(between[0], continuous[0]), min(between[1], continuous[1])))
    return found


def _between(
    group: RawGroup, before: RawGroup | None, after: RawGroup | None, own: tuple[int, int]
) -> tuple[int, int]:
    """The Pi's RAW instants at which the group's relation may hold: within `own`.

    Where it is not known when it ended, that was between the last exchange of one group and the first of the
    next; both then claim the instants between.
    """
    lowest, highest = own
    if before is not None and before.pi_boot == group.pi_boot and not _slept_between(before, group):
        lowest = max(lowest, before.rows[-1][0].pi_raw_ns)
    if after is not None and after.pi_boot == group.pi_boot and not _slept_between(group, after):
        highest = min(highest, after.rows[0][0].pi_raw_ns)
    return lowest, highest


def _slept_between(before: RawGroup, after: RawGroup) -> bool:
    return before.topside_boot == after.topside_boot and before.sleeps != after.sleeps


def _pi_raw_at(raw: Interpolation, topside_ns: int, *, after: bool) -> int:
    """The Pi's RAW when topside's was `topside_ns`, at the latest (`after`) or the earliest."""
    if abs(topside_ns) == _HALF_NS:
        return topside_ns
    pi_ns = raw.last_ns if after else raw.first_ns
    for _ in range(4):
        found = raw.instants(np.array([pi_ns]))
        pi_ns += topside_ns - int(found.topside_ns[0])
    error = round(_RATES * float(found.max_error_ns[0]))
    return pi_ns + error if after else pi_ns - error
