"""Logging: set up once by the entry point, to standard error, so that `--json` stays clean."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.clock import Clock

_REPEAT_NS = 60_000_000_000
_MOST_PEERS = 1000
"""Names come from the network, so what is remembered of them is bounded."""


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


class PeerLog:
    """Logs what peers cause: of each peer the first lines of a minute, with the number left out before.

    A flood of new names is not logged, once the places are taken, until there is room again.
    """

    def __init__(self, log: logging.Logger, lines_per_minute: int = 1) -> None:
        self._log = log
        self._most = lines_per_minute
        self._peers: dict[Hashable, _Lines] = {}
        self._full_until_ns = 0

    def info(self, peer: Hashable, sentence: str, now_ns: int) -> None:
        """Log at INFO; `now_ns` is the RAW clock."""
        self._write(logging.INFO, peer, sentence, now_ns)

    def warning(self, peer: Hashable, sentence: str, now_ns: int) -> None:
        """Log at WARNING."""
        self._write(logging.WARNING, peer, sentence, now_ns)

    def error(self, peer: Hashable, sentence: str, now_ns: int, error: Exception) -> None:
        """Log at ERROR, with the traceback of `error`."""
        self._write(logging.ERROR, peer, sentence, now_ns, error)

    def _write(
        self, level: int, peer: Hashable, sentence: str, now_ns: int, error: Exception | None = None
    ) -> None:
        lines = self._peers.get(peer)
        if lines is None:
            if len(self._peers) >= _MOST_PEERS and not self._forget_old(now_ns):
                return
            lines = self._peers[peer] = _Lines(now_ns)
        more = lines.unlogged
        if lines.admits(self._most, now_ns):
            left_out = f" (and {more} more since)" if more else ""
            self._log.log(level, "%s%s", sentence, left_out, exc_info=error)

    def _forget_old(self, now_ns: int) -> bool:
        """Forget peers without a line for a minute; returns whether that made room."""
        if now_ns < self._full_until_ns:
            return False  # a look at each of them would be the dearest part of a flood
        old = [peer for peer, lines in self._peers.items() if now_ns - lines.since_ns >= _REPEAT_NS]
        for peer in old:
            del self._peers[peer]
        oldest_ns = min((lines.since_ns for lines in self._peers.values()), default=now_ns - _REPEAT_NS)
        self._full_until_ns = min(oldest_ns, now_ns) + _REPEAT_NS
        return bool(old)


@dataclass(slots=True)
class _Lines:
    """What was logged of one peer since `since_ns`."""

    since_ns: int
    logged: int = 0
    unlogged: int = 0

    def admits(self, most: int, now_ns: int) -> bool:
        """Whether one more line may be logged; counts it."""
        if now_ns - self.since_ns >= _REPEAT_NS:
            self.since_ns, self.logged = now_ns, 0
        admitted = self.logged < most
        self.logged += admitted
        self.unlogged = 0 if admitted else self.unlogged + 1
        return admitted


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
            if len(self._logged_at_ns) >= _MOST_PEERS:
                del self._logged_at_ns[next(iter(self._logged_at_ns))]  # a peer may have a part in sentences
            self._logged_at_ns[sentence] = now_ns
            self._log.log(level, "%s", sentence)
