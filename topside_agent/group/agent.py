"""A topside agent that shares the fleet with the other topsides of its group, if its settings name one."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runtime.clock import process_instance_id
from schemas import topics
from topside_agent.agent import TopsideAgent
from topside_agent.group.decisions import OwnResult
from topside_agent.group.measurement import SharedMeasurement
from topside_agent.group.share import GroupShare
from topside_agent.measuring.vehicles import MOST_VEHICLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.inbox import Letter
    from broker.interface import Incoming
    from runtime.clock import Clock, Reading
    from schemas.exchange import Exchange
    from topside_agent.group.interface import LocalChannel, Prover
    from topside_agent.group.later_start import NameTakenError
    from topside_agent.measuring.counts import TopsideCounts
    from topside_agent.settings import TopsideSettings

_log = logging.getLogger(__name__)

_KINDS = {topics.TOPSIDE_MEMBER, topics.TOPSIDE_HEARTBEAT, topics.OFFSET}
"""What topsides of a group hear of one another."""


class GroupAgent(TopsideAgent):
    """Measures the vehicles that are its own in the group; without a group every vehicle."""

    def __init__(
        self,
        settings: TopsideSettings,
        clock: Clock,
        *,
        instance_id: str | None = None,
        proof: Prover | None = None,
        channel: LocalChannel | None = None,
        **others: Any,
    ) -> None:
        instance_id = instance_id or process_instance_id()
        super().__init__(settings, clock, instance_id=instance_id, **others)
        self._name_taken: NameTakenError | None = None
        self.group = (
            GroupShare(
                settings,
                self._builder,
                self._connection,
                self,
                clock,
                instance_id=instance_id,
                capacity=MOST_VEHICLES,
                proof=proof,
                channel=channel,
            )
            if settings.group
            else None
        )
        if self.group:
            self._presence.settling = self.group.settling

    # Service

    @property
    def failure(self) -> Exception | None:
        """Why it ended by itself, once it has."""
        return self._name_taken or super().failure

    def stop(self) -> None:
        """Leave the vehicles to the others of the group, say offline, end."""
        if self.group:
            self._connection.post(self.group.leave)
        super().stop()

    def counts(self) -> TopsideCounts:
        """Snapshot for other threads."""
        return replace(super().counts(), group=self.group.counts() if self.group else None)

    # Owner of the connection: called in the network thread

    def connected(self) -> None:
        """Subscribe, announce, and measure the known vehicles that are its own."""
        super().connected()
        if self.group:
            self.group.connected(self._clock.raw_ns())

    def received(self, message: Incoming) -> None:
        """One message; the exchanges of others are kept as they are."""
        if not (self.group and self.group.received(message)):
            super().received(message)

    def tick(self, now: Reading) -> float:
        """Do what is due, the group first: who was away rests. Returns the seconds until something is."""
        if self.group:
            self._notice_sleep()  # before others are answered, and their answers used
        more = bool(self.group and self._connection.up and self.group.tick(now.raw_ns))
        pause_s = super().tick(now)
        return 0.0 if more else pause_s

    def _handle(self, letter: Letter) -> None:
        kind, own = letter.topic.kind, letter.topic.topside == self._settings.topside
        if self.group and kind in _KINDS:
            self.group.letter(letter)
            if not own or kind is not topics.OFFSET:
                return  # the later one of two of a name stops: its heartbeats put no result in doubt
        super()._handle(letter)

    def _on_status(self, letter: Letter) -> None:
        vehicle = letter.topic.vehicle
        if self.group is None:
            super()._on_status(letter)
        elif letter.body == "online" and vehicle:
            self.group.online(vehicle)
            if (measurement := self._vehicles.get(vehicle)) and not measurement.resting:
                super()._on_status(letter)

    def _on_cleared(self, name: str) -> None:
        if self.group:
            self.group.cleared(name)
        super()._on_cleared(name)

    def _forget(self, vehicle: str) -> None:
        if self.group:
            self.group.forget(vehicle)
        super()._forget(vehicle)

    def _slept(self, slept_ns: int) -> None:
        if self.group:
            self.group.slept(slept_ns)
        super()._slept(slept_ns)

    # What the group decides

    def take(self, vehicle: str, known: Sequence[Exchange]) -> None:
        """Measure `vehicle`, beginning with the exchanges that are known of it."""
        measurement = self._vehicles.online(vehicle)
        if isinstance(measurement, SharedMeasurement):
            self._perform(measurement, measurement.resume(known, self._clock.raw_ns()))
            self._homeassistant.announce(vehicle)

    def release(self, vehicle: str) -> None:
        """Measure `vehicle` no longer, and clear its result, which another topside publishes from now on."""
        measurement = self._vehicles.get(vehicle)
        if isinstance(measurement, SharedMeasurement):
            self._publish(measurement, measurement.flush())
            measurement.rest()
            self._homeassistant.released(vehicle)
            for place in (self._publisher, self._scheduler):
                place.forget(vehicle)
            self.direct.rest(vehicle, self._clock.raw_ns())

    def own_result(self, vehicle: str) -> OwnResult:
        """The last result of `vehicle`."""
        measurement = self._vehicles.get(vehicle)
        if isinstance(measurement, SharedMeasurement):
            return measurement.own_result
        return OwnResult(useful=False, max_error_ms=None)

    def known(self, vehicle: str) -> list[bytes]:
        """Encoded batches of the exchanges that the result of `vehicle` rests on, oldest first."""
        measurement = self._vehicles.get(vehicle)
        if isinstance(measurement, SharedMeasurement):
            return measurement.known(self._clock.raw_ns())
        return []

    def end(self, error: NameTakenError) -> None:
        """Stop: another process of this name was there before; nothing is published in its place."""
        if self._name_taken is None:
            _log.error("%s", error)
            self._name_taken = error
            self._connection.stop()
