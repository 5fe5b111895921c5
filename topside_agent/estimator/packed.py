"""Exchanges and rows kept compressed until they are wanted, in 10 to 16 bytes each instead of 60."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from topside_agent.estimator.exchanges import RECORD, ExchangeColumns, Exchanges
from topside_agent.estimator.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.exchange import Exchange
    from topside_agent.estimator.exchanges import Labels

_CHUNK = 512
_STAMPS = {2: 1, 3: 2, 4: 3}
"""Each stamp is stored as its difference from the one before it: receive − origin, and so on."""
_BOUNDS = {2: 1, 3: 1}
"""And the bounds of a row as theirs from its offset."""
_FASTEST = 1

Words = NDArray[np.int64]


class PackedExchanges:
    """Gathers exchanges one at a time, and keeps them compressed."""

    def __init__(self) -> None:
        self._columns = ExchangeColumns()
        self._chunks: list[tuple[int, bytes]] = []
        self._packed = 0
        self._labels: list[Labels] | None = None

    @classmethod
    def of(cls, exchanges: Exchanges) -> PackedExchanges:
        """These, in their order; none is added to them."""
        made = cls()
        made._labels = exchanges.numbered_labels
        for records in exchanges.chunks(_CHUNK):
            made._keep(records)
        return made

    def __len__(self) -> int:
        return self._packed + len(self._columns)

    def add(self, exchange: Exchange) -> None:
        """Append an exchange."""
        self._columns.add(exchange)
        if len(self._columns) == _CHUNK:
            self._keep(self._columns.drained())

    def _keep(self, records: NDArray[np.void]) -> None:
        self._chunks.append((records.size, pack(_words(records), _STAMPS)))
        self._packed += records.size

    @property
    def labels(self) -> list[Labels]:
        """What they carry, each once."""
        return self._columns.labels if self._labels is None else self._labels

    def unpacked(self) -> Exchanges:
        """All of them, in the order in which they were added."""
        table, begin = np.empty(len(self), dtype=RECORD), 0
        for size, chunk in self._chunks:
            _words(table[begin : begin + size])[:] = unpack(chunk, RECORD.itemsize // 8, _STAMPS)
            begin += size
        table[begin:] = self._columns.records()
        return Exchanges.in_table(table, self.labels)


class PackedRows:
    """A track's rows, compressed."""

    def __init__(self, rows: Rows) -> None:
        self._stream, self._size = rows.stream, len(rows)
        self._chunks = [pack(words, _BOUNDS) for words in rows.each_words(_CHUNK)]

    def __len__(self) -> int:
        return self._size

    def unpacked(self) -> Rows:
        """The rows as they were."""
        parts = (unpack(chunk, Rows.WORDS, _BOUNDS) for chunk in self._chunks)
        return Rows.of_words(self._stream, self._size, parts)


def pack(words: Words, before: Mapping[int, int]) -> bytes:
    """Records of 64-bit words, shape (records, words), compressed; `before` which to store as a difference.

    Differences may overflow; adding them up again overflows back.
    """
    words = words.copy()
    for column in sorted(before, reverse=True):
        words[:, column] -= words[:, before[column]]
    words[1:] -= words[:-1].copy()
    signless = (words << 1) ^ (words >> 63)  # small numbers of either sign have high bytes of 0
    planes = np.ascontiguousarray(signless.T).view(np.uint8).reshape(-1, 8).T
    return zlib.compress(planes.tobytes(), _FASTEST)


def unpack(chunk: bytes, width: int, before: Mapping[int, int]) -> Words:
    """The records of `width` words of which `pack` made the chunk."""
    planes = np.frombuffer(zlib.decompress(chunk), dtype=np.uint8).reshape(8, -1)
    signless = np.ascontiguousarray(planes.T).view(np.uint64).reshape(width, -1).T
    words = (signless >> np.uint64(1)).astype(np.int64) ^ -(signless & np.uint64(1)).astype(np.int64)
    words = np.cumsum(words, axis=0)
    for column in sorted(before):
        words[:, column] += words[:, before[column]]
    return words


def _words(records: NDArray[Any]) -> Words:
    return records.view(np.int64).reshape(-1, RECORD.itemsize // 8)
