"""Which arriving messages are looked at: none that the broker had kept, none of too many, no rubbish."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from broker.inbox import Inbox
from pi_agent.limits import Limits
from schemas import topics

if TYPE_CHECKING:
    from broker.inbox import Letter
    from broker.interface import Incoming

_log = logging.getLogger(__name__)

_REPEAT_NS = 60_000_000_000


class Intake:
    """Opens what arrives for one vehicle; counts by reason what it drops.

    What comes in numbers is logged once a minute for all topics together: the topics' names are the sender's
    to choose.
    """

    def __init__(self, root: str, vehicle: str, now_ns: int) -> None:
        self._inbox = Inbox(root)
        self._limits = Limits(now_ns)
        self._pings = topics.subscription(root, topics.PING, vehicle=vehicle).removesuffix("+")
        self._dropped: Counter[str] = Counter()
        self._said_at_ns: dict[str, int] = {}

    @property
    def dropped(self) -> Counter[str]:
        """Messages dropped: `retained`, `flood`, `topic`, `invalid`; may be asked for from any thread."""
        return Counter(self._inbox.dropped) + Counter(self._dropped)  # copies: the network thread counts on

    def open(self, message: Incoming) -> Letter | None:
        """The letter in `message`, or None when it is not to be looked at."""
        if message.retain:
            if message.topic.startswith(self._pings):  # status and info are kept by right, and are old news
                self._drop("retained", "a ping that the broker had kept is no question", message)
            return None
        if not self._limits.admit(message.topic, message.received.raw_ns):
            self._drop("flood", "more messages than are looked at", message)
            return None
        return self._inbox.open(message)

    def _drop(self, reason: str, sentence: str, message: Incoming) -> None:
        self._dropped[reason] += 1
        now_ns = message.received.raw_ns
        if now_ns - self._said_at_ns.get(reason, -_REPEAT_NS) >= _REPEAT_NS:
            self._said_at_ns[reason] = now_ns
            _log.warning(
                "dropped a message on %s: %s (%d so far)",
                message.topic[:200],
                sentence,
                self._dropped[reason],
            )
