"""Texts of a sensor's rows in a temporary file, in the order of time; and the numbers that they hold."""

from __future__ import annotations

import re
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from topside_agent.estimator.blocks import Floats, Integers

Kind = Literal["integer", "number", "text"]

_NUMBER = re.compile(
    rb"[+-]?(?:(?:0|[1-9]\d{0,14})(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?|[nN]a[nN]|[+-]?inf", re.ASCII
)
_INTEGER = re.compile(rb"0|-?[1-9]\d{0,17}", re.ASCII)
_PATTERNS: Mapping[Kind, re.Pattern[bytes]] = {"integer": _INTEGER, "number": _NUMBER}
BLOCK = 16_384
"""Rows that are read from the file together."""
_HELD = 12
"""So many blocks are in memory: what is asked for rises with time."""
_LENGTHS = np.dtype(np.uint32)


class _Block(NamedTuple):
    """The texts of `BLOCK` consecutive ranks: of each column all in a row, and where each ends."""

    place: Integers
    """Of each rank."""
    data: list[bytes]
    ends: list[Integers]


class TextStore:
    """The texts of some rows by `rank`, their place in time among these, from 0; an absent one is empty.

    Memory: twelve blocks, and some bytes for each block. Reading is fast where ranks rise from call to call.
    """

    def __init__(self, columns: int, folder: Path | None = None, *, kinds: bool = True) -> None:
        """The file is in `folder`, without a name; `kinds`: whether `kind` will be asked for."""
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as this
        self._columns = columns
        self._parts: dict[int, list[tuple[int, int]]] = {}
        """By block: where in the file each part is, and how many rows it has."""
        self._blocks: dict[int, _Block] = {}
        self._possible: list[set[Kind]] = [{"integer", "number"} if kinds else set() for _ in range(columns)]

    def add(self, ranks: Integers, texts: Sequence[Sequence[bytes]]) -> None:
        """Add the texts of rows, by column."""
        if not ranks.size:
            return
        for possible, column in zip(self._possible, texts, strict=True):
            possible.difference_update(_impossible(column, possible))
        blocks = ranks // BLOCK
        if blocks.min() == blocks.max():
            self._write(int(blocks[0]), ranks, texts)
            return
        for block in np.unique(blocks).tolist():
            rows = np.flatnonzero(blocks == block)
            self._write(block, ranks[rows], [[column[row] for row in rows.tolist()] for column in texts])

    def kind(self, column: int) -> Kind:
        """What all texts of a column that are not empty are.

        A number that its text writes otherwise, as 007, or that 64 bits do not hold exactly, is text: nothing
        may be lost.
        """
        possible = self._possible[column]
        return "integer" if "integer" in possible else "number" if possible else "text"

    def measures(self, column: int) -> bool:
        """Whether all its texts are numbers that doubles hold, so that there are others in between."""
        return "number" in self._possible[column]

    def texts(self, column: int, ranks: Integers) -> list[bytes]:
        """The texts of `ranks`; empty for −1."""
        found = np.full(ranks.size, b"", dtype=object)
        blocks = np.where(ranks < 0, -1, ranks // BLOCK)
        for number in np.unique(blocks[blocks >= 0]).tolist():
            rows = np.flatnonzero(blocks == number)
            block = self._block(number)
            place = block.place[ranks[rows] - number * BLOCK]
            data, ends = block.data[column], block.ends[column]
            spans = zip(ends[place].tolist(), ends[place + 1].tolist(), strict=True)
            found[rows] = np.array([data[begin:end] for begin, end in spans] + [None], dtype=object)[:-1]
        texts: list[bytes] = found.tolist()
        return texts

    def numbers(self, column: int, ranks: Integers) -> Floats:
        """The numbers of `ranks`; NaN where there is none."""
        texts = self.texts(column, ranks)
        return np.array([float(text) if text else np.nan for text in texts], dtype=np.float64)

    def _write(self, block: int, ranks: Integers, texts: Sequence[Sequence[bytes]]) -> None:
        self._parts.setdefault(block, []).append((self._file.seek(0, 2), ranks.size))
        self._file.write((ranks - block * BLOCK).astype(_LENGTHS).tobytes())
        for column in texts:
            self._file.write(np.fromiter(map(len, column), dtype=_LENGTHS, count=len(column)).tobytes())
        for column in texts:
            self._file.write(b"".join(column))

    def _block(self, number: int) -> _Block:
        if number not in self._blocks:
            while len(self._blocks) >= _HELD:
                del self._blocks[min(self._blocks)]
            self._blocks[number] = self._read(number)
        return self._blocks[number]

    def _read(self, number: int) -> _Block:
        numbers: list[Any] = []
        data: list[list[bytes]] = [[] for _ in range(self._columns)]
        for offset, rows in self._parts[number]:
            self._file.seek(offset)
            content = self._file.read((1 + self._columns) * rows * _LENGTHS.itemsize)
            part = np.frombuffer(content, dtype=_LENGTHS).reshape(-1, rows).astype(np.int64)
            numbers.append(part)
            for column, size in zip(data, part[1:].sum(axis=1).tolist(), strict=True):
                column.append(self._file.read(size))
        ranks, *lengths = np.concatenate(numbers, axis=1)
        place = np.zeros(BLOCK, dtype=np.int64)
        place[ranks] = np.arange(ranks.size)
        ends = [np.concatenate([[0], np.cumsum(each)]) for each in lengths]
        return _Block(place, [b"".join(parts) for parts in data], ends)


def _impossible(texts: Sequence[bytes], possible: set[Kind]) -> set[Kind]:
    """The kinds among `possible` that some text is not of."""
    different = set(texts) - {b""} if possible else set()
    return {kind for kind in possible if not all(map(_PATTERNS[kind].fullmatch, different))}
