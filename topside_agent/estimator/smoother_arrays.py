"""One timebase for the smoother: what the forward pass noted of its exchanges, and these as arrays."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from topside_agent.estimator.blocks import Bounds
from topside_agent.estimator.bound import ROUNDING_NS
from topside_agent.estimator.constraints import delays_ns

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Floats, Integers
    from topside_agent.estimator.exchanges import Exchanges
    from topside_agent.estimator.settings import EstimatorSettings
    from topside_agent.estimator.smoother_windows import DenseBlocks
    from topside_agent.estimator.timebase import Timebase
    from topside_agent.estimator.track import Accepted

_NUMBERS = 7


@dataclass(slots=True)
class ForwardPass:
    """A timebase as the forward pass saw it: its exchanges are those accepted from `first` on.

    `numbers` has seven for each exchange: its bounds with their times, the interval that was known online
    (ns, relative to the anchor), and the drift (ns/s).
    """

    timebase: Timebase
    first: int
    numbers: array[float]

    @property
    def size(self) -> int:
        """How many exchanges it has."""
        return len(self.numbers) // _NUMBERS

    def column(self, number: int, which: Integers) -> Floats:
        """One of the numbers of these of its exchanges."""
        column: Floats = np.frombuffer(self.numbers, dtype=np.float64)[number::_NUMBERS][which]
        return column


class FoundDrift(NamedTuple):
    """A drift (ns/s) and its squared error, at one of a timebase's exchanges."""

    place: int
    slope: float
    variance: float


class TimebaseArrays:
    """A timebase's exchanges as arrays, in the order of their destinations, without ambiguous ones."""

    def __init__(self, forward: ForwardPass, accepted: Accepted, settings: EstimatorSettings) -> None:
        self.timebase, self.accepted = forward.timebase, accepted
        ambiguous = accepted.ambiguous[forward.first : forward.first + forward.size]
        self.ambiguous = np.flatnonzero(ambiguous) + forward.first
        """The places of those left out among the accepted ones; they keep what was known online."""
        self.online = [forward.column(number, np.flatnonzero(ambiguous)) for number in (3, 4, 5)]
        """Their lower bound and the interval, as in `ForwardPass.numbers`."""
        sound = np.flatnonzero(~ambiguous)
        order = sound[np.argsort(forward.column(2, sound), kind="stable")]
        self.places = (order + forward.first).astype(np.uint32)
        """Their places among the accepted ones."""
        columns = [forward.column(number, order) for number in range(_NUMBERS)]
        self.bounds = Bounds(*columns[:4])
        self.low, self.high, self.slope = columns[4:]
        self.block = np.floor(self.bounds.lower_at / settings.block_s).astype(np.int64)
        self.offset = (self.low + self.high) / 2
        self.least_half = np.zeros(self.places.size)
        """Half the least round trip between the gaps around each exchange, ns."""
        self.variance = np.full(self.places.size, np.nan)
        self.first_drift: FoundDrift | None = None
        """The first that is known."""
        self.last_drift: FoundDrift | None = None
        """That at the last exchange, if it is known."""

    def indices_of(self, dense: DenseBlocks) -> slice:
        """The exchanges within these blocks."""
        size = dense.bounds.upper.size
        begin, end = np.searchsorted(self.block, [dense.first, dense.first + size])
        return slice(int(begin), int(end))

    def narrow(self, low: Floats, high: Floats) -> None:
        """Intersect the intervals with these (ns); where nothing is left the row is ambiguous."""
        low, high = np.maximum(self.low, low), np.minimum(self.high, high)
        self.low, self.high = np.where(low <= high, (low, high), (self.low, self.high))
        for index in np.flatnonzero(low > high + ROUNDING_NS).tolist():
            self.accepted.ambiguous[self.places[index]] = True

    def see_drift(self, rows: slice, slope: Floats, variance: Floats) -> None:
        """Note the drift (ns/s) of these exchanges and its squared error, NaN where it is not known."""
        known = np.flatnonzero(np.isfinite(variance))
        for at in known[[0, -1]].tolist() if known.size else ():
            each = FoundDrift(rows.start + at, float(slope[at]), float(variance[at]))
            if self.first_drift is None or each.place < self.first_drift.place:
                self.first_drift = each
            if each.place == self.places.size - 1:
                self.last_drift = each

    def see_delays(self, dense: DenseBlocks) -> None:
        """Note the least round trip within these blocks."""
        rows = self.indices_of(dense)
        least_ns = int(delays_ns(self.exchanges.at(rows)).min())
        self.least_half[rows] = max(least_ns, 0) / 2

    @property
    def exchanges(self) -> Exchanges:
        """Its exchanges."""
        return self.accepted.exchanges.at(self.places)
