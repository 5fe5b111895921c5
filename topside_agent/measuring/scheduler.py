"""What is due of each vehicle in its turn: a ping, an exchange that is given up, a result to publish."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from runtime.clock import read
from topside_agent.measuring.deadline_queue import DeadlineQueue
from topside_agent.measuring.publish_gate import FEW, GATHER_NS, PublishGate

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.client.one_step import OneStepTimestamp
    from runtime.clock import Clock, Reading
    from topside_agent.measuring.measurement import Measurement
    from topside_agent.measuring.outbox import Outbox
    from topside_agent.measuring.publisher import Publisher
    from topside_agent.measuring.vehicles import Vehicles

_NEVER_NS = 2**63


class Scheduler:
    """Serves the vehicles of a roster when each is due, in the network thread."""

    def __init__(
        self, roster: Vehicles, outbox: Outbox, publisher: Publisher, send: Callable[..., bool], clock: Clock
    ) -> None:
        self._roster = roster
        self._outbox = outbox
        self._publisher = publisher
        self._send = send
        self._clock = clock
        self._agenda = DeadlineQueue()
        self._lull = PublishGate()
        self._departures: dict[str, OneStepTimestamp] = {}

    def take(self, now: Reading) -> int:
        """Do what is due; returns when something is next, on RAW."""
        while vehicle := self._agenda.pop(now.raw_ns):
            measurement = self._roster[vehicle]
            self._serve(measurement, now)
            self.wake(measurement)
        self._publish_released(now)
        return min(self._agenda.due_ns, self._lull.due_ns or _NEVER_NS)

    def wake(self, measurement: Measurement) -> None:
        """Have it served when it is next due; one standing entry a vehicle, the nearest."""
        waits = self._lull.holds(measurement.vehicle)  # then `released` names it, and only exchanges are due
        due_ns = measurement.exchange_due_ns if waits else measurement.next_due_ns()
        self._agenda.wake(measurement.vehicle, due_ns)

    def departed(self, measurement: Measurement) -> None:
        """Tell it when its last ping left, if that was stamped late."""
        late = self._departures.get(measurement.vehicle)
        if late is not None and late.raw_ns is not None:
            measurement.exchanger.departed(late.raw_ns)

    def answered(self, measurement: Measurement) -> None:
        """A pong has been taken; the turn of the loop ends with `take`, which publishes."""
        now_raw_ns = self._clock.raw_ns()
        follows = measurement.exchange_due_ns <= now_raw_ns  # a train is under way
        if not measurement.exchanger.waiting and not follows:
            self._lull.answered(measurement.vehicle)
        self._publish_soon(measurement, now_raw_ns)
        self.wake(measurement)

    def forget(self, vehicle: str) -> None:
        """Nothing of it is due any more."""
        self._lull.forget(vehicle)
        self._agenda.forget(vehicle)
        self._departures.pop(vehicle, None)

    def _serve(self, measurement: Measurement, now: Reading) -> None:
        measurement.expire(now.raw_ns)
        if measurement.ping_is_due(now.raw_ns):
            self._ping(measurement)
        self._publish_soon(measurement, now.raw_ns)

    def _ping(self, measurement: Measurement) -> None:
        nonce, sent = secrets.token_hex(8), read(self._clock)
        if ping := measurement.ping(sent, nonce):
            message = self._outbox.ping(measurement.vehicle, ping, sent)
            if message.late is not None:
                self._departures[measurement.vehicle] = message.late
            self._send(message)
            self._lull.sent(measurement.vehicle, sent.raw_ns)

    def _publish_soon(self, measurement: Measurement, now_raw_ns: int) -> None:
        if measurement.has_news(now_raw_ns):
            self._lull.wait(measurement.vehicle, now_raw_ns, GATHER_NS if len(self._roster) > FEW else 0)

    def _publish_released(self, now: Reading) -> None:
        released = [self._roster[vehicle] for vehicle in self._lull.released(now.raw_ns)]
        if released:
            self._publisher.results(released, now)
            for measurement in released:
                self.wake(measurement)
