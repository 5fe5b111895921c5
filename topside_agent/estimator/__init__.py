"""The estimator: from the four stamps of each exchange to the offset, its hard bound and its likely error.

    constraints → segments → timebase (bound, window_set, symmetric) → online → track, smooth

What the numbers mean: docs/estimator.md. The formulas and their sources: docs/mathematics.md.
"""

from topside_agent.estimator.constraints import in_order
from topside_agent.estimator.estimate import Added, Estimate
from topside_agent.estimator.online import OffsetEstimator
from topside_agent.estimator.segments import Cause, Cut
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.smooth import smooth
from topside_agent.estimator.track import Row, RowState, Segment, Track, online

__all__ = [
    "Added",
    "Cause",
    "Cut",
    "Estimate",
    "EstimatorSettings",
    "OffsetEstimator",
    "Row",
    "RowState",
    "Segment",
    "Track",
    "in_order",
    "online",
    "smooth",
]
