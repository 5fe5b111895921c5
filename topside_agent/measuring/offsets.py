"""One vehicle's offset, pure: its estimators over MQTT and HTTP, and what was heard of either clock."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from schemas.exchange import MQTT, UDP, method_named
from topside_agent.estimator import Estimate, EstimatorSettings, OffsetEstimator
from topside_agent.http_fallback.fallback import Fallback
from topside_agent.measuring.heard import HeardClock
from topside_agent.measuring.result import Progress

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.clock_history import VehicleClock
    from schemas.duplicate_span import DuplicateSpan
    from schemas.exchange import Exchange
    from schemas.messages import ErrorWord
    from topside_agent.measuring.pace import Pace
    from topside_agent.shared_state.past import Past

_KEPT_ACROSS = {"step", "topside_step"}
"""Cuts that leave the RAW clocks as they were."""

_log = logging.getLogger(__name__)


class Offsets:
    """What the exchanges of one vehicle show, and for how long that holds.

    A change of the Pi's clock that nobody reports is not seen before the next exchange: what is carried on
    is `conditional`. A reported one, or one of topside's own clock, moves the estimate or ends it.
    """

    def __init__(self, settings: EstimatorSettings, pace: Pace) -> None:
        """Without an exchange for as long as `pace` says the estimate is carried forward to now."""
        self.changed = False
        """Whether the last result is over; whoever publishes the next one clears it."""
        self.past: Past | None = None
        """What is shared of the vehicle's clock, if anything is."""
        self._settings = settings
        self._pace = pace
        self._stepped_ns = 0
        self._faults = 0
        self._begin()

    def _begin(self) -> None:
        self.estimator = OffsetEstimator(self._settings)
        self.fallback = Fallback(self._settings)
        self.heard = HeardClock()
        self.method = MQTT
        """Of the newest exchange."""
        self.direct = False
        """Whether exchanges come directly now: a check over MQTT between them changes no word of a result."""
        self._since_cut = 0
        self.began_ns = 0
        """Topside's RAW at the newest exchange's origin."""
        self._published: tuple[int, int] | None = None
        """The wall clocks' part of the offset in the last result, ns, and its max error."""

    def _restart(self, error: Exception) -> None:
        """Begin again after an internal fault, which stays with this vehicle and ends nothing."""
        self._faults += 1
        if self._faults & (self._faults - 1) == 0:  # the first, second, fourth and so on
            _log.error("internal fault %d of an estimate, which begins again", self._faults, exc_info=error)
        self._begin()
        self.changed = True

    def add(self, exchange: Exchange, *, topside_set: bool = False) -> str | None:
        """Take in an exchange of any method; None, or why the estimator refused it.

        `topside_set`: topside's clock was set while it ran, which dates the Pi's reading before or after.
        """
        if topside_set:
            self.stepped(exchange.destination_ns - (exchange.topside_realtime_minus_raw_ns or 0))
        try:
            return self._add(exchange)
        except Exception as error:  # noqa: BLE001 - see `_restart`
            self._restart(error)
            return "internal_fault"

    def _add(self, exchange: Exchange) -> str | None:
        method = method_named(exchange.method)
        self.changed |= method.standalone != self.method.standalone
        self.method = method
        began_ns = exchange.origin_ns - (exchange.topside_realtime_minus_raw_ns or 0)
        if method.standalone:
            self.fallback.add(exchange)
            self.began_ns = began_ns
            return None
        self.fallback.reset()
        settled, self.estimator.stride = self.estimator.settled, self._pace.stride
        added = self.estimator.add(exchange)
        self.changed |= added.cut is not None or self.estimator.settled != settled
        if added.cut and added.cut.cause not in _KEPT_ACROSS:
            self._since_cut = 0
        if not added.accepted:
            return added.reason or "other"
        self._since_cut += 1
        if added.waits:
            return None
        self.began_ns = max(self.began_ns, began_ns)
        self.heard.exchanged(exchange)
        if self.past is not None:
            self.past.exchanged(exchange, self.estimator)
        return None

    @property
    def moved(self) -> bool:
        """Whether a wall clock was moved since the last result by more than its max error: a slew."""
        constraint, published = self.estimator.constraint, self._published
        if constraint is None or published is None:
            return False
        return abs(constraint.realtime_offset_ns - published[0]) > published[1]

    def published(self, estimate: Estimate | None) -> None:
        """A result with this estimate is published now."""
        constraint = self.estimator.constraint
        if estimate is None or constraint is None:
            self._published = None
        else:
            self._published = constraint.realtime_offset_ns, estimate.max_error_ns

    @property
    def cuts(self) -> tuple[object, ...]:
        """Changes whenever a clock is known to have been set, or to be another one."""
        return (self.heard.unknown, self.heard.stepped, self.estimator.segment, self._stepped_ns)

    @property
    def current(self) -> bool:
        """Whether the newest exchange of the estimator's is still one to go by."""
        return not self.method.standalone and self.estimator.estimate() is not None

    def pieces(self, clock: VehicleClock) -> bool:
        """The vehicle sent pieces of its clock history; whether of a change that no exchange shows."""
        if self.past is not None:
            self.past.pieces(clock)
        return self.heard.pieces(clock)

    def break_off(self) -> None:
        """Topside slept: no bound outlives that."""
        self.estimator.break_off()
        self.fallback.break_off()
        self.changed = True

    def stepped(self, now_raw_ns: int) -> None:
        """Topside's realtime was set, at topside's RAW `now_raw_ns` at the latest."""
        self._stepped_ns = now_raw_ns
        self.changed = True

    def estimate(self, now: Reading, newest_ns: int | None) -> Estimate | None:
        """At the Pi's last reading while exchanges come; carried forward to now once they do not.

        So it is too, and conditional, when only one exchange has come since a clock was set: the Pi's reading
        cannot be dated better than by its error, and may have been dated before the step; and while topside's
        clock was set since the newest exchange began. `newest_ns` is topside's RAW at the newest exchange.
        None while the offset is unknown.
        """
        try:
            return None if newest_ns is None else self._estimate(now, newest_ns)
        except Exception as error:  # noqa: BLE001 - see `_restart`
            self._restart(error)
            return None

    def _estimate(self, now: Reading, newest_ns: int) -> Estimate | None:
        current = now.raw_ns - newest_ns < self._pace.silence_ns and self._stepped_ns <= self.began_ns
        if self.method.standalone:
            return self.fallback.estimate(None if current else now, self.estimator.segment)
        if self.heard.unknown:
            return None
        if current and self.estimator.settled and not self.heard.stepped:
            return self.estimator.estimate()
        estimate = self.estimator.estimate(now.raw_ns, now.realtime_minus_raw_ns)
        return estimate and self.heard.moved(estimate)

    def progress(
        self, refused: int, error: ErrorWord | None, duplicates: tuple[DuplicateSpan, ...] = ()
    ) -> Progress:
        """What is known beside the estimate; `refused` answers made no exchange."""
        if error is None and not self.method.standalone and self.estimator.clock_rate_ppm is not None:
            error = "clock_rate"
        directly = UDP if self.direct else MQTT
        return Progress(
            method=(self.method if self.method.standalone else directly).name,
            since_cut=self.fallback.exchanges if self.method.standalone else self._since_cut,
            rejected=self.estimator.rejected + refused,
            segment=self.estimator.segment,
            steps=self.estimator.steps,
            error=error,
            duplicates=duplicates,
        )
