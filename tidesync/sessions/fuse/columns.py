"""Columns of text in little memory, and the numbers that they hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topside_agent.estimator.blocks import Floats, Integers

Kind = Literal["integer", "number", "text"]

_NUMBER = re.compile(
    rb"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?|[nN]a[nN]|[+-]?inf", re.ASCII
)
_INTEGER = re.compile(rb"0|-?[1-9]\d{0,17}", re.ASCII)
_BLOCK = 65_536


class TextColumn:
    """The texts of one column, as bytes, an entry a row; an absent one is empty."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._lengths: list[Integers] = []
        self._ends: Integers | None = None
        self._kind: Kind | None = None

    def append(self, texts: Sequence[bytes]) -> None:
        """Add the next rows' texts."""
        self._data += b"".join(texts)
        self._lengths.append(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
        self._ends = self._kind = None

    def __len__(self) -> int:
        return sum(each.size for each in self._lengths)

    def texts(self, rows: Integers) -> list[bytes]:
        """The texts of `rows`; empty for −1."""
        if self._ends is None:
            lengths = np.concatenate([np.zeros(1, dtype=np.int64), *self._lengths])
            self._lengths = [lengths[1:]]
            self._ends = np.cumsum(lengths)
        data, ends = self._data, self._ends
        begin, end = ends[rows], ends[np.minimum(rows + 1, ends.size - 1)]
        end = np.where(rows < 0, begin, end)
        return [bytes(data[a:b]) for a, b in zip(begin.tolist(), end.tolist(), strict=True)]

    @property
    def kind(self) -> Kind:
        """What all its texts that are not empty are; an integer fits 64 bits.

        A number that its text writes otherwise, as 007, is text: nothing may be lost.
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
