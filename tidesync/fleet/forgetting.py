"""What a broker retains of a vehicle or a topside: list it, check that it may be forgotten, clear it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from broker.interface import Outgoing
from broker.settings import ConnectionSettings
from schemas import topics
from schemas.base import InvalidMessageError
from schemas.choice import fresh_for_s
from schemas.messages import OffsetResult
from tidesync.fleet.vehicle import measured_age_s
from tidesync.retained import RetainedReader
from topside_agent.integrations.homeassistant import discovery_topic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.clock import Reading

_RETAINED = tuple(kind for kind in topics.TOPICS if kind.retain)
_MEASURED = {"locked", "acquiring"}
_LATE_S = 5.0
"""A topside that runs may take so much longer to publish that an exchange was the last: it was read late, or
waited for its stamps. Until it has, topside does not drop the vehicle."""


class ForgetSettings(ConnectionSettings):
    """How to reach the broker, and where Home Assistant looks for devices."""

    homeassistant_prefix: str = Field(
        "homeassistant",
        pattern=r"^[^+#\s\x00]{1,100}$",
        description="Home Assistant's discovery prefix: the vehicle's device below it is cleared too",
    )


def presence(root: str, name: str, retained: Mapping[str, bytes], now: Reading) -> str | None:
    """Why the vehicle or topside is still present, or None when it may be forgotten."""
    for about, payload in sorted(retained.items(), reverse=True):  # a vehicle's status before its results
        topic = _parsed(root, about)
        if topic is None:
            continue
        if topic.kind in {topics.STATUS, topics.TOPSIDE_STATUS} and payload == b"online":
            return f"{name} is online; stop its agent first"
        if topic.kind is topics.OFFSET and _measured_now(payload, now):
            return f"{topic.vehicle} is being measured by {topic.topside}; stop its agent first"
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
    return result.state in _MEASURED and age_s is not None and abs(age_s) <= fresh_for_s(result) + _LATE_S


class RetainedMessages:
    """Lists what the broker retains of one vehicle or topside, invalid messages included, and clears it."""

    def __init__(
        self, settings: ForgetSettings, *, vehicle: str | None = None, topside: str | None = None
    ) -> None:
        """Give one of the two names."""
        names = {"vehicle": vehicle} if vehicle else {"topside": topside or ""}
        of = f"{{{next(iter(names))}}}"
        self._filters = [
            topics.subscription(settings.topic_root, kind, **names)
            for kind in _RETAINED
            if of in kind.template
        ]
        if vehicle:
            self._filters.append(discovery_topic(settings.homeassistant_prefix, vehicle))
        self._reader = RetainedReader(settings, "tidesync-forget")
        self.connection = self._reader.connection

    @property
    def round_trip_s(self) -> float:
        """Of the link to the broker, as it was measured last."""
        return self._reader.round_trip_s

    def read(self) -> dict[str, bytes]:
        """What the broker retains now, by topic; NotFoundOutError when that cannot be known."""
        return {topic: message.payload for topic, message in self._reader.read(self._filters).items()}

    def clear(self, names: list[str]) -> None:
        """Clear these topics, the status first: by it topsides learn to drop a vehicle."""
        ordered = sorted(names, key=lambda name: not name.endswith("/status"))
        messages = [Outgoing(name, b"", 1, retain=True) for name in ordered]
        self.connection.post(lambda: [self.connection.publish(message) for message in messages])
