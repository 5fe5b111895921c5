"""Rows of numbers in the order in which they came, compressed but for the newest."""

from __future__ import annotations

from array import array
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from topside_agent.estimator.packed import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ROWS = 100
"""Compressed together."""


class _Chunk(NamedTuple):
    """`_ROWS` rows; the least and the greatest of their keys."""

    least: int
    greatest: int
    packed: bytes


class NumberRows:
    """Rows of `width` integers of 64 bits: the oldest are dropped, those of some keys found again."""

    def __init__(self, width: int, *, age: int, key: int, before: Mapping[int, int]) -> None:
        """`age` and `key` are columns; a column in `before` is nearly as far from that one in every row."""
        self._width, self._age, self._key, self._before = width, age, key, before
        self._chunks: deque[_Chunk] = deque()
        self._newest = array("q")
        self._dropped = 0
        """So many rows at the beginning."""
        self._ages: list[int] | None = None
        """Of the first chunk, once they are wanted."""

    def __len__(self) -> int:
        return len(self._chunks) * _ROWS + len(self._newest) // self._width - self._dropped

    def add(self, row: Sequence[int]) -> None:
        """Append a row."""
        self._newest.extend(row)
        if len(self._newest) == _ROWS * self._width:
            words = np.frombuffer(self._newest, dtype=np.int64).reshape(_ROWS, self._width)
            keys = words[:, self._key]
            self._chunks.append(_Chunk(int(keys.min()), int(keys.max()), pack(words, self._before)))
            self._newest = array("q")

    @property
    def oldest(self) -> int:
        """The age of the first row."""
        if not self._chunks:
            return self._newest[self._dropped * self._width + self._age]
        if self._ages is None:
            self._ages = self._unpacked(self._chunks[0])[:, self._age].tolist()
        return self._ages[self._dropped]

    def drop_oldest(self) -> None:
        """Forget the first row."""
        self._dropped += 1
        if self._chunks and self._dropped == _ROWS:
            self._chunks.popleft()
            self._dropped, self._ages = 0, None
        elif not len(self):
            del self._newest[:]
            self._dropped = 0

    def since(self, place: int) -> Iterator[Sequence[int]]:
        """The rows from the one at `place` on."""
        place += self._dropped
        for chunk in self._chunks:
            if place < _ROWS:
                yield from self._unpacked(chunk)[place:].tolist()
            place = max(0, place - _ROWS)
        yield from self._newest_rows(place)

    def between(self, least: int, greatest: int) -> Iterator[Sequence[int]]:
        """The rows whose keys are from `least` to `greatest`, both included."""
        dropped = self._dropped
        for chunk in self._chunks:
            if least <= chunk.greatest and chunk.least <= greatest:
                rows = self._unpacked(chunk)[dropped:].tolist()
                yield from (row for row in rows if least <= row[self._key] <= greatest)
            dropped = 0
        yield from (row for row in self._newest_rows(dropped) if least <= row[self._key] <= greatest)

    def _newest_rows(self, place: int) -> Iterator[Sequence[int]]:
        width = self._width
        for begin in range(place * width, len(self._newest), width):
            yield self._newest[begin : begin + width]

    def _unpacked(self, chunk: _Chunk) -> np.ndarray:
        return unpack(chunk.packed, self._width, self._before)
