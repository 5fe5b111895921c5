"""Decodes messages, or drops them: invalid ones are counted, and logged once a minute for each topic."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from broker.budgets import UNCHARGED
from runtime.logs import PeerLog
from schemas import topics
from schemas.base import InvalidMessageError, Message
from schemas.topics import InvalidTopicError, Topic

if TYPE_CHECKING:
    from broker.budgets import PeerBudgets
    from broker.interface import Incoming

_log = logging.getLogger(__name__)


class Letter(NamedTuple):
    """A message that is valid for its topic; `body` is a str where a status is plain text."""

    topic: Topic
    body: Message | str
    incoming: Incoming


class Inbox:
    """Decodes messages below one topic root; counts by reason what it must drop."""

    def __init__(self, root: str, budgets: PeerBudgets | None = None) -> None:
        """With `budgets` what a peer sends above them is dropped too."""
        self.dropped: Counter[str] = Counter()
        self._root = root
        self._budgets = budgets
        self._log = PeerLog(_log)

    def open(self, incoming: Incoming) -> Letter | None:
        """The decoded message, or None after counting why not."""
        try:
            topic = topics.parse(self._root, incoming.topic)
        except InvalidTopicError as error:
            self.drop("topic", str(error), incoming)
            return None
        if topic.kind.retain and not incoming.payload:
            return None  # a retained message was cleared
        budgets = None if topic.kind in UNCHARGED else self._budgets
        now_ns, size = incoming.received.raw_ns, len(incoming.payload)
        if budgets and (excess := budgets.refuse_bytes(topic, size, now_ns)):
            self.drop("budget", excess, incoming)
            return None
        try:
            letter = Letter(topic, topic.kind.decode(incoming.payload), incoming)
        except (
            InvalidMessageError,
            ArithmeticError,
            RecursionError,
        ) as error:  # the latter two: our own faults
            self.drop("invalid", str(error), incoming)
            return None
        if budgets and (excess := budgets.refuse(topic, letter.body, now_ns)):
            self.drop("budget", excess, incoming)
            return None
        return letter

    def drop(self, reason: str, sentence: str, incoming: Incoming) -> None:
        """Count a dropped message; log it if the last of its topic and reason was logged a minute ago."""
        self.dropped[reason] += 1
        place = incoming.topic[:200]
        self._log.warning(
            (place, reason), f"dropped a message on {place}: {sentence}", incoming.received.raw_ns
        )
