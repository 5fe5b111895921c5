"""Finished exchanges kept in memory, pure: batches to publish, and to publish again on request."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from schemas.base import MAX_MESSAGE_BYTES
from schemas.messages import MAX_BATCH
from topside_agent.measuring.exchange_lines import NUMBERS, LineWriter, labels_of, numbers_of
from topside_agent.measuring.number_rows import NumberRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.exchange import Exchange
    from topside_agent.measuring.exchange_lines import Labels


_AROUND = 80
"""Bytes of a batch beside its exchanges, at most."""
_WORDS = 2 + len(NUMBERS)
"""Of each exchange: the number of its writer, when it finished, and its numbers (the first is `seq`)."""
_BEFORE = {3: 1, 4: 3, 5: 4, 6: 5}
"""Each stamp is stored as its distance from the one before, the first as that from when it finished."""
_WRITERS = 64
"""Of so many more than are in use, the others are dropped: a peer may take another name each time."""


class Backlog:
    """One vehicle's exchanges of the last `keep_ns`, compressed, and how many are unpublished."""

    def __init__(self, keep_ns: int) -> None:
        self._keep_ns = keep_ns
        self._kept = _no_rows()
        self._writers: list[LineWriter] = []
        self._most_writers = _WRITERS
        self._numbered: dict[Labels, int] = {}
        self._waiting = 0
        self._batch = 0

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

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
            kept = self._kept
        kept.add((number, finished_raw_ns, *numbers_of(exchange)))
        while finished_raw_ns - kept.oldest > self._keep_ns:
            kept.drop_oldest()
        self._waiting = min(self._waiting + 1, len(kept))

    def _number(self, labels: Labels) -> int:
        if len(self._writers) >= self._most_writers:
            self._forget_unused()
        self._numbered[labels] = len(self._writers)
        self._writers.append(LineWriter(labels))
        return self._numbered[labels]

    def _forget_unused(self) -> None:
        used = sorted({row[0] for row in self._kept.since(0)})
        again = {number: place for place, number in enumerate(used)}
        kept = _no_rows()
        for row in self._kept.since(0):
            kept.add((again[row[0]], *row[1:]))
        self._kept = kept
        self._writers = [self._writers[number] for number in used]
        self._most_writers = len(used) + _WRITERS
        self._numbered = {writer.labels: place for place, writer in enumerate(self._writers)}

    def take_batches(self, most: int | None = None) -> Iterator[bytes]:
        """What was not published yet, as encoded `ExchangeBatch`es; it counts as published.

        Of that at most the `most` oldest exchanges; None: all.
        """
        unpublished = islice(self._kept.since(len(self._kept) - self._waiting), most)
        for batch in _batches([self._line(row) for row in unpublished]):
            yield self._encode(batch)
            self._waiting -= len(batch)

    def resend(self, from_seq: int, to_seq: int) -> Iterator[bytes]:
        """Batches of what is still held of `from_seq` to `to_seq`, both included."""
        for batch in _batches([self._line(row) for row in self._kept.between(from_seq, to_seq)]):
            yield self._encode(batch)

    def latest(self, since_raw_ns: int, most: int) -> list[bytes]:
        """Batches of what finished since topside's RAW `since_raw_ns`: its last `most`; all have number 0."""
        last = self._kept.since(max(0, len(self._kept) - most))
        return [
            _encode(0, batch) for batch in _batches([self._line(r) for r in last if r[1] >= since_raw_ns])
        ]

    def _line(self, row: Sequence[int]) -> bytes:
        return self._writers[row[0]].line(row[2:])

    def _encode(self, lines: Sequence[bytes]) -> bytes:
        number, self._batch = self._batch, self._batch + 1
        return _encode(number, lines)


def _encode(number: int, lines: Sequence[bytes]) -> bytes:
    return b'{"schema_version":1,"batch":%d,"exchanges":[%b]}' % (number, b",".join(lines))


def _no_rows() -> NumberRows:
    return NumberRows(_WORDS, age=1, key=2, before=_BEFORE)


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
