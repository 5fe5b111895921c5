"""One vehicle as topside measures it, pure: exchanger, schedule, estimator and backlog put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.exchange import HTTP, MQTT, Exchange
from topside_agent.estimator import Estimate, EstimatorSettings, OffsetEstimator
from topside_agent.http_fallback.fallback import Fallback
from topside_agent.http_fallback.handshake import from_response
from topside_agent.measuring.backlog import Backlog
from topside_agent.measuring.counts import Counts, Snapshot
from topside_agent.measuring.exchanger import Exchanger, Refused
from topside_agent.measuring.result import Progress, result_of, state_of
from topside_agent.measuring.schedule import Schedule

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.messages import ErrorWord, Info, OffsetResult, Ping, Pong, State
    from topside_agent.http_fallback.http_get import TimedResponse
    from topside_agent.settings import TopsideSettings

_KEPT_ACROSS = {"step", "topside_step"}
"""Cuts that leave the RAW clocks as they were."""
_CURRENT = {"locked", "acquiring"}
"""States that end when no exchange comes."""


class Measurement:
    """Takes time and messages as arguments; what to send and publish are its return values."""

    def __init__(
        self,
        vehicle: str,
        settings: TopsideSettings,
        *,
        resolution_ns: int,
        estimator: EstimatorSettings | None = None,
    ) -> None:
        self.vehicle = vehicle
        self.backlog = Backlog(round(settings.backlog_s * 1e9))
        self.exchanger = Exchanger(
            vehicle,
            settings.topside,
            timeout_ns=round(settings.timeout_s * 1e9),
            resolution_ns=resolution_ns,
        )
        self.estimator = OffsetEstimator(estimator or EstimatorSettings())
        self.fallback = Fallback(estimator or EstimatorSettings())
        self.counts = Counts()
        self._settings = settings
        self._resolution_ns = resolution_ns
        self._schedule = Schedule(
            vehicle,
            interval_ns=round(1e9 / settings.rate),
            burst=settings.burst,
            burst_interval_ns=round(settings.burst_interval_s * 1e9),
        )
        self._refused = 0
        self._since_cut = 0
        self._error: ErrorWord | None = None
        self._changed = False
        self._last_state: State | None = None
        self._last_exchange_raw_ns: int | None = None
        self._newest_raw_ns: int | None = None
        """The same, or when the newest handshake was made that has been needed since."""
        self._result: OffsetResult | None = None
        self._publish_due_ns = 0
        self._publish_interval_ns = round(settings.publish_interval_s * 1e9)
        self._silence_ns = round(settings.holdover_after_s * 1e9)

    def next_due_ns(self) -> int:
        """Topside's RAW at which `expire`, `ping` or `publish` may next have something to do."""
        if not self._something_to_say:
            return self.exchange_due_ns
        return min(self.exchange_due_ns, self._look_due_ns())

    @property
    def exchange_due_ns(self) -> int:
        """Topside's RAW at which `expire` or `ping` may next have something to do."""
        return self.exchanger.expires_ns if self.exchanger.waiting else self._schedule.due_ns

    def burst(self, now_raw_ns: int) -> None:
        """Measure at once, several times."""
        self._schedule.start_burst(now_raw_ns)

    def appeared(self, now_raw_ns: int) -> None:
        """The vehicle says that it is there: a burst, unless it has been answering all along."""
        last_ns = self._last_exchange_raw_ns
        if last_ns is None or now_raw_ns - last_ns > self._settings.holdover_after_s * 1e9:
            self.exchanger.give_up()
            self.burst(now_raw_ns)

    def informed(self, info: Info) -> None:
        """Take what the vehicle says of its clock."""
        self.estimator.pi_clock_free = not info.clock_synchronized

    def expire(self, now_raw_ns: int) -> None:
        """Give up a ping whose time is over."""
        if self.exchanger.expire(now_raw_ns) and not self.fallback.asked:
            self._error = "timeout"

    def ping_is_due(self, now_raw_ns: int) -> bool:
        """Whether it is time for the next ping."""
        return not self.exchanger.waiting and now_raw_ns >= self._schedule.due_ns

    def ping(self, now: Reading, nonce: str) -> Ping | None:
        """The ping that is due now, if one is."""
        if not self.ping_is_due(now.raw_ns):
            return None
        self._schedule.sent(now.raw_ns)
        return self.exchanger.begin(now, nonce)

    def pong(self, pong: Pong, received: Reading) -> Refused | None:
        """Take an answer: it ends in the estimate and the backlog, or is refused."""
        outcome = self.exchanger.finish(pong, received)
        if isinstance(outcome, Exchange):
            self._take(outcome, received.raw_ns)
            return None
        self.counts.rejected[outcome.reason] += 1
        if outcome.ours and outcome.reason != "repeated":
            self._refused += 1
            self._error = "invalid_pi_time" if outcome.reason == "invalid_pi_time" else self._error
        return outcome

    def _take(self, exchange: Exchange, now_raw_ns: int) -> None:
        self.backlog.add(exchange, now_raw_ns)
        added = self.estimator.add(exchange)
        if added.cut and added.cut.cause not in _KEPT_ACROSS:
            self._since_cut = 0
        if added.accepted:
            self._since_cut += 1
            self.counts.accepted(exchange.delay_ns)
        else:
            self.counts.rejected[added.reason or "other"] += 1
        self._changed |= added.cut is not None or self._on_http
        self._last_exchange_raw_ns = self._newest_raw_ns = now_raw_ns
        self._error = None
        self.fallback.rest()

    def needs_handshake(self, now_raw_ns: int, since_raw_ns: int) -> bool:
        """Whether MQTT has not reached the vehicle for the holdover time, nor since `since_raw_ns`.

        Other threads may ask: it reads one number.
        """
        last_ns = max(self._last_exchange_raw_ns or 0, since_raw_ns)
        return now_raw_ns - last_ns >= self._silence_ns

    def handshake(self, got: TimedResponse) -> None:
        """Take a handshake's outcome, unless MQTT has reached the vehicle again before it ended."""
        at_raw_ns, difference_ns = got.received.raw_ns, got.received.realtime_minus_raw_ns
        if not self.needs_handshake(at_raw_ns, since_raw_ns=0) or got.received.stepped_since(got.sent):
            return
        handshake = from_response(got)
        exchange = handshake.exchange(
            self.vehicle,
            self._settings.topside,
            seq=self.exchanger.seq,
            topside_difference_ns=difference_ns,
            resolution_ns=self._resolution_ns + got.sent.width_ns + got.received.width_ns,
        )
        self._changed |= handshake.error != self._error or not self._on_http
        self._error = handshake.error
        if exchange is None:
            self.fallback.failed(handshake.error)
            return
        self.exchanger.seq += 1
        self.backlog.add(exchange, at_raw_ns)
        self.fallback.add(exchange)
        self._newest_raw_ns = at_raw_ns

    def publish(self, now: Reading) -> OffsetResult | None:
        """The result to publish now: once an interval, and at every change of state."""
        if not self.has_news(now.raw_ns):
            return None
        estimate = self._estimate(now)
        progress = self._progress(now.raw_ns)
        state = state_of(estimate, progress, self._settings)
        due = self._changed or now.raw_ns >= self._publish_due_ns
        if state == self._last_state and not due:
            return None
        self._last_state = state
        self._publish_due_ns = now.raw_ns + self._publish_interval_ns
        self._changed = False
        self._result = result_of(self.vehicle, estimate, progress, self._settings)
        return self._result

    def standing(self, now_raw_ns: int) -> Snapshot:
        """How it stands at topside's RAW `now_raw_ns`; other threads may ask."""
        newest_ns, published_ns = self._newest_raw_ns, self._publish_due_ns - self._publish_interval_ns
        return Snapshot(
            vehicle=self.vehicle,
            exchanges=self.exchanger.seq,
            timeouts=self.exchanger.timeouts,
            rejected=dict(self.counts.rejected),
            delays=self.counts.delays,
            last_exchange_age_s=None if newest_ns is None else max(0, now_raw_ns - newest_ns) / 1e9,
            result=self._result,
            current=now_raw_ns - published_ns <= _overdue_ns(self._settings),
        )

    @property
    def _something_to_say(self) -> bool:
        return self._newest_raw_ns is not None or self._error is not None

    @property
    def _on_http(self) -> bool:
        """Whether the newest exchange was made over HTTP."""
        return self.fallback.exchanges > 0

    def has_news(self, now_raw_ns: int) -> bool:
        """Whether `publish` may have a result: a locked vehicle that answers is not looked at every time."""
        if self._last_state == "locked" and not self._changed and now_raw_ns < self._look_due_ns():
            return False
        return self._something_to_say

    def _look_due_ns(self) -> int:
        """When a result is due, or `locked` or `acquiring` ends if no exchange comes."""
        newest_ns = self._newest_raw_ns
        if newest_ns is None or self._last_state not in _CURRENT:
            return self._publish_due_ns
        return min(self._publish_due_ns, newest_ns + self._silence_ns)

    def _estimate(self, now: Reading) -> Estimate | None:
        """At the last exchange while they come; carried forward to now once they do not."""
        last_ns = self._newest_raw_ns
        if last_ns is None:
            return None
        current = now.raw_ns - last_ns < self._silence_ns
        if self._on_http:
            return self.fallback.estimate(None if current else now, self.estimator.segment)
        if current:
            return self.estimator.estimate()
        return self.estimator.estimate(now.raw_ns, now.realtime_minus_raw_ns)

    def _progress(self, now_raw_ns: int) -> Progress:
        duplicated = self.exchanger.instances.duplicated(now_raw_ns)
        return Progress(
            method=HTTP.name if self._on_http else MQTT.name,
            since_cut=self.fallback.exchanges if self._on_http else self._since_cut,
            rejected=self.estimator.rejected + self._refused,
            segment=self.estimator.segment,
            steps=self.estimator.steps,
            error="duplicate_vehicle" if duplicated else self._error,
        )


def _overdue_ns(settings: TopsideSettings) -> int:
    """A result that has not been followed by another for so long is no longer what holds."""
    return round((2 * settings.publish_interval_s + 1) * 1e9)
