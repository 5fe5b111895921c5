"""How many messages are looked at in a second, so that a flood costs bounded work."""

from __future__ import annotations

from dataclasses import dataclass

PER_TOPIC_HZ = 200.0
"""For each topic, so for each topside's pings: twice a burst of one every 10 ms. An honest topside waits for
each answer and sends a few a second."""
TOTAL_HZ = 1000.0
"""All topics together."""
_BURST_S = 0.5
"""How much of a second's share may come at once, as after a hiccup of the network."""
MOST_TOPICS = 64
"""Topics told apart; their names come from the network, so they are bounded."""
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
        """A bucket that has been left alone for long."""
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


class Limits:
    """A bucket for each topic and one for all of them.

    A topic above its own share takes nothing from the common one, and a new topic finds no place while all
    are taken: so neither one mad topside nor a flood under ever new names silences a topside that was there
    before. It can keep a new one out; that is for the broker's access list to prevent.
    """

    def __init__(self, now_ns: int) -> None:
        self._total = TokenBucket.full(TOTAL_HZ, now_ns)
        self._topics: dict[str, TokenBucket] = {}  # the one heard least recently first

    def admit(self, topic: str, now_ns: int) -> bool:
        """Whether a message that arrived on `topic` at RAW `now_ns` may be looked at."""
        bucket = self._topics.pop(topic, None)
        if bucket is None:
            if not self._room(now_ns):
                return False
            bucket = TokenBucket.full(PER_TOPIC_HZ, now_ns)
        self._topics[topic] = bucket
        return bucket.take(now_ns) and self._total.take(now_ns)

    def _room(self, now_ns: int) -> bool:
        if len(self._topics) < MOST_TOPICS:
            return True
        oldest = next(iter(self._topics))
        if now_ns - self._topics[oldest].filled_at_ns < IDLE_NS:
            return False
        del self._topics[oldest]
        return True
