"""What arrives, decoded or dropped: a peer's rubbish is counted, logged once a minute, and harms nothing."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from schemas import topics
from schemas.base import InvalidMessageError, Message
from schemas.topics import InvalidTopicError, Topic

if TYPE_CHECKING:
    from broker.interface import Incoming

_log = logging.getLogger(__name__)

_REPEAT_S = 60
_MOST_PEERS = 1000
"""Topics remembered for the once-a-minute rule; names come from the network, so they are bounded."""


class Letter(NamedTuple):
    """A message that is what its topic promises; `body` is the word where a status is plain text."""

    topic: Topic
    body: Message | str
    incoming: Incoming


class Inbox:
    """Decodes messages below one topic root; counts by reason what it must drop."""

    def __init__(self, root: str) -> None:
        self.dropped: Counter[str] = Counter()
        self._root = root
        self._logged_at_ns: dict[tuple[str, str], int] = {}
        self._silent: Counter[tuple[str, str]] = Counter()

    def open(self, incoming: Incoming) -> Letter | None:
        """The letter in `incoming`, or None after counting why not."""
        try:
            topic = topics.parse(self._root, incoming.topic)
        except InvalidTopicError as error:
            self.drop("topic", str(error), incoming)
            return None
        if topic.kind.retain and not incoming.payload:
            return None  # a retained message was cleared
        try:
            return Letter(topic, topic.kind.decode(incoming.payload), incoming)
        except InvalidMessageError as error:
            self.drop("invalid", str(error), incoming)
            return None

    def drop(self, reason: str, sentence: str, incoming: Incoming) -> None:
        """Count a message as dropped; log it when its topic has been quiet for a minute."""
        self.dropped[reason] += 1
        key = (incoming.topic[:200], reason)
        now_ns = incoming.received.raw_ns
        last_ns = self._logged_at_ns.get(key)
        if last_ns is not None and now_ns - last_ns < _REPEAT_S * 1_000_000_000:
            self._silent[key] += 1
            return
        if len(self._logged_at_ns) >= _MOST_PEERS and not self._forget_old(now_ns):
            return  # a flood of new names: counted above, and logged once there is room again
        self._logged_at_ns[key] = now_ns
        more = self._silent.pop(key, 0)
        _log.warning(
            "dropped a message on %s: %s%s", key[0], sentence, f" (and {more} more since)" if more else ""
        )

    def _forget_old(self, now_ns: int) -> bool:
        """Forget topics quiet for a minute; whether that made room."""
        old = [
            key for key, at_ns in self._logged_at_ns.items() if now_ns - at_ns >= _REPEAT_S * 1_000_000_000
        ]
        for key in old:
            del self._logged_at_ns[key]
            self._silent.pop(key, None)
        return bool(old)
