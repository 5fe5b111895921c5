"""Finished exchanges kept in memory, pure: batches to publish, and to publish again on request."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from schemas.base import MAX_MESSAGE_BYTES
from schemas.messages import MAX_BATCH
from topside_agent.measuring.exchange_lines import NUMBERS, LineWriter, labels_of, numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.exchange import Exchange
    from topside_agent.measuring.exchange_lines import Labels


_AROUND = 80
"""Bytes of a batch beside its exchanges, at most."""
_WORDS = 2 + len(NUMBERS)
"""Of each exchange: the number of its writer, when it finished, and its numbers (the first is `seq`)."""
_WRITERS = 64
"""Beyond so many those that are no longer in use are dropped: a peer may take another name each time."""


class Backlog:
    """One vehicle's exchanges of the last `keep_ns`, 80 bytes each, and how many are unpublished."""

    def __init__(self, keep_ns: int) -> None:
        self._keep_ns = keep_ns
        self._kept = array("q")
        self._dropped = 0
        """So many at the beginning of `_kept` are too old."""
        self._writers: list[LineWriter] = []
        self._numbered: dict[Labels, int] = {}
        self._waiting = 0
        self._batch = 0

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept) // _WORDS - self._dropped

    @property
    def waiting(self) -> int:
        """How many have not been published yet."""
        return self._waiting

    def add(self, exchange: Exchange, finished_raw_ns: int) -> None:
        """Keep an exchange that finished at topside's RAW `finished_raw_ns`; drop what is too old."""
        kept, labels = self._kept, labels_of(exchange)
        number = self._numbered.get(labels)
        if number is None:
            number = self._number(labels)
        kept.extend((number, finished_raw_ns, *numbers_of(exchange)))
        self._waiting += 1
        while self and finished_raw_ns - kept[self._dropped * _WORDS + 1] > self._keep_ns:
            self._dropped += 1
        if 2 * self._dropped > len(self):
            del kept[: self._dropped * _WORDS]
            self._dropped = 0
        self._waiting = min(self._waiting, len(self))

    def _number(self, labels: Labels) -> int:
        if len(self._writers) >= _WRITERS:
            self._forget_unused()
        self._numbered[labels] = len(self._writers)
        self._writers.append(LineWriter(labels))
        return self._numbered[labels]

    def _forget_unused(self) -> None:
        used = sorted({self._kept[place] for place in range(0, len(self._kept), _WORDS)})
        again = {number: place for place, number in enumerate(used)}
        for place in range(0, len(self._kept), _WORDS):
            self._kept[place] = again[self._kept[place]]
        self._writers = [self._writers[number] for number in used]
        self._numbered = {writer.labels: place for place, writer in enumerate(self._writers)}

    def take_batches(self) -> Iterator[bytes]:
        """What was not published yet, as encoded `ExchangeBatch`es; it counts as published."""
        count = len(self)
        for batch in _batches([self._line(place) for place in range(count - self._waiting, count)]):
            yield self._encode(batch)
            self._waiting -= len(batch)

    def resend(self, from_seq: int, to_seq: int) -> Iterator[bytes]:
        """Batches of what is still held of `from_seq` to `to_seq`, both included."""
        wanted = [place for place in range(len(self)) if from_seq <= self._word(place, 2) <= to_seq]
        for batch in _batches([self._line(place) for place in wanted]):
            yield self._encode(batch)

    def latest(self, since_raw_ns: int, most: int) -> list[bytes]:
        """Batches of what finished since topside's RAW `since_raw_ns`: its last `most`; all have number 0."""
        count = len(self)
        first = count
        while first > max(0, count - most) and self._word(first - 1, 1) >= since_raw_ns:
            first -= 1
        return [_encode(0, batch) for batch in _batches([self._line(place) for place in range(first, count)])]

    def _word(self, place: int, index: int) -> int:
        return self._kept[(self._dropped + place) * _WORDS + index]

    def _line(self, place: int) -> bytes:
        begin = (self._dropped + place) * _WORDS
        return self._writers[self._kept[begin]].line(self._kept[begin + 2 : begin + _WORDS])

    def _encode(self, lines: Sequence[bytes]) -> bytes:
        number, self._batch = self._batch, self._batch + 1
        return _encode(number, lines)


def _encode(number: int, lines: Sequence[bytes]) -> bytes:
    return b'{"schema_version":1,"batch":%d,"exchanges":[%b]}' % (number, b",".join(lines))


def _batches(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    """As many at a time as a message may hold, by their number and their bytes."""
    batch: list[bytes] = []
    room = 0
    for line in lines:
        room -= len(line) + 1
        if room < 0 or len(batch) == MAX_BATCH:
            if batch:
                yield batch
            batch, room = [], MAX_MESSAGE_BYTES - _AROUND - len(line) - 1
        batch.append(line)
    if batch:
        yield batch
