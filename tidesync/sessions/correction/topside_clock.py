"""When topside's own clock showed what: the runs of it, and where one time of it may mean two instants.

It may have been set, or its machine may have slept, as the vehicle's. The runs are those of its clock history
and of its readings in the exchanges (clock_function.py), each with what it may have shown before and after.

Assumption: that of clock_function.py. A topside that was set back while nothing was measured and no history
was kept breaks it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.composed import segments_of
from tidesync.sessions.correction.histories import topside_functions
from tidesync.sessions.correction.raw_groups import samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.histories import Histories
    from tidesync.sessions.correction.raw_groups import Sample
    from tidesync.sessions.correction.timeline import TimelineSegment
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator import Exchanges
    from topside_agent.estimator.blocks import Integers


class TopsideRuns(NamedTuple):
    """The runs of topside's clock; none where nothing shows it."""

    segments: Sequence[TimelineSegment]

    def certain(self, topside_ns: Integers, reach_ns: Integers) -> Flags:
        """Of which times all that is within `reach_ns` was shown in one run alone, and is in no margin."""
        if not self.segments:
            return np.ones(topside_ns.shape, dtype=bool)
        low, high = topside_ns - reach_ns, topside_ns + reach_ns
        inside, touched = np.zeros(low.shape, dtype=np.int64), np.zeros(low.shape, dtype=np.int64)
        for segment in self.segments:
            touched += (high >= segment.from_ns) & (low <= segment.to_ns)
            inside += (low >= segment.interpolation.first_ns) & (high <= segment.interpolation.last_ns)
        certain: Flags = (touched == 1) & (inside == 1)
        return certain


def topside_runs(histories: Histories, exchanges: Exchanges) -> TopsideRuns:
    """The runs of the topside that made these exchanges."""
    listed = samples(exchanges)
    boots = listed.by_boot(1)
    functions = topside_functions(histories, listed)
    ends = [0, *(_unheard_ns(one[-1], other[0]) for one, other in pairwise(boots.values())), 0]
    found: list[TimelineSegment] = []
    for boot, unheard in zip(boots, pairwise(ends), strict=True):
        lines = functions[boot].lines
        if lines.run.size:
            found += segments_of(lines, unheard_ns=unheard)
    return TopsideRuns(found)


def _unheard_ns(last: Sample, first: Sample) -> int:
    """For how long at most nobody has heard of topside's clock, between the last and first of two boots."""
    passed_ns = first.transmit_ns - last.transmit_ns
    if last.pi_boot == first.pi_boot:  # asleep, the vehicle's RAW stood still
        return max(first.pi_raw_ns - last.pi_raw_ns, passed_ns, 0)
    return abs(passed_ns)
