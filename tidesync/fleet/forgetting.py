"""What a broker retains of a vehicle: list it, check that the vehicle may be forgotten, clear it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pydantic import Field

from broker.connection import Connection
from broker.interface import Incoming, Outgoing
from broker.settings import ConnectionSettings
from runtime.clock import SystemClock
from schemas import topics
from schemas.base import InvalidMessageError
from schemas.messages import OffsetResult
from tidesync.fleet.vehicle import fresh_for_s, measured_age_s
from topside_agent.integrations.homeassistant import discovery_topic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.clock import Reading

_QUIET_S = 0.5
_KINDS = tuple(kind for kind in topics.TOPICS if kind.retain and "{vehicle}" in kind.template)
_MEASURED = {"locked", "acquiring"}


class ForgetSettings(ConnectionSettings):
    """How to reach the broker, and where Home Assistant looks for devices."""

    homeassistant_prefix: str = Field(
        "homeassistant",
        pattern=r"^[^+#\s\x00]{1,100}$",
        description="Home Assistant's discovery prefix: the vehicle's device below it is cleared too",
    )


def presence(root: str, vehicle: str, retained: Mapping[str, bytes], now: Reading) -> str | None:
    """Why the vehicle is still present, or None when it may be forgotten."""
    for name, payload in sorted(retained.items(), reverse=True):  # its status before its results
        topic = _parsed(root, name)
        if topic is None:
            continue
        if topic.kind is topics.STATUS and payload == b"online":
            return f"{vehicle} is online; stop its agent first"
        if topic.kind is topics.OFFSET and _measured_now(payload, now):
            return f"{vehicle} is being measured by {topic.topside}; stop its agent first"
    return None


def _parsed(root: str, name: str) -> topics.Topic | None:
    try:
        return topics.parse(root, name)
    except topics.InvalidTopicError:
        return None


def _measured_now(payload: bytes, now: Reading) -> bool:
    try:
        result = OffsetResult.decode(payload)
    except InvalidMessageError:
        return False
    age_s = measured_age_s(result, now)
    return result.state in _MEASURED and age_s is not None and abs(age_s) <= fresh_for_s(result)


class RetainedMessages:
    """Lists what the broker retains of one vehicle, invalid messages included, and clears it."""

    def __init__(self, settings: ForgetSettings, vehicle: str) -> None:
        self._filters = [
            topics.subscription(settings.topic_root, kind, vehicle=vehicle) for kind in _KINDS
        ] + [discovery_topic(settings.homeassistant_prefix, vehicle)]
        self._changed = threading.Condition()
        self._retained: dict[str, bytes] = {}
        self._heard = 0
        self.connection = Connection(settings, self, SystemClock(), name="tidesync-forget")

    def read(self) -> dict[str, bytes]:
        """What the broker retains now, by topic: a new subscription makes it send all of it."""
        with self._changed:
            self._retained = {}
        self.connection.post(lambda: self.connection.subscribe([(topic, 1) for topic in self._filters]))
        with self._changed:
            before = -1
            while self._heard > before:
                before = self._heard
                self._changed.wait_for(lambda: self._heard > before, _QUIET_S)  # noqa: B023 - called here
            return dict(sorted(self._retained.items()))

    def clear(self, names: list[str]) -> None:
        """Clear these topics, the status first: by it topsides learn to drop the vehicle."""
        ordered = sorted(names, key=lambda name: not name.endswith("/status"))
        messages = [Outgoing(name, b"", 1, retain=True) for name in ordered]
        self.connection.post(lambda: [self.connection.publish(message) for message in messages])

    def connected(self) -> None:
        """Nothing to do: `read` subscribes."""

    def disconnected(self, reason: str) -> None:
        """Nothing to do: the connection reconnects."""

    def received(self, message: Incoming) -> None:
        """Note what is retained; a result published meanwhile replaces the retained one."""
        with self._changed:
            if message.payload:
                self._retained[message.topic] = message.payload
            else:
                self._retained.pop(message.topic, None)
            self._heard += message.retain
            self._changed.notify_all()

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Nothing is due."""
        return 1.0
