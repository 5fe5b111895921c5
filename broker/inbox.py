"""Decodes messages, or drops them: invalid ones are counted, and logged once a minute for each topic."""

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

_REPEAT_NS = 60_000_000_000
_MOST_PEERS = 1000
"""Topics remembered for the once-a-minute rule; names come from the network, so they are bounded."""


class Letter(NamedTuple):
    """A message that is valid for its topic; `body` is a str where a status is plain text."""

    topic: Topic
    body: Message | str
    incoming: Incoming


class Inbox:
    """Decodes messages below one topic root; counts by reason what it must drop."""

    def __init__(self, root: str) -> None:
        self.dropped: Counter[str] = Counter()
        self._root = root
        self._logged_at_ns: dict[tuple[str, str], int] = {}
        self._unlogged: Counter[tuple[str, str]] = Counter()

    def open(self, incoming: Incoming) -> Letter | None:
        """The decoded message, or None after counting why not."""
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
        except Exception as error:  # noqa: BLE001 - the decoder's own fault: this message is lost, no other
            self.drop("invalid", f"it cannot be decoded: {type(error).__name__}: {error}", incoming)
        return None

    def drop(self, reason: str, sentence: str, incoming: Incoming) -> None:
        """Count a dropped message; log it if the last of its topic and reason was logged a minute ago."""
        self.dropped[reason] += 1
        key = (incoming.topic[:200], reason)
        now_ns = incoming.received.raw_ns
        last_ns = self._logged_at_ns.get(key)
        if last_ns is not None and now_ns - last_ns < _REPEAT_NS:
            self._unlogged[key] += 1
            return
        if len(self._logged_at_ns) >= _MOST_PEERS and not self._forget_old(now_ns):
            return  # a flood of new names: counted above, and logged once there is room again
        self._logged_at_ns[key] = now_ns
        more = self._unlogged.pop(key, 0)
        _log.warning(
            "dropped a message on %s: %s%s", key[0], sentence, f" (and {more} more since)" if more else ""
        )

    def _forget_old(self, now_ns: int) -> bool:
        """Forget topics without a message for a minute; returns whether that made room."""
        old = [key for key, at_ns in self._logged_at_ns.items() if now_ns - at_ns >= _REPEAT_NS]
        for key in old:
            del self._logged_at_ns[key]
            self._unlogged.pop(key, None)
        return bool(old)
