"""Finished exchanges kept in memory, pure: batches to publish, and to publish again on request."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from schemas.base import MAX_MESSAGE_BYTES
from schemas.messages import MAX_BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.exchange import Exchange


_AROUND = 80
"""Bytes of a batch beside its exchanges, at most."""


class _Kept(NamedTuple):
    seq: int
    finished_raw_ns: int
    line: bytes


class Backlog:
    """One vehicle's exchanges of the last `keep_ns`, encoded once, and how many of them are unpublished."""

    def __init__(self, keep_ns: int) -> None:
        self._keep_ns = keep_ns
        self._kept: deque[_Kept] = deque()
        self._waiting = 0
        self._batch = 0

    @property
    def waiting(self) -> int:
        """How many have not been published yet."""
        return self._waiting

    def add(self, exchange: Exchange, finished_raw_ns: int) -> None:
        """Keep an exchange that finished at topside's RAW `finished_raw_ns`; drop what is too old."""
        self._kept.append(_Kept(exchange.seq, finished_raw_ns, exchange.encode()))
        self._waiting += 1
        while self._kept and finished_raw_ns - self._kept[0].finished_raw_ns > self._keep_ns:
            self._kept.popleft()
        self._waiting = min(self._waiting, len(self._kept))

    def take_batches(self) -> Iterator[bytes]:
        """What was not published yet, as encoded `ExchangeBatch`es; it counts as published."""
        count = len(self._kept)
        waiting = [self._kept[place] for place in range(count - self._waiting, count)]
        for batch in _batches(waiting):
            yield self._encode(batch)
            self._waiting -= len(batch)

    def resend(self, from_seq: int, to_seq: int) -> Iterator[bytes]:
        """Batches of what is still held of `from_seq` to `to_seq`, both included."""
        wanted = [kept for kept in self._kept if from_seq <= kept.seq <= to_seq]
        for batch in _batches(wanted):
            yield self._encode(batch)

    def _encode(self, kept: Sequence[_Kept]) -> bytes:
        lines = b",".join(entry.line for entry in kept)
        number, self._batch = self._batch, self._batch + 1
        return b'{"schema_version":1,"batch":%d,"exchanges":[%b]}' % (number, lines)


def _batches(kept: Sequence[_Kept]) -> Iterator[list[_Kept]]:
    """As many at a time as a message may hold, by their number and their bytes."""
    batch: list[_Kept] = []
    room = 0
    for entry in kept:
        room -= len(entry.line) + 1
        if room < 0 or len(batch) == MAX_BATCH:
            if batch:
                yield batch
            batch, room = [], MAX_MESSAGE_BYTES - _AROUND - len(entry.line) - 1
        batch.append(entry)
    if batch:
        yield batch
