"""The offset between two realtimes that run evenly, from the kernel's stamps as they are.

While a machine's kernel reports one rate, its realtime is as steady a clock as RAW. Between two of them the
stamps need no conversion, so how well realtime − RAW is known widens nothing (docs/mathematics.md §4).
"""

from __future__ import annotations

from math import ceil, floor, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from topside_agent.estimator.blocks import Blocks
from topside_agent.estimator.bound import ROUNDING_NS, Bound, ClockLimits
from topside_agent.estimator.timebase import RelativeBounds

if TYPE_CHECKING:
    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.estimate import Estimate
    from topside_agent.estimator.settings import EstimatorSettings

_FASTEST = 4e8
"""ns/s: two realtimes slewed apart by 10.05 % each, beside RAW clocks that may be 10 % apart."""
STEEPEST = 1e-3
"""Above this rate nothing is bounded: the instants themselves, on RAW, are known to `resolution_ns` only."""
BLOCK_S, _BLOCKS = 0.5, 32
"""What is older than some seconds has aged by more than a microsecond."""
_FIRST = 16
"""So many exchanges narrow the rate one by one."""
_DATED_NS = 1_000
"""Results are dated to the microsecond."""
DISTRUSTED_NS = 60_000_000_000
"""For so long nothing is bounded after a contradiction: some realtime did not run as its kernel said."""


class Stretch:
    """For so long both realtimes ran at one rate: its bounds are relative to its first exchange."""

    def __init__(self, first: Constraint) -> None:
        self.anchor_ns, self.offset_ns = first.origin_ns, first.lower_ns + first.realtime_offset_ns
        self.contradicted = False


class Known(NamedTuple):
    """What a stretch bounds at the end of an exchange, and what that adds: times in s, bounds in ns, ns/s."""

    bounds: RelativeBounds
    low: float
    high: float
    slowest: float
    fastest: float

    @property
    def steepest(self) -> float:
        """The greatest rate that is possible, a fraction."""
        return max(abs(self.slowest), abs(self.fastest)) * 1e-9


class EvenBound:
    """Takes one vehicle's exchanges in the order in which they are accepted.

    A stretch goes on while each exchange says that both realtimes ran at one rate since before the end of the
    one before it: then they have done so since its first exchange.
    """

    def __init__(self, settings: EstimatorSettings) -> None:
        self.limits = ClockLimits(_FASTEST, settings.wander_limit * 1e9, tangents=True)
        self.stretch: Stretch | None = None
        self._newest: Constraint | None = None
        self._trusted_ns = 0

    def take(self, constraint: Constraint, *, cut: bool) -> None:
        """Add an exchange, before which a `cut` was made or not: then nothing belongs to what came before.

        One that was overtaken, or does not say that both realtimes ran evenly, adds nothing.
        """
        if cut:
            self._newest, self._trusted_ns = None, 0
        if not constraint.even_ns or constraint.destination_ns < self._trusted_ns:
            return
        newest = self._newest
        if newest is None or not _goes_on(newest, constraint):
            if newest is not None and constraint.destination_ns <= newest.destination_ns:
                return
            self._begin(constraint)
        self._newest = constraint
        assert self.stretch is not None
        bounds = self._newest_bounds = _relative(constraint, self.stretch)
        consistent = not self._blocks.closes_open(bounds.lower_at)
        self._blocks.add(*bounds, delay_ns=constraint.delay_ns)
        consistent = consistent or self._bound.refit(self._blocks.columns(), self._bound.newest_s)
        self._bound.add(*bounds)
        self._bound.newest_s = bounds.lower_at
        if len(self._first) < _FIRST:
            self._first.append(bounds)
            consistent = self._bound.refit(np.array(self._first).T, bounds.lower_at) and consistent
        low, high = self._bound.at(bounds.lower_at)
        if not consistent or low > high + ROUNDING_NS:
            self._contradicted(constraint)

    def narrowed(self, found: Estimate, newest: Constraint) -> Estimate:
        """`found`, the estimate at the Pi's reading for this exchange, within what is known here."""
        known = self.at_reading(newest)
        if known is None:
            return found
        if known[0] > found.upper_ns or found.lower_ns > known[1]:
            self._contradicted(newest)
            return found
        return found.narrowed(*known)

    def at_reading(self, newest: Constraint) -> tuple[int, int] | None:
        """The least and the greatest offset of realtimes (ns) when the Pi read its clock for this exchange.

        None where that is not known. As in `OffsetEstimator`, and also at the date of the result.
        """
        known = self.at_destination(newest)
        if known is None or self.stretch is None or known.steepest > STEEPEST:
            return None
        low, high, steepest = known.low, known.high, known.steepest
        way_ns = max(high - known.bounds.lower, 0.0) / (1 - steepest)
        turned = way_ns * (steepest + self.limits.wander * 1e-9 * sqrt(way_ns * 1e-9))
        grown = turned + newest.even_within_ns + (high - low + 2 * turned + _DATED_NS) * steepest
        return self.stretch.offset_ns + floor(low - grown), self.stretch.offset_ns + ceil(high + grown)

    def at_destination(self, newest: Constraint) -> Known | None:
        """What is known at this exchange's end; None where it is not of the stretch."""
        if newest is not self._newest:
            return None
        end_s = self._newest_bounds.lower_at
        return Known(self._newest_bounds, *self._bound.at(end_s), *self._bound.drifts(end_s))

    def _contradicted(self, newest: Constraint) -> None:
        """Exchanges contradict each other, or the bound on RAW."""
        self._newest, self._trusted_ns = None, newest.destination_ns + DISTRUSTED_NS
        if self.stretch is not None:
            self.stretch.contradicted = True

    def _begin(self, first: Constraint) -> None:
        self.stretch = Stretch(first)
        self._bound, self._blocks = Bound(self.limits), Blocks(BLOCK_S, _BLOCKS)
        self._first: list[RelativeBounds] = []


def _relative(constraint: Constraint, stretch: Stretch) -> RelativeBounds:
    """Its bounds of the realtimes' offset, at instants of topside's RAW, relative to the first one."""
    within_ns = constraint.even_within_ns + ceil(STEEPEST * constraint.resolution_ns)
    narrower_ns = constraint.resolution_ns - within_ns
    base_ns = constraint.realtime_offset_ns - stretch.offset_ns
    return RelativeBounds(
        (constraint.origin_ns - stretch.anchor_ns) * 1e-9,
        float(constraint.upper_ns - narrower_ns + base_ns),
        (constraint.destination_ns - stretch.anchor_ns) * 1e-9,
        float(constraint.lower_ns + narrower_ns + base_ns),
    )


def _goes_on(before: Constraint, now: Constraint) -> bool:
    """Whether both realtimes run as evenly as before: since before the end of the earlier exchange."""
    pi_ns, topside_ns = now.transmit_ns - before.transmit_ns, now.destination_ns - before.destination_ns
    within_ns = now.resolution_ns + before.resolution_ns
    return min(pi_ns, topside_ns) > 0 and max(pi_ns, topside_ns) + within_ns < now.even_ns
