"""The estimator: from the four stamps of each exchange to the offset, its hard bound and its likely error."""

from topside_agent.estimator.estimate import Added, Estimate
from topside_agent.estimator.online import OffsetEstimator
from topside_agent.estimator.segments import Cause, Cut
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.smooth import smooth
from topside_agent.estimator.track import Row, Segment, State, Track, online

__all__ = [
    "Added",
    "Cause",
    "Cut",
    "Estimate",
    "EstimatorSettings",
    "OffsetEstimator",
    "Row",
    "Segment",
    "State",
    "Track",
    "online",
    "smooth",
]
