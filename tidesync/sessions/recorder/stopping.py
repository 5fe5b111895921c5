"""The end of a recording, pure: what is still taken, and until when the last exchanges are awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from schemas.exchange import UDP
from tidesync.sessions.recorder.missing_ranges import REPEAT_REQUEST_NS
from tidesync.sessions.recorder.sources import MOST_STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from schemas.exchange import Exchange
    from tidesync.sessions.journal import Stream

Phase = Literal["recording", "stopping", "ending", "smoothing", "stopped"]
"""Of a session. Stopping: the last exchanges are awaited; ending: the disk is to take them."""
ANSWER_NS = 3_000_000_000
"""A stop is answered when all is written, and no later than this."""
PATIENCE_NS = 3 * REPEAT_REQUEST_NS
"""What a topside may have is awaited for so long after something new has come: three requests."""
HELD_NS = 1_200_000_000
"""A direct exchange waits for its transmit stamp for a second at most: others overtake it."""
LONGEST_REPORTED_NS = 60_000_000_000
"""Exchanges of which results go on telling, while none comes, delay it up to this."""
LONGEST_STOP_NS = 600_000_000_000
"""Exchanges that are coming back delay the end up to this."""


class Sent(NamedTuple):
    """What is known of an exchange at its arrival."""

    ahead: bool
    """Whether it is newer than all of its source."""
    settled: bool
    """Whether what follows is known well enough, or never will be."""
    prompt_ns: tuple[int, int] | None
    """When it would have come had it waited nowhere, by RAW and by what says later; None: not known."""


class Stopping:
    """Begun at a stop, of which an operator waits for the answer. Instants are the recorder's RAW."""

    def __init__(self, wait_s: float, now_ns: int) -> None:
        self._wait_ns = round(wait_s * 1e9)
        self.began_ns = self._recorded_ns = self._coming_ns = now_ns
        self._stopped_ns = now_ns
        """When it began, as if RAW had gone on in sleep: earlier than that was by RAW."""
        self._heard: set[Stream] = set()
        self._direct: set[Stream] = set()
        """Those that were measured directly since."""
        self._past: set[Stream] = set()

    def is_answered(self, now_ns: int, *, saved: bool = False) -> bool:
        """Whether who asked for it waits no longer, whatever is still awaited or computed.

        `saved`: the end takes long, and a restart would go on with it.
        """
        return saved or now_ns >= self.answer_ns

    @property
    def answer_ns(self) -> int:
        """When it is answered at the latest."""
        return self.began_ns + ANSWER_NS

    def slept(self, slept_ns: int) -> None:
        """The recorder's machine slept, in which its RAW stood still; it waits as long as ever."""
        self._stopped_ns -= slept_ns

    def note_recorded(self, now_ns: int) -> None:
        """Something new has come."""
        self._recorded_ns = now_ns

    def wanted(
        self, exchanges: Iterable[Exchange], sent: Callable[[Exchange], Sent], now_ns: int
    ) -> tuple[list[Exchange], list[Exchange]]:
        """Those to record, and those of after the stop; each stream's first shows what is missing before."""
        taken: list[Exchange] = []
        passed: list[Exchange] = []
        for exchange in exchanges:
            (ahead, settled, prompt_ns), stream = sent(exchange), (exchange.vehicle, exchange.topside)
            if exchange.method == UDP.name:
                self._direct.add(stream)
            if ahead and settled:
                self._note(stream, prompt_ns, now_ns)
            elif ahead:
                self._coming_ns = now_ns
            after = (
                ahead and settled and prompt_ns is not None and prompt_ns[0] > self._stopped_ns + ANSWER_NS
            )
            (passed if after and not self._is_first(stream) else taken).append(exchange)
        return taken, passed

    def _note(self, stream: Stream, prompt_ns: tuple[int, int] | None, now_ns: int) -> None:
        """All of a stream until the stop have come once one comes that was sent after it; till then more do.

        Not all clocks say that where one was set or its machine slept: then it is not waited for.
        """
        last_ns = self._stopped_ns + (HELD_NS if stream in self._direct else 0)
        if prompt_ns is None or prompt_ns[0] > last_ns:
            self._heard.add(stream)
        elif stream not in self._heard and prompt_ns[1] <= last_ns:
            self._coming_ns = now_ns

    def has_heard(self, stream: Stream) -> bool:
        """Whether its last exchanges have come."""
        return stream in self._heard

    def deadline_ns(self, patience_ns: int | None, until_ns: int) -> int:
        """Until when to wait, at least `until_ns`: for `patience_ns` after a new one if some are missing.

        Else for the last exchanges, while those before them come.
        """
        until_ns = max(until_ns, self._coming_ns + self._wait_ns)
        if patience_ns is not None:
            until_ns = max(until_ns, self._recorded_ns + max(self._wait_ns, patience_ns))
        return min(until_ns, self.began_ns + LONGEST_STOP_NS)

    def _is_first(self, stream: Stream) -> bool:
        first = stream not in self._past
        if first and len(self._past) < MOST_STREAMS:
            self._past.add(stream)
        return first
