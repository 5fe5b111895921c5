"""Sentences for the log that are said when they are new, then once a minute."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.clock import Clock

_REPEAT_NS = 60_000_000_000


class RateLimitedLog:
    """Says what may come about again and again."""

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._said_at_ns: dict[str, int] = {}

    def info(self, sentence: str) -> None:
        """Say what is merely so."""
        self._say(logging.INFO, sentence)

    def warning(self, sentence: str) -> None:
        """Say what is amiss."""
        self._say(logging.WARNING, sentence)

    def forget(self) -> None:
        """Take every sentence for new."""
        self._said_at_ns.clear()

    def _say(self, level: int, sentence: str) -> None:
        now_ns = self._clock.raw_ns()
        last_ns = self._said_at_ns.get(sentence)
        if last_ns is None or now_ns - last_ns > _REPEAT_NS:
            self._said_at_ns[sentence] = now_ns
            self._log.log(level, "%s", sentence)
