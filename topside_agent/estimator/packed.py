"""Exchanges kept compressed, 10 to 16 bytes each, until they are wanted: long sessions fit in the memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from topside_agent.estimator.exchanges import RECORD, ExchangeColumns, Exchanges

if TYPE_CHECKING:
    from schemas.exchange import Exchange
    from topside_agent.estimator.exchanges import Labels

_CHUNK = 512
_WORDS = RECORD.itemsize // 8
_BEFORE = {2: 1, 3: 2, 4: 3}
"""The stamps are stored as differences from the one before them: receive − origin, and so on."""
_FASTEST = 1

Words = NDArray[np.int64]


class PackedExchanges:
    """Gathers exchanges one at a time, and keeps them compressed."""

    def __init__(self) -> None:
        self._columns = ExchangeColumns()
        self._chunks: list[tuple[int, bytes]] = []
        self._packed = 0

    def __len__(self) -> int:
        return self._packed + len(self._columns)

    def add(self, exchange: Exchange) -> None:
        """Append an exchange."""
        self._columns.add(exchange)
        if len(self._columns) == _CHUNK:
            records = self._columns.drained()
            self._chunks.append((records.size, pack(records)))
            self._packed += records.size

    @property
    def labels(self) -> list[Labels]:
        """What they carry, each once."""
        return self._columns.labels

    def unpacked(self) -> Exchanges:
        """All of them, in the order in which they were added."""
        table, begin = np.empty(len(self), dtype=RECORD), 0
        for size, chunk in self._chunks:
            unpack(chunk, table[begin : begin + size])
            begin += size
        table[begin:] = self._columns.records()
        return Exchanges.in_table(table, self.labels)


def pack(records: NDArray[np.void]) -> bytes:
    """The records (`RECORD`), compressed; the fewer bits change from one to the next the better."""
    words = _words(records).copy()
    for column, before in sorted(_BEFORE.items(), reverse=True):
        words[:, column] -= words[:, before]
    words[1:] -= words[:-1].copy()
    signless = (words << 1) ^ (words >> 63)  # small numbers of either sign have high bytes of 0
    return zlib.compress(np.ascontiguousarray(signless.T).view(np.uint8).reshape(-1, 8).T.tobytes(), _FASTEST)


def unpack(chunk: bytes, into: NDArray[np.void]) -> None:
    """Put the records of a chunk `into` an array of their number."""
    planes = np.frombuffer(zlib.decompress(chunk), dtype=np.uint8).reshape(8, -1)
    signless = np.ascontiguousarray(planes.T).view(np.uint64).reshape(_WORDS, -1).T
    words = (signless >> np.uint64(1)).astype(np.int64) ^ -(signless & np.uint64(1)).astype(np.int64)
    words = np.cumsum(words, axis=0)
    for column, before in sorted(_BEFORE.items()):
        words[:, column] += words[:, before]
    _words(into)[:] = words


def _words(records: NDArray[Any]) -> Words:
    """The records' memory as 64-bit integers, shape (records, words).

    Differences of these may overflow; adding them up again overflows back.
    """
    return records.view(np.int64).reshape(-1, _WORDS)
