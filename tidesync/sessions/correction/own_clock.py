"""Tables that topside's own clock stamped: nothing is corrected, the stamps' resolution is the only error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.interpolation import Instants
from tidesync.sessions.correction.timeline import Timeline, TimelineSegment
from topside_agent.estimator import Rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidesync.sessions.correction.clock_limits import ClockLimits
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.folder import Measured
    from topside_agent.estimator.blocks import Integers

TOPSIDE_CLOCK = "(topside)"
"""In place of a vehicle's name: no vehicle can have it."""
_EVER_NS = 2**62


def is_topsides_own(job: Job) -> bool:
    """Whether topside's clock itself stamped a job's table."""
    return job.vehicle == TOPSIDE_CLOCK and not (job.clock is not None and job.clock.differs)


class OwnClock:
    """Topside's instants as they are; a nanosecond of error, so that there is one."""

    def __init__(self, first_ns: int, last_ns: int) -> None:
        self.first_ns, self.last_ns = first_ns, last_ns

    def instants(self, pi_ns: Integers) -> Instants:
        """`pi_ns` itself."""
        error, never = np.ones(pi_ns.shape), np.zeros(pi_ns.shape, dtype=bool)
        return Instants(pi_ns.copy(), error, error.copy(), never, never.copy())


def own_timeline(measured: Iterable[Measured], limits: ClockLimits) -> Timeline:
    """The timeline of topside's own clock; it holds beyond the session too."""
    found = [_span(Rows.of(each.track.rows)) for each in measured if each.track.rows]
    first, last = min((begin for begin, _ in found), default=0), max((end for _, end in found), default=0)
    clock = OwnClock(first, last)
    return Timeline([TimelineSegment(clock, -_EVER_NS, _EVER_NS, cut_before=False, cut_after=False)], limits)


def _span(rows: Rows) -> tuple[int, int]:
    at_ns = rows.column("topside_unix_ns")
    return int(at_ns.min()), int(at_ns.max())
