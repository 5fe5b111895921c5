"""A timeline read backwards, pure: what the vehicle's clock showed at an instant of topside's.

Within a segment the corrected instant e(p) of a vehicle's time p rises with p, and is wrong by at most
E(p). The answer to t is the p at which e(p) = t, found by iteration up to a rest ε. Topside's clock then
truly showed a time within E(p) + ε of t. No two clocks run apart by more than 12 %, so at t the vehicle's
clock was within w = 1.12·(E(p) + ε + r) of p, where r is how finely t resolves.

That holds if neither clock was set between the two instants: p ± w lies within the segment, away from its
cuts, and t ± w within one run of topside's clock (topside_clock.py). Else the answer is ambiguous; so it is
where several segments have one. A time of topside's needs no order: its clock repeats none but where it was
set back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.timeline import AMBIGUOUS, NO_U95, OUTSIDE, Corrections

if TYPE_CHECKING:
    from tidesync.sessions.correction.interpolation import Inverse
    from tidesync.sessions.correction.timeline import Timeline, TimelineSegment
    from tidesync.sessions.correction.topside_clock import TopsideRuns
    from topside_agent.estimator.blocks import Integers

_RATES = 1.12
"""More than any two clocks of two machines run apart."""
_MOST_ITERATIONS = 40
_BEYOND_NS = 1_000_000_000
_LARGEST_NS = 2.0**60
_REST_NS = 1_000
"""An answer that is farther off than its error and this is none."""


def vehicle_times(
    timeline: Timeline, topside: TopsideRuns, topside_ns: Integers, resolution_ns: Integers
) -> Corrections:
    """The vehicle's times at topside's, which resolve `resolution_ns`; in place of `topside_ns`."""
    size = topside_ns.shape
    found = Corrections(*(np.full(size, void) for void in (0, 0, OUTSIDE, NO_U95)))
    candidates = np.zeros(size, dtype=np.int64)
    for index, segment in enumerate(timeline.segments):
        rows = _within_reach(segment, topside_ns)
        if not rows.size:
            continue
        wanted = topside_ns[rows]
        pi_ns, rest_ns = _solved(segment, wanted)
        only = np.full(rows.size, index)
        there = timeline.correct(pi_ns, only, only)
        held = segment.holds(pi_ns) & (rest_ns <= there.max_error_ns + _REST_NS)
        error = there.max_error_ns.astype(np.float64) + rest_ns + resolution_ns[rows] + 2
        wide = np.minimum(np.ceil(_RATES * error), _LARGEST_NS).astype(np.int64)
        state = np.where((wide > timeline.max_error_ns) & (there.state != AMBIGUOUS), OUTSIDE, there.state)
        cut = segment.near_cut(pi_ns - wide) | segment.near_cut(pi_ns + wide)
        cut |= ~topside.certain(wanted, wide)
        state[cut] = AMBIGUOUS
        u95 = np.where(there.u95_ns == NO_U95, NO_U95, np.minimum(_u95(there.u95_ns, wide, there), wide))
        candidates[rows] += held
        first = held & (candidates[rows] == 1)
        values = (pi_ns, wide, state, u95)
        for column, value in zip(found, values, strict=True):
            column[rows[first]] = value[first]
    void = (candidates > 1) | (found.state == AMBIGUOUS)
    for column, nothing in zip(found, (0, 0, AMBIGUOUS, NO_U95), strict=True):
        column[void] = nothing
    return found


def _u95(u95_ns: Integers, wide: Integers, there: Corrections) -> Integers:
    """As much wider than the correction's as the bound is; the rates of two clocks hardly differ."""
    return u95_ns + (wide - there.max_error_ns)


def _within_reach(segment: TimelineSegment, topside_ns: Integers) -> Integers:
    """The places of the instants that may be in the segment."""
    ends = segment.interpolation.instants(np.array([segment.from_ns, segment.to_ns]))
    if ends.undecided.all() and not ends.topside_ns.any():  # nothing is known of topside's clock then
        return np.zeros(0, dtype=np.int64)
    return np.arange(topside_ns.size)


def _solved(segment: TimelineSegment, topside_ns: Integers) -> tuple[Integers, Integers]:
    """The vehicle's times that are corrected to these instants, and how far each is still off, ns."""
    inverse: Inverse = segment.interpolation
    low, high = segment.from_ns - _BEYOND_NS, segment.to_ns + _BEYOND_NS
    pi_ns = np.clip(topside_ns, low, high)
    best, rest = pi_ns.copy(), np.full(pi_ns.shape, 2**62)
    open_rows = np.arange(pi_ns.size)
    for _ in range(_MOST_ITERATIONS):
        off = topside_ns[open_rows] - inverse.instants(pi_ns[open_rows]).topside_ns
        nearer = np.abs(off) < rest[open_rows]
        best[open_rows[nearer]], rest[open_rows[nearer]] = pi_ns[open_rows[nearer]], np.abs(off[nearer])
        open_rows = open_rows[nearer & (np.abs(off) > 1)]
        if not open_rows.size:
            break
        pi_ns[open_rows] = np.clip(pi_ns[open_rows] + off[nearer & (np.abs(off) > 1)], low, high)
    return best, rest
