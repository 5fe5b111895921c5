"""What topside counts of its vehicles, and snapshots of it for other threads."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.metrics import Distribution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.metrics import AgentCounts
    from schemas.messages import OffsetResult

DELAY_BOUNDS_NS = tuple(
    round(factor * decade) for decade in (10**5, 10**6, 10**7, 10**8) for factor in (1, 2, 5)
)
"""0.1 ms (a wire) to 0.5 s (a bad acoustic or satellite link), three to a decade."""


class Counts:
    """One vehicle's; written by the network thread alone, read by any.

    Each number is read whole; two that are read one after the other may be an exchange apart.
    """

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        """Answers that made no exchange, and exchanges that the estimator refused, by reason."""
        self.paths: Counter[str] = Counter()
        """Exchanges in use, by path."""
        self._delays = [0] * (len(DELAY_BOUNDS_NS) + 1)
        self._delays_ns = 0

    def accepted(self, delay_ns: int, path: str) -> None:
        """One more exchange is in use, that came over `path`."""
        self.paths[path] += 1
        self._delays[bisect_left(DELAY_BOUNDS_NS, delay_ns)] += 1
        self._delays_ns += delay_ns

    @property
    def delays(self) -> Distribution:
        """How the delays of the exchanges in use are spread, in seconds."""
        bounds_s = [bound / 1e9 for bound in DELAY_BOUNDS_NS]
        return Distribution(bounds_s, tuple(self._delays), self._delays_ns / 1e9)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One vehicle's measurement at one moment."""

    vehicle: str
    exchanges: int
    """Finished since the agent began to measure it."""
    timeouts: int
    rejected: Mapping[str, int]
    paths: Mapping[str, int]
    """Exchanges in use, by path; over HTTP they are not counted."""
    delays: Distribution
    last_exchange_age_s: float | None
    result: OffsetResult | None
    """The last one published; None before the first."""
    current: bool
    """Whether `result` still holds: it is published again while the broker is connected."""


@dataclass(frozen=True, slots=True)
class GroupCounts:
    """A topside's part in its group at one moment."""

    group: str
    members: int
    """That are there, itself included."""
    standby: int
    """Vehicles whose exchanges with others it keeps."""
    held: int
    """Vehicles that it measures only until their owner has settled."""
    taken: int
    """Vehicles that it has begun to measure, since its process began; counted each time."""
    given: int
    """Vehicles that it has left to others."""


@dataclass(frozen=True, slots=True)
class TopsideCounts:
    """A topside and its vehicles at one moment."""

    topside: str
    agent: AgentCounts
    vehicles: Sequence[Snapshot]
    group: GroupCounts | None = None
    """None in no group."""
