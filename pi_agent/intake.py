"""Which arriving messages are looked at: none that the broker had kept, none of too many, no rubbish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.inbox import Inbox
from pi_agent.limits import Limits
from schemas import topics

if TYPE_CHECKING:
    from collections import Counter

    from broker.connection import Incoming
    from broker.inbox import Letter


class Intake:
    """Opens what arrives for one vehicle; counts by reason what it drops."""

    def __init__(self, root: str, vehicle: str, now_ns: int) -> None:
        self._inbox = Inbox(root)
        self._limits = Limits(now_ns)
        self._pings = topics.subscription(root, topics.PING, vehicle=vehicle).removesuffix("+")

    @property
    def dropped(self) -> Counter[str]:
        """Messages dropped: `retained`, `flood`, `topic`, `invalid`."""
        return self._inbox.dropped

    def open(self, message: Incoming) -> Letter | None:
        """The letter in `message`, or None when it is not to be looked at."""
        if message.retain:
            if message.topic.startswith(self._pings):  # status and info are kept by right, and are old news
                self._inbox.drop("retained", "a ping that the broker had kept is no question", message)
            return None
        if not self._limits.admit(message.topic, message.received.raw_ns):
            self._inbox.drop("flood", "more than are looked at", message)
            return None
        return self._inbox.open(message)
