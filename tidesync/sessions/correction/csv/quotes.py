"""Quoted fields in a block of lines: which delimiters are within them, and which lines they cover.

A quoted field that goes on over a line end makes one record of the lines that it covers, unless one of these
is a full row by itself, or the record does not have as many fields as the header: then its quote was lost.
The line where it opens is damaged, with those up to the next full row; from there on lines are records again.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.csv.fields import QUOTE, record_at
from tidesync.sessions.correction.csv.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidesync.sessions.correction.csv.dialect import Dialect
    from tidesync.sessions.correction.csv.fields import Record
    from tidesync.sessions.correction.csv.lines import Bytes
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

    IsTimestamp = Callable[[bytes], bool]

MAX_RECORD_BYTES = 1 << 20
"""A longer record has lost its closing quote or its line ends."""


class Records(NamedTuple):
    """The records of a block: their lines, and the delimiters between their fields."""

    lines: Lines
    first_line: Integers
    """Which line of the block each record begins with."""
    delimiters: Integers
    damaged: Integers
    """The lines in which a quote opens that does not close."""
    covered: int
    """How many lines the records have together."""


def records_of(
    data: bytes, lines: Lines, dialect: Dialect, is_timestamp: IsTimestamp, *, at_end: bool
) -> Records:
    """The records of `lines`; without `at_end` those are left out that may go on after them."""
    characters = np.frombuffer(data, dtype=np.uint8)[: lines.used]
    delimiters = np.flatnonzero(characters == dialect.delimiter[0])
    if not lines.start.size or data.find(QUOTE, 0, lines.used) < 0:
        return Records(
            lines, np.arange(lines.start.size), delimiters, np.zeros(0, dtype=np.int64), lines.start.size
        )
    quotes = np.flatnonzero(characters == QUOTE[0])
    untidy = _untidy(characters, lines, quotes, dialect.delimiter)
    of_line = np.searchsorted(lines.start, delimiters, side="right") - 1
    before = np.searchsorted(quotes, delimiters) - np.searchsorted(quotes, lines.start)[of_line]
    outside = delimiters[(before % 2 == 0) & ~untidy[of_line]]
    reader = _UntidyLines(data, lines, dialect, is_timestamp, at_end=at_end)
    for line in np.flatnonzero(untidy).tolist():
        reader.take(line)
    return reader.records(outside)


def _untidy(characters: Bytes, lines: Lines, quotes: Integers, delimiter: bytes) -> Flags:
    """Which lines have a quote that neither opens nor closes a whole field, nor is doubled within one."""
    line = np.searchsorted(lines.start, quotes, side="right") - 1
    opens = (np.arange(quotes.size) - np.searchsorted(quotes, lines.start)[line]) % 2 == 0
    before = characters[np.maximum(quotes - 1, 0)]
    after = characters[np.minimum(quotes + 1, characters.size - 1)]
    beside = np.where(opens, before, after)
    at_edge = np.where(opens, quotes == lines.start[line], quotes + 1 == lines.end[line])
    tidy = at_edge | (beside == delimiter[0]) | (beside == QUOTE[0])
    untidy: Flags = np.bincount(line, minlength=lines.start.size) % 2 == 1
    untidy[line[~tidy]] = True
    return untidy


class _UntidyLines:
    """Reads the untidy lines in their order, and joins to each those that its quoted fields cover."""

    def __init__(
        self, data: bytes, lines: Lines, dialect: Dialect, is_timestamp: IsTimestamp, *, at_end: bool
    ) -> None:
        self._data, self._lines, self._dialect = data, lines, dialect
        self._is_timestamp, self._at_end = is_timestamp, at_end
        self._starts, self._ends = lines.start.tolist(), lines.end.tolist()
        self._joined: list[tuple[int, int]] = []
        """First and last line of each record of several."""
        self._delimiters: list[int] = []
        self._damaged: list[int] = []
        self._next = 0
        self._stop: int | None = None
        """The line of a record that goes on after the block."""

    def take(self, line: int) -> None:
        """Read the record that begins at `line`, unless it is within one before."""
        if line < self._next or self._stop is not None:
            return
        within = bisect_right(self._ends, self._starts[line] + MAX_RECORD_BYTES)
        limit = max(within, line + 1)
        record = self._record(line, limit)
        last = limit - 1 if record is None else self._ends.index(record.end, line, limit)
        row = next((each for each in range(line + 1, last + 1) if self._is_row(each)), None)
        if record is not None and (last == line or (row is None and self._whole(record))):
            self._join(line, last)
            self._delimiters += [end for _, end in record.fields[:-1]]
        elif record is None and row is None and limit == len(self._ends) and not self._at_end:
            self._stop = line
        else:
            self._damaged.append(line)
            self._join(line, line if row is None else row - 1)

    def _record(self, line: int, limit: int) -> Record | None:
        start, delimiter = self._starts[line], self._dialect.delimiter
        return record_at(self._data, start, self._ends, delimiter, line=line, limit=limit)

    def _whole(self, record: Record) -> list[tuple[int, int]] | None:
        """The fields of a record that has as many as the header."""
        return self._dialect.whole(self._data, record.fields) if record.tidy else None

    def _is_row(self, line: int) -> bool:
        """Whether a line is a full row by itself, all of whose quotes close in it."""
        if self._data.count(QUOTE, self._starts[line], self._ends[line]) % 2:
            return False
        record = self._record(line, line + 1)
        fields = None if record is None else self._whole(record)
        return fields is not None and self._is_timestamp(self._dialect.stamp_text(self._data, fields))

    def _join(self, line: int, last: int) -> None:
        self._next = last + 1
        if last > line:
            self._joined.append((line, last))

    def records(self, delimiters: Integers) -> Records:
        """All records, with those `delimiters` that are in no untidy line."""
        start, end, following = (column.copy() for column in self._lines)
        keep = np.ones(start.size, dtype=bool)
        outside = np.ones(delimiters.size, dtype=bool)
        for line, last in self._joined:
            end[line], following[line] = end[last], following[last]
            keep[line + 1 : last + 1] = False
            outside[slice(*np.searchsorted(delimiters, [start[line], end[last]]))] = False
        if self._stop is not None:
            keep[self._stop :] = False
        found = np.sort(np.append(delimiters[outside], self._delimiters).astype(np.int64))
        lines = Lines(start[keep], end[keep], following[keep])
        found = found[found < lines.used]
        damaged = np.array(self._damaged, dtype=np.int64)
        count = start.size if self._stop is None else self._stop
        return Records(lines, np.flatnonzero(keep), found, damaged, count)
