"""Logging: set up once by the entry point, to standard error, so that `--json` stays clean."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.clock import Clock

_REPEAT_NS = 60_000_000_000


def configure_logging(*, verbose: bool = False, quiet: bool = False) -> None:
    """Send log lines to standard error, in UTC."""
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("amqtt", "transitions", "asyncio", "uvicorn", "passlib", "sse_starlette"):
        logging.getLogger(chatty).setLevel(logging.WARNING if verbose else logging.CRITICAL)


@contextmanager
def broker_log_at(level: int) -> Iterator[None]:
    """Suppress what the connection logs below `level` in the block: a one-shot command reports it itself."""
    log = logging.getLogger("broker")
    before = log.level
    log.setLevel(level)
    try:
        yield
    finally:
        log.setLevel(before)


class RateLimitedLog:
    """Logs each sentence when it is new, then at most once a minute."""

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._logged_at_ns: dict[str, int] = {}

    def info(self, sentence: str) -> None:
        """Log at INFO."""
        self._write(logging.INFO, sentence)

    def warning(self, sentence: str) -> None:
        """Log at WARNING."""
        self._write(logging.WARNING, sentence)

    def forget(self) -> None:
        """Take every sentence as new."""
        self._logged_at_ns.clear()

    def _write(self, level: int, sentence: str) -> None:
        now_ns = self._clock.raw_ns()
        last_ns = self._logged_at_ns.get(sentence)
        if last_ns is None or now_ns - last_ns > _REPEAT_NS:
            self._logged_at_ns[sentence] = now_ns
            self._log.log(level, "%s", sentence)
