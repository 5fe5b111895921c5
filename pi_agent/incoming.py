"""Which arriving messages are processed: no retained pings, no flood, nothing invalid."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.inbox import Inbox
from schemas import topics

if TYPE_CHECKING:
    from broker.inbox import Letter
    from broker.interface import Incoming

_log = logging.getLogger(__name__)

_REPEAT_NS = 60_000_000_000

PER_TOPIC_HZ = 200.0
"""For each topic, so for each topside's pings: twice a burst of one every 10 ms. An honest topside waits for
each answer and sends a few a second."""
TOTAL_HZ = 1000.0
"""All topics together."""
_BURST_S = 0.5
"""How much of a second's share may come at once, as after a hiccup of the network."""
MOST_TOPICS = 64
"""Topics with a bucket of their own; their names come from the network, so they are bounded."""
IDLE_NS = 60_000_000_000
"""A topic that was silent for so long gives its place to a new one."""


@dataclass(slots=True)
class TokenBucket:
    """Lets `rate_hz` messages a second pass, and `rate_hz · 0.5 s` at once after a pause."""

    rate_hz: float
    tokens: float
    filled_at_ns: int

    @classmethod
    def full(cls, rate_hz: float, now_ns: int) -> TokenBucket:
        """A bucket after a long pause."""
        return cls(rate_hz, rate_hz * _BURST_S, now_ns)

    def take(self, now_ns: int) -> bool:
        """Whether one more message may pass at RAW `now_ns`."""
        earned = (now_ns - self.filled_at_ns) * self.rate_hz / 1e9
        self.tokens = min(self.rate_hz * _BURST_S, self.tokens + earned)
        self.filled_at_ns = now_ns
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class RateLimiter:
    """Limits how many messages are processed in a second: a bucket for each topic and one for all of them.

    A topic above its own share takes nothing from the common one, and a new topic is refused while all places
    are taken: so neither one faulty topside nor a flood under ever new names silences a topside that was
    there before. It can keep a new one out; that is for the broker's access list to prevent.
    """

    def __init__(self, now_ns: int) -> None:
        self._total = TokenBucket.full(TOTAL_HZ, now_ns)
        self._topics: dict[str, TokenBucket] = {}  # the one heard least recently first

    def admit(self, topic: str, now_ns: int) -> bool:
        """Whether a message that arrived on `topic` at RAW `now_ns` may be processed."""
        bucket = self._topics.pop(topic, None)
        if bucket is None:
            if not self._has_room(now_ns):
                return False
            bucket = TokenBucket.full(PER_TOPIC_HZ, now_ns)
        self._topics[topic] = bucket
        return bucket.take(now_ns) and self._total.take(now_ns)

    def _has_room(self, now_ns: int) -> bool:
        if len(self._topics) < MOST_TOPICS:
            return True
        oldest = next(iter(self._topics))
        if now_ns - self._topics[oldest].filled_at_ns < IDLE_NS:
            return False
        del self._topics[oldest]
        return True


class MessageFilter:
    """Opens what arrives for one vehicle; counts by reason what it drops.

    Retained pings and floods are logged once a minute for all topics together: the topics' names are the
    sender's to choose.
    """

    def __init__(self, root: str, vehicle: str, now_ns: int) -> None:
        self._inbox = Inbox(root)
        self._rate_limiter = RateLimiter(now_ns)
        self._pings = topics.subscription(root, topics.PING, vehicle=vehicle).removesuffix("+")
        self._own = self._pings.removesuffix("ping/")
        self._topsides = topics.subscription(root, topics.TOPSIDE_STATUS)
        self._requests = topics.subscription(root, topics.UDP_REQUEST, vehicle=vehicle).removesuffix("/+")
        self._dropped: Counter[str] = Counter()
        self._logged_at_ns: dict[str, int] = {}

    @property
    def dropped(self) -> Counter[str]:
        """Messages dropped, by `retained`, `flood`, `topic`, `invalid`; for any thread."""
        return Counter(self._inbox.dropped) + Counter(self._dropped)  # copies: the network thread counts on

    def open(self, message: Incoming) -> Letter | None:
        """The letter in `message`, or None when it is not to be processed."""
        if message.retain:
            if message.topic.startswith(self._pings):  # status and info are retained by design, but not live
                self._drop("retained", "a retained ping is not answered", message)
            return None
        if not self._rate_limiter.admit(self._bucket(message.topic), message.received.raw_ns):
            self._drop("flood", "too many messages", message)
            return None
        return self._inbox.open(message)

    def _bucket(self, topic: str) -> str:
        """Topsides' statuses have one, any name may come; and so have requests, which are rare."""
        if not topic.startswith(self._own):
            return self._topsides
        return self._requests if topic.startswith(self._requests) else topic

    def _drop(self, reason: str, sentence: str, message: Incoming) -> None:
        self._dropped[reason] += 1
        now_ns = message.received.raw_ns
        if now_ns - self._logged_at_ns.get(reason, -_REPEAT_NS) >= _REPEAT_NS:
            self._logged_at_ns[reason] = now_ns
            _log.warning(
                "dropped a message on %s: %s (%d so far)",
                message.topic[:200],
                sentence,
                self._dropped[reason],
            )
