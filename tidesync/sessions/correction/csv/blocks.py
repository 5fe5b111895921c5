"""A table of delimited text, block by block, each of whole records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.csv.layout import Kind, Layout, layout_of
from tidesync.sessions.correction.csv.lines import lines_of
from tidesync.sessions.correction.csv.quotes import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidesync.sessions.correction.csv.dialect import Dialect
    from tidesync.sessions.correction.csv.quotes import IsTimestamp
    from tidesync.sessions.correction.csv.source import Reader

BLOCK_BYTES = 2 << 20
"""More than MAX_RECORD_BYTES; less where records are short."""
_FIRST_BYTES, _MOST_ROWS = 1 << 18, 1 << 16


def head_of(reader: Reader) -> tuple[bytes, bool]:
    """The beginning of a table, longer than any record, and whether it is the whole of it."""
    data = b""
    while len(data) <= MAX_RECORD_BYTES:
        more = reader.read(MAX_RECORD_BYTES)
        if not more:
            return data, True
        data += more
    return data, False


def layouts(
    reader: Reader, dialect: Dialect, is_timestamp: IsTimestamp, most: int | None
) -> Iterator[Layout]:
    """The layouts of all records from the position of `reader`, of `most` bytes at most.

    A record longer than MAX_RECORD_BYTES may come in several parts, of which the first one is LONG.
    """
    data, at_end, within, size = b"", False, False, _FIRST_BYTES
    while data or not at_end:
        more = reader.read(size if most is None else min(size, most))
        most = None if most is None else most - len(more)
        at_end = not more
        data += more
        if within:
            rest = _rest(data, at_end=at_end)
            within = not rest.lines and not at_end
            yield rest
            data = data[rest.used :]
        made = layout_of(data, dialect, is_timestamp, at_end=at_end)
        if not made.used and len(data) > MAX_RECORD_BYTES:
            made, within = _one(data, len(data), Kind.LONG, lines=0), True
        if made.used:
            yield made
            size = min(max(made.used * _MOST_ROWS // made.begin.size, _FIRST_BYTES), BLOCK_BYTES)
        data = data[made.used :]


def _rest(data: bytes, *, at_end: bool) -> Layout:
    """The first line of `data`, or all of it if there is no line end yet."""
    lines = lines_of(data, at_end=at_end)
    if lines.start.size:
        return _one(data, int(lines.next[0]), Kind.REST, lines=1)
    held = len(data) - len(data.rstrip(b"\r"))  # a line feed may follow
    return _one(data, len(data) - held, Kind.REST, lines=0)


def _one(data: bytes, size: int, kind: Kind, *, lines: int) -> Layout:
    """A layout of one record without fields."""
    end, none = np.array([size]), np.zeros(1, dtype=np.int64)
    spans = none.reshape(1, 1)
    return Layout(data[:size], none, end, end, none, np.array([kind]), end, none, spans, spans, lines)
