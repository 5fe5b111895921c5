"""Columns of text in little memory, and the numbers that they hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from topside_agent.estimator.blocks import Floats, Integers

Kind = Literal["integer", "number", "text"]

_NUMBER = re.compile(
    rb"[+-]?(?:(?:0|[1-9]\d{0,14})(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?|[nN]a[nN]|[+-]?inf", re.ASCII
)
_INTEGER = re.compile(rb"0|-?[1-9]\d{0,17}", re.ASCII)
_BLOCK = 65_536
_LARGEST = 2**32


class TextColumn:
    """The texts of one column, as bytes, an entry a row; an absent one is empty."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends: list[NDArray[Any]] = []
        """Where each text ends, in parts; 32 bits suffice for most."""
        self._kind: Kind | None = None

    def append(self, texts: Sequence[bytes]) -> None:
        """Add the next rows' texts."""
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        ends = np.cumsum(lengths) + len(self._data)
        self._data += b"".join(texts)
        self._ends.append(ends.astype(np.uint32) if len(self._data) < _LARGEST else ends)
        self._kind = None

    def __len__(self) -> int:
        return sum(each.size for each in self._ends)

    def texts(self, rows: Integers) -> list[bytes]:
        """The texts of `rows`; empty for −1."""
        if len(self._ends) > 1:
            self._ends = [np.concatenate(self._ends)]
        if not len(self):
            return [b""] * rows.size
        ends, data = self._ends[0], self._data
        end = np.where(rows < 0, 0, ends[np.maximum(rows, 0)])
        begin = np.where(rows <= 0, 0, ends[np.maximum(rows, 1) - 1])
        return [bytes(data[a:b]) for a, b in zip(begin.tolist(), end.tolist(), strict=True)]

    @property
    def kind(self) -> Kind:
        """What all its texts that are not empty are.

        A number that its text writes otherwise, as 007, or that 64 bits do not hold exactly, is text: nothing
        may be lost.
        """
        if self._kind is None:
            self._kind = self._found_kind()
        return self._kind

    def numbers(self, rows: Integers) -> Floats:
        """The numbers of `rows`; NaN where there is none."""
        return np.array([float(text) if text else np.nan for text in self.texts(rows)], dtype=np.float64)

    def _found_kind(self) -> Kind:
        kind: Kind = "integer"
        for begin in range(0, len(self), _BLOCK):
            texts = set(self.texts(np.arange(begin, min(begin + _BLOCK, len(self))))) - {b""}
            if kind == "integer" and not all(map(_INTEGER.fullmatch, texts)):
                kind = "number"
            if kind == "number" and not all(map(_NUMBER.fullmatch, texts)):
                return "text"
        return kind
