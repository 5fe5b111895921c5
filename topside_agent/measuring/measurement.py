"""One vehicle's measurement, pure: a message or a timer in, a list of actions out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.exchange import Exchange
from topside_agent.http_fallback.handshake import from_response
from topside_agent.measuring.actions import (
    Action,
    Drop,
    PublishBatch,
    PublishResult,
    ResultDue,
    SendPing,
    SetTimer,
    Settled,
)
from topside_agent.measuring.backlog import Backlog
from topside_agent.measuring.counts import Counts, Snapshot
from topside_agent.measuring.exchanger import Exchanger, Refused, random_nonce
from topside_agent.measuring.namesakes import Namesakes
from topside_agent.measuring.offsets import Offsets
from topside_agent.measuring.pace import Pace
from topside_agent.measuring.result import REFUSED_BECAUSE, result_of, state_of
from topside_agent.measuring.timing import PingSchedule, ResultSchedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.clock import Reading
    from schemas.clock_history import VehicleClock
    from schemas.messages import ErrorWord, Event, Info, OffsetResult, Pong
    from topside_agent.http_fallback.http_get import TimedResponse
    from topside_agent.settings import TopsideSettings


class Measurement:
    """Schedule, exchanger, estimators and backlog of one vehicle.

    Whoever calls a method that returns actions performs them, in their order, before the next call. Time
    comes in as an argument: RAW and `Reading` are topside's.
    """

    resting = False  # of a vehicle that another topside of a group measures it is true

    def __init__(
        self,
        vehicle: str,
        settings: TopsideSettings,
        namesakes: Namesakes | None = None,
        *,
        resolution_ns: int,
        boot_id: str | None = None,
        pace: Pace | None = None,
        make_nonce: Callable[[], str] = random_nonce,
    ) -> None:
        """`resolution_ns` and `boot_id` are those of topside's clock, `pace` is of all its vehicles."""
        self.vehicle = vehicle
        self._pace = pace or Pace(settings)
        self._settings, self._resolution_ns = settings, resolution_ns
        self._make_nonce = make_nonce
        self._namesakes = namesakes or Namesakes(None)
        self._backlog = Backlog(round(settings.backlog_s * 1e9))
        self._exchanger = Exchanger(
            vehicle,
            settings.topside,
            timeout_ns=round(settings.timeout_s * 1e9),
            resolution_ns=resolution_ns,
            boot_id=boot_id,
            interval_ns=self._pace.interval_ns,
            instance_id=self._namesakes.instance_id,
        )
        self._broken_off_ns = 0
        """RAW when topside had last slept: nothing that was under way before counts."""
        self._counts = Counts()
        self._schedule = PingSchedule.of(vehicle, settings)
        self._error: ErrorWord | None = None
        self._refused = 0
        self.unanswered_because: ErrorWord = "timeout"
        """`not_authorized` while the broker refuses topside the answers."""
        self._last_reached_raw_ns: int | None = None
        """When the newest exchange finished that was not standalone."""
        self._result: OffsetResult | None = None
        self._results = ResultSchedule(vehicle, self._pace)
        self.offsets = Offsets(settings.estimator, self._pace)

    # In: what happens, out: what to do

    def timer(self, now: Reading, heard_raw_ns: int | None = None) -> list[Action]:
        """The time that was set is over: give up a ping, send the next one, or have a result published.

        Of what arrived only that up to `heard_raw_ns` was read.
        """
        actions: list[Action] = []
        if self._exchanger.expire(now.raw_ns, heard_raw_ns) and not self.offsets.fallback.tried:
            self._error = self.unanswered_because
        if not self._exchanger.waiting and now.raw_ns >= self._schedule.due_ns:
            self._exchanger.instances.pinged_every(self._pace.interval_ns)
            self._schedule.sent(now.raw_ns, self._pace.ping_time)
            actions.append(SendPing(self._exchanger.begin(now, self._make_nonce()), now))
        return self._and_next(actions, now.raw_ns)

    def pong(self, pong: Pong, received: Reading, departed_raw_ns: int | None = None) -> list[Action]:
        """An answer came; `departed_raw_ns` is RAW at the socket write of the last ping, if known."""
        if departed_raw_ns is not None:
            self._exchanger.departed(departed_raw_ns)
        actions: list[Action] = []
        before, outcome = self._exchanger.instances.incumbent, self._exchanger.finish(pong, received)
        if before not in {None, self._exchanger.instances.incumbent}:  # a restart: the first answer counts
            self._schedule.start_burst(received.raw_ns)
        if isinstance(outcome, Exchange):
            self._take(outcome, received.raw_ns, topside_set=self._exchanger.topside_set)
        else:
            self._refuse(outcome)
            actions.append(Drop(outcome.reason, outcome.sentence))
        if not self._exchanger.waiting and self._schedule.due_ns > received.raw_ns:
            actions.append(Settled())
        return self._and_next(actions, received.raw_ns)

    def handshake(self, response: TimedResponse) -> list[Action]:
        """A handshake over HTTP ended; its outcome is left out if MQTT has reached the vehicle meanwhile."""
        now_raw_ns = response.received.raw_ns
        if self.needs_handshake(now_raw_ns) and response.sent.raw_ns >= self._broken_off_ns:
            self._take_handshake(response)
        return self._and_next([], now_raw_ns)

    def appeared(self, now_raw_ns: int) -> list[Action]:
        """The vehicle is online: a burst, unless it has been answering all along."""
        last_ns = self._last_reached_raw_ns
        if last_ns is None or now_raw_ns - last_ns > self._pace.silence_ns:
            self._exchanger.give_up()
            self._schedule.start_burst(now_raw_ns)
        return self._and_next([], now_raw_ns)

    def burst(self, now_raw_ns: int) -> list[Action]:
        """Measure at once, several times."""
        self._schedule.start_burst(now_raw_ns)
        return self._and_next([], now_raw_ns)

    def recheck(self, now_raw_ns: int) -> list[Action]:
        """A namesake of topside has appeared or gone: have a result published at once."""
        self.offsets.changed = True
        return self._and_next([], now_raw_ns)

    def disconnected(self) -> None:
        """The connection was lost: the ping under way will not be answered."""
        self._exchanger.give_up()

    def slept(self, slept_ns: int, now_raw_ns: int) -> list[Action]:
        """Topside slept for `slept_ns`, in which its RAW stood still: ages count it, no bound outlives it."""
        self._broken_off_ns = now_raw_ns
        self._exchanger.give_up()
        self.offsets.break_off()
        if self._last_reached_raw_ns is not None:
            self._last_reached_raw_ns -= slept_ns
        if self._results.newest_ns is not None:
            self._results.newest_ns -= slept_ns
        return self.burst(now_raw_ns)

    def stepped(self, now_raw_ns: int) -> list[Action]:
        """Topside's realtime was set."""
        self.offsets.stepped(now_raw_ns)
        return self.burst(now_raw_ns)

    def informed(self, info: Info, now_raw_ns: int) -> list[Action]:
        """The vehicle described itself; one that has restarted does not answer the ping under way."""
        instances = self._exchanger.instances
        if instances.undecided or instances.incumbent in {None, info.instance_id}:
            return []
        self.offsets.changed |= self.offsets.heard.booted(info.boot_id)
        self._exchanger.give_up()
        return self.burst(now_raw_ns)

    def event(self, event: Event, now_raw_ns: int) -> list[Action]:
        """The vehicle reported a step or a suspend: measure at once, and publish no offset of before."""
        self.offsets.changed |= self.offsets.heard.event(event)
        return self.burst(now_raw_ns)

    def pieces(self, clock: VehicleClock, now_raw_ns: int) -> list[Action]:
        """The vehicle sent pieces of its clock history; measure at once if no exchange shows what they do."""
        changed = self.offsets.pieces(clock)
        self.offsets.changed |= changed
        return self.burst(now_raw_ns) if changed else []

    def publish(self, now: Reading) -> list[Action]:
        """What to publish now: a result once an interval and at every change of state, and batches."""
        actions: list[Action] = []
        if self._results.begin(now.raw_ns) and self._anything_known and (result := self._next_result(now)):
            actions = [PublishResult(result), *self.flush(self._pace.most_exchanges)]
        return [*actions, SetTimer(self._due_ns())]

    def flush(self, most: int | None = None) -> list[Action]:
        """Batches of what is finished and was not published yet: of all, or the `most` oldest exchanges."""
        return [PublishBatch(payload) for payload in self._backlog.take_batches(most)]

    def resend(self, from_seq: int, to_seq: int) -> Iterator[PublishBatch]:
        """Batches of what is still held of `from_seq` to `to_seq`, both included."""
        return map(PublishBatch, self._backlog.resend(from_seq, to_seq))

    # State, for any thread

    def needs_handshake(self, now_raw_ns: int, since_raw_ns: int = 0) -> bool:
        """Whether MQTT has not reached the vehicle for the holdover time, nor since `since_raw_ns`."""
        return now_raw_ns - max(self._last_reached_raw_ns or 0, since_raw_ns) >= self._pace.silence_ns

    def snapshot(self, now_raw_ns: int) -> Snapshot:
        """Its state at topside's RAW `now_raw_ns`."""
        newest_ns = self._results.newest_ns
        return Snapshot(
            vehicle=self.vehicle,
            exchanges=self._exchanger.seq,
            timeouts=self._exchanger.timeouts,
            rejected=dict(self._counts.rejected),
            paths=dict(self._counts.paths),
            delays=self._counts.delays,
            last_exchange_age_s=None if newest_ns is None else max(0, now_raw_ns - newest_ns) / 1e9,
            result=self._result,
            current=self._results.is_current(now_raw_ns),
        )

    # Exchanges

    def _take(self, exchange: Exchange, now_raw_ns: int, *, topside_set: bool) -> None:
        """A finished exchange of any method, at topside's RAW `now_raw_ns`."""
        self._backlog.add(exchange, now_raw_ns)
        reason, method = self.offsets.add(exchange, topside_set=topside_set), self.offsets.method
        if not method.standalone:
            self._last_reached_raw_ns = now_raw_ns
        if reason is not None:
            self._counts.rejected[reason] += 1
            self._error = REFUSED_BECAUSE.get(reason, self._error)
            return
        self._error, self._results.newest_ns = None, now_raw_ns
        if not method.standalone:
            self._counts.accepted(exchange.delay_ns, method.path)

    def _refuse(self, refused: Refused) -> None:
        self._counts.rejected[refused.reason] += 1
        if refused.ours and refused.reason != "repeated":
            self._refused += 1
            self._error = "invalid_pi_time" if refused.reason == "invalid_pi_time" else self._error

    def _take_handshake(self, response: TimedResponse) -> None:
        handshake = from_response(response)
        self.offsets.changed |= handshake.error != self._error or not self.offsets.method.standalone
        self._error = handshake.error
        exchange = handshake.exchange(
            self.vehicle,
            self._settings.topside,
            seq=self._exchanger.seq,
            topside_difference_ns=response.received.realtime_minus_raw_ns,
            resolution_ns=self._resolution_ns + response.sent.width_ns + response.received.width_ns,
        )
        if exchange is None:
            self.offsets.fallback.failed()
            return
        self._exchanger.take_seq()
        self._take(exchange, response.received.raw_ns, topside_set=response.topside_set)

    # Results

    def _next_result(self, now: Reading) -> OffsetResult | None:
        estimate = self.offsets.estimate(now, self._results.newest_ns)
        error = self._error_word(now.raw_ns)
        progress = self.offsets.progress(self._refused, error, self._exchanger.instances.spans(now.raw_ns))
        state = state_of(estimate, progress, self._settings, self._pace.silence_ns)
        if not self._results.publish(state, now.raw_ns, rests=error is None):
            return None
        self.offsets.published(estimate)
        progress = progress._replace(interval_s=self._results.interval_ns / 1e9, rate=self._pace.rate)
        own = self._namesakes.instance_id
        self._result = result_of(self.vehicle, estimate, progress, self._settings, own, state=state)
        return self._result

    def _error_word(self, now_raw_ns: int) -> ErrorWord | None:
        """What a result says; first of all whether another process uses topside's name, or the vehicle's."""
        duplicated = self._exchanger.instances.duplicated(now_raw_ns)
        alive = self._namesakes.alive(now_raw_ns)
        return "duplicate_topside" if alive else "duplicate_vehicle" if duplicated else self._error

    # When something is due

    def _and_next(self, actions: list[Action], now_raw_ns: int) -> list[Action]:
        self._results.changed |= self.offsets.changed
        self.offsets.changed = False
        if self._anything_known and self._results.request(now_raw_ns, moved=self.offsets.moved):
            actions.append(ResultDue())
        actions.append(SetTimer(self._due_ns()))
        return actions

    def _due_ns(self) -> int:
        """When a ping is due or given up, or the next result is."""
        ping_ns = self._exchanger.expires_ns if self._exchanger.waiting else self._schedule.due_ns
        result_ns = self._results.next_ns if self._anything_known else None
        return ping_ns if result_ns is None else min(ping_ns, result_ns)

    @property
    def _anything_known(self) -> bool:
        return self._results.newest_ns is not None or self._error is not None
