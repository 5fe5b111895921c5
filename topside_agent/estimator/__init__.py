"""The estimator: from the four stamps of each exchange to the offset, its hard bound and its likely error.

    constraints → segments → timebase (bound, window_set, symmetric) → online → track, smooth

What the numbers mean: docs/estimator.md. The formulas and their sources: docs/mathematics.md.
"""

from topside_agent.estimator.constraints import delays_ns, in_order, on_raw
from topside_agent.estimator.estimate import Added, Estimate
from topside_agent.estimator.exchanges import Exchanges, Labels
from topside_agent.estimator.online import OffsetEstimator
from topside_agent.estimator.packed import PackedExchanges, PackedRows
from topside_agent.estimator.rows import Row, Rows, RowState
from topside_agent.estimator.segments import Cause, Cut
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.smooth import smooth
from topside_agent.estimator.track import Segment, Track, online

__all__ = [
    "Added",
    "Cause",
    "Cut",
    "Estimate",
    "EstimatorSettings",
    "Exchanges",
    "Labels",
    "OffsetEstimator",
    "PackedExchanges",
    "PackedRows",
    "Row",
    "RowState",
    "Rows",
    "Segment",
    "Track",
    "delays_ns",
    "in_order",
    "on_raw",
    "online",
    "smooth",
]
