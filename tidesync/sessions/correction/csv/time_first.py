"""Rows of text with another time in their first column; every other byte is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.csv.layout import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.csv.dialect import Dialect
    from tidesync.sessions.correction.csv.layout import Layout
    from topside_agent.estimator.blocks import Integers

NAME = b"timestamp_topside"


class TimeFirst:
    """Replaces the timestamp if it is the first column; else the new time is a column before the others."""

    def __init__(self, dialect: Dialect, head: bytes) -> None:
        self._dialect, self._head = dialect, head
        self._line = dialect.line
        self.in_place = list(dialect.places) == [0]
        """Whether the timestamp is the first column, and the only one with it."""

    def header(self) -> bytes:
        """The table's bytes up to its first row."""
        dialect, head = self._dialect, self._head[: self._dialect.begin]
        if self.in_place or dialect.header is None:
            return head
        begin = dialect.header_end - len(dialect.header)
        return head[:begin] + NAME + dialect.delimiter + head[begin:]

    def lines(self, layout: Layout, rows: Integers) -> list[int]:
        """The numbers of the lines on which `rows` of the next layout begin, from 1."""
        found: list[int] = (self._line + layout.line[rows]).tolist()
        return found

    def rows(self, layout: Layout, wanted: Integers, times: Sequence[bytes]) -> bytes:
        """The `wanted` records (rising) of the next layout with their times, and blank lines and comments."""
        self._line += layout.lines
        data, delimiter = layout.data, self._dialect.delimiter
        time_of = dict(zip(wanted.tolist(), times, strict=True))
        kept = np.flatnonzero((layout.kind == Kind.BLANK) | (layout.kind == Kind.COMMENT))
        pieces = []
        for row in sorted({*time_of, *kept.tolist()}):
            begin, end, following = int(layout.begin[row]), int(layout.end[row]), int(layout.next[row])
            if row in time_of:
                pieces.append(time_of[row])
                if self.in_place:
                    begin = data.find(delimiter, int(layout.last[0][row]), end)
                    begin = end if begin < 0 else begin
                else:
                    pieces.append(delimiter)
            pieces.append(data[begin:following])
        return b"".join(pieces)
