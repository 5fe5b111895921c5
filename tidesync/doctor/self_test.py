"""The self test: a simulated vehicle, whose offset is known, is measured over a real broker.

One connection plays both sides, on the command topic of a topside that does not exist: nobody else
subscribes to it. So one account is enough, if it may publish and read that topic.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.connection import Connection
from broker.interface import Incoming, Outgoing
from broker.settings import ConnectionSettings, EmbeddedBrokerSettings
from pi_agent.responder import Answerer, answer
from runtime.clock import Reading, SimulatedClock, SystemClock, process_instance_id, read
from schemas import topics
from schemas.base import InvalidMessageError
from schemas.instants import ns_from_utc
from schemas.messages import Ping, Pong
from tidesync.doctor.finding import fail, ok, skipped
from tidesync.figures import decimals_of, error_figure, figure
from topside_agent.measuring.actions import Drop, PublishResult, SendPing
from topside_agent.measuring.measurement import Measurement
from topside_agent.settings import TopsideSettings

if TYPE_CHECKING:
    from schemas.messages import OffsetResult
    from tidesync.doctor.finding import Finding

SIMULATED_OFFSET_MS = -1234.567
"""Negative, so that a wrong sign shows."""
_DRIFT_PPM = 18.0
_EXCHANGES = 16
_ECHO_S = 3.0
_LONGEST_S = 5.0
_CHECK = "sign of the offset"
_ADVICE = "a fault of this program or of a library's version: please report it with `tidesync doctor --json`"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured, and the true offset at the same instant."""

    result: OffsetResult
    true_ms: float


def exchange_check(settings: ConnectionSettings, *, reached: bool, refused: bool = False) -> Finding:
    """Measure the simulated vehicle over the broker, or over our own where this account may not publish."""
    outcome = run_self_test(settings) if reached else None
    if outcome:
        return offset_sign(outcome, f"over {settings.address}")
    away = "the broker does not let us in" if refused else "the broker cannot be reached"
    why = "this account may not publish there" if reached else away
    try:
        from broker.embedded import EmbeddedBroker  # noqa: PLC0415 - amqtt is not everywhere
    except ModuleNotFoundError as error:
        return skipped(
            _CHECK,
            f"{why}, and {error.name} is not installed for an embedded one",
            "`pip install tidesync`",
        )
    embedded = EmbeddedBroker(EmbeddedBrokerSettings(port=0))
    embedded.start()
    try:
        outcome = run_self_test(ConnectionSettings(broker=embedded.url))
    finally:
        embedded.stop()
    if outcome is None:
        return fail(_CHECK, "no exchange over a broker of our own", _ADVICE)
    return offset_sign(outcome, f"over a broker of our own: {why}")


def offset_sign(outcome: Outcome, where: str) -> Finding:
    """Whether the result has the sign of the true offset, and its bound contains it."""
    result, true_ms = outcome.result, outcome.true_ms
    if result.offset_ms is None or result.lower_ms is None or result.upper_ms is None:
        return fail(_CHECK, f"{_EXCHANGES} exchanges gave no offset: {result.state} ({where})", _ADVICE)
    decimals = decimals_of(result.max_error_ms, 3)
    offset, max_error = (
        figure(result.offset_ms, decimals),
        error_figure(result.max_error_ms, decimals, result.offset_ms),
    )
    measured = f"{offset} ± {max_error} ms"
    detail = f"simulated {true_ms:.3f} ms, measured {measured} ({where})"
    if result.offset_ms * true_ms < 0:
        return fail(_CHECK, f"wrong: {detail}", _ADVICE)
    if not result.lower_ms <= true_ms <= result.upper_ms:
        return fail(_CHECK, f"the bound does not contain the truth: {detail}", _ADVICE)
    return ok(_CHECK, f"right: {detail}")


def run_self_test(settings: ConnectionSettings) -> Outcome | None:
    """The outcome; None when what is published does not come back."""
    test = _SelfTest(settings)
    test.connection.start()
    try:
        if not test.connection.wait_until_up(_LONGEST_S) or not test.echoed.wait(_ECHO_S):
            return None
        test.done.wait(_LONGEST_S)
        return test.outcome()
    finally:
        test.connection.stop()


class _SelfTest:
    def __init__(self, settings: ConnectionSettings) -> None:
        self.echoed, self.done = threading.Event(), threading.Event()
        self._clock = SystemClock()
        self._vehicle = SimulatedClock(self._clock, round(SIMULATED_OFFSET_MS * 1e6), _DRIFT_PPM)
        self._answerer = Answerer(self._vehicle.boot_id, process_instance_id(), self._clock.resolution_ns)
        self._measurement = Measurement(
            "doctor", TopsideSettings(topside="doctor"), resolution_ns=self._clock.resolution_ns
        )
        name = f"doctor-{secrets.token_hex(4)}"
        self._topic = topics.build(settings.topic_root, topics.TOPSIDE_COMMAND, topside=name)
        self._exchanges = 0
        self.connection = Connection(settings, self, self._clock, name="tidesync-doctor")

    def outcome(self) -> Outcome | None:
        """The result, and the true offset at its instant."""
        now = read(self._clock)
        actions = self._measurement.publish(now)
        result = next((action.result for action in actions if isinstance(action, PublishResult)), None)
        if result is None or result.measured_at is None:
            return None
        at_raw_ns = ns_from_utc(result.measured_at) - now.realtime_minus_raw_ns
        true_ns = self._vehicle.true_offset_ns(Reading(at_raw_ns, now.realtime_minus_raw_ns, 0))
        return Outcome(result, true_ns / 1e6)

    def connected(self) -> None:
        """Subscribe for both sides; topside begins with a burst."""
        self.connection.subscribe([(self._topic, 0)])
        self._measurement.appeared(self._clock.raw_ns())

    def disconnected(self, reason: str) -> None:
        """Nothing to do: without an echo in time there is no outcome."""

    def received(self, message: Incoming) -> None:
        """The vehicle's side answers a ping, topside's takes a pong."""
        if message.topic != self._topic:
            return
        self.echoed.set()
        with contextlib.suppress(InvalidMessageError):
            if b'"receive_ns"' in message.payload:
                self._take(Pong.decode(message.payload), message.received)
            else:
                self._answer(Ping.decode(message.payload))

    def tick(self, now: Reading) -> float:
        """Send a ping when one is due."""
        if not self.connection.up or self.done.is_set():
            return 0.1
        for action in self._measurement.timer(now):
            if isinstance(action, SendPing):
                self.connection.publish(Outgoing(self._topic, action.ping.encode(), 0))
        return 0.005

    def _answer(self, ping: Ping) -> None:
        received = read(self._vehicle)
        pong = answer(ping, received, "user", read(self._vehicle), self._answerer)
        if isinstance(pong, Pong):
            self.connection.publish(Outgoing(self._topic, pong.encode(), 0))

    def _take(self, pong: Pong, received: Reading) -> None:
        dropped = any(isinstance(action, Drop) for action in self._measurement.pong(pong, received))
        self._exchanges += not dropped
        if self._exchanges >= _EXCHANGES:
            self.done.set()
