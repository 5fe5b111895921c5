"""Where the records of a block of delimited text are, in each the timestamp and the place of new fields.

New fields stand at the header's end: after the delimiters that a shorter record lacks, before what a longer
one has too many. Nothing is added to what is no row, or is damaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.csv.fields import QUOTE
from tidesync.sessions.correction.csv.lines import Lines, lines_of
from tidesync.sessions.correction.csv.quotes import MAX_RECORD_BYTES, records_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.csv.dialect import Dialect
    from tidesync.sessions.correction.csv.lines import Bytes
    from tidesync.sessions.correction.csv.quotes import IsTimestamp
    from topside_agent.estimator.blocks import Integers


_BEFORE, _COMMA = b":00:00", b",000"
"""A whole second and its decimals; 0 stands for any digit."""


class Kind(IntEnum):
    """What a record is. Those up to SHORT may have a timestamp; to those from BLANK on nothing is added."""

    ROW = 0
    SHORT = 1
    """Fewer fields than the header."""
    EXTRA = 2
    """More fields than the header, which are not empty."""
    UNCLEAR = 3
    """A decimal comma, or an empty field too many."""
    BLANK = 4
    COMMENT = 5
    OPEN_QUOTE = 6
    ZEROS = 7
    LONG = 8
    REST = 9
    """What follows of a record that is longer than a block."""


@dataclass(slots=True)
class Layout:
    """The records of `data`, in arrays with an entry for each.

    Each `begin`s on a `line` (from 0), its text has an `end`, after its line end is `next`. New fields
    belong to `insert`, after `missing` delimiters. `first` and `last`, of shape (columns, records), enclose
    its timestamp.
    """

    data: bytes
    begin: Integers
    end: Integers
    next: Integers
    line: Integers
    kind: Integers
    insert: Integers
    missing: Integers
    first: Integers
    last: Integers
    lines: int
    """How many lines they have together."""

    @property
    def used(self) -> int:
        """How many bytes of `data` they have together."""
        return int(self.next[-1]) if self.next.size else 0

    def stamp_text(self, record: int) -> bytes:
        """A record's timestamp; that of several columns with a space between."""
        spans = zip(self.first[:, record].tolist(), self.last[:, record].tolist(), strict=True)
        return b" ".join(self.data[a:b] for a, b in spans)

    @property
    def characters(self) -> Bytes:
        """`data` as an array."""
        return np.frombuffer(self.data, dtype=np.uint8)


def layout_of(data: bytes, dialect: Dialect, is_timestamp: IsTimestamp, *, at_end: bool) -> Layout:
    """The layout of `data`, which begins with a record; without `at_end` as far as records certainly end."""
    found = records_of(data, lines_of(data, at_end=at_end), dialect, is_timestamp, at_end=at_end)
    begin, end, following = found.lines
    fields = _Fields(np.frombuffer(data, dtype=np.uint8), found.lines, found.delimiters)
    columns = len(dialect.columns)
    insert, kind = fields.end_of(columns)
    missing = np.maximum(columns - fields.number, 0)
    first, last = fields.spans(dialect.places)
    made = Layout(
        data, begin, end, following, found.first_line, kind, insert, missing, first, last, found.covered
    )
    if dialect.delimiter == b",":
        _take_decimal_commas(made, fields, dialect)
    _mark_damage(made, dialect, found.damaged)
    return made


class _Fields:
    """The fields of records by their delimiters; `number` is how many each has."""

    def __init__(self, characters: Bytes, lines: Lines, delimiters: Integers) -> None:
        self._characters, self._lines = characters, lines
        self._delimiters = np.append(delimiters, characters.size)
        records = lines.start.size
        per_record = delimiters.size // records if records else 0
        if per_record * records == delimiters.size and _same_number(lines, delimiters, per_record):
            self._first = np.arange(records) * per_record
            self.number = np.full(records, per_record + 1)
        else:
            self._first = np.searchsorted(delimiters, lines.start)
            self.number = np.searchsorted(delimiters, lines.end) - self._first + 1

    def end_of(self, count: int) -> tuple[Integers, Integers]:
        """Where the first `count` fields of each record end, and its kind."""
        kind = np.where(self.number < count, Kind.SHORT, Kind.ROW)
        more = np.flatnonzero(self.number > count)
        end = self._lines.end.copy()
        if more.size:
            end[more] = self.delimiter(count - 1, more)
            empty = self._lines.end[more] - end[more] == self.number[more] - count
            kind[more] = np.where(empty, Kind.ROW, Kind.EXTRA)
        return end, kind

    def delimiter(self, place: int, records: Integers | slice = slice(None)) -> Integers:
        """The one after the field at `place`; void where there is none."""
        return self._delimiters[np.minimum(self._first[records] + place, self._delimiters.size - 1)]

    def spans(self, places: Sequence[int]) -> tuple[Integers, Integers]:
        """The ends of the fields at `places`, without quotes; empty where a record does not have them."""
        spans = [self._span(place) for place in places]
        first, last = (np.stack(column) for column in zip(*spans, strict=True))
        return first, last

    def _span(self, place: int) -> tuple[Integers, Integers]:
        start, end = self._lines.start, self._lines.end
        first = start if not place else self.delimiter(place - 1) + 1
        last = np.where(self.number > place + 1, self.delimiter(place), end)
        absent = self.number <= place
        if absent.any():
            first, last = np.where(absent, start, first), np.where(absent, start, last)
        quoted = last - first > 1
        quoted &= self._characters[np.minimum(first, self._characters.size - 1)] == QUOTE[0]
        quoted &= self._characters[last - 1] == QUOTE[0]
        return first + quoted, last - quoted


def _same_number(lines: Lines, delimiters: Integers, per_record: int) -> bool:
    """Whether each record has as many delimiters."""
    if not per_record:
        return True
    grid = delimiters.reshape(-1, per_record)
    return bool((grid[:, 0] >= lines.start).all() and (grid[:, -1] < lines.end).all())


def _take_decimal_commas(made: Layout, fields: _Fields, dialect: Dialect) -> None:
    """A comma before three digits and after a whole second, in a record of one field more than the header.

    Where the last field is empty too, one of both may be too many: such a record is unclear.
    """
    columns, place = len(dialect.columns), dialect.places[-1]
    more = np.flatnonzero(fields.number == columns + 1)
    if not more.size:
        return
    comma = fields.delimiter(place, more)
    end = made.end[more] if place == columns - 1 else fields.delimiter(place + 1, more)
    around = np.clip(comma[:, None] + np.arange(-len(_BEFORE), 4), 0, len(made.data) - 1)
    pattern = np.frombuffer(_BEFORE + _COMMA, dtype=np.uint8)
    text = made.characters[around]
    digits = (text >= ord("0")) & (text <= ord("9"))
    fits = np.where(pattern == ord("0"), digits, text == pattern).all(axis=1)
    found = fits & (end - comma == len(_COMMA))
    clear = found & (made.kind[more] == Kind.EXTRA)
    made.kind[more[found]] = Kind.UNCLEAR
    made.kind[more[clear]] = Kind.ROW
    made.last[-1][more[clear]] = end[clear]
    made.insert[more[clear]] = made.end[more[clear]]


def _mark_damage(made: Layout, dialect: Dialect, damaged: Integers) -> None:
    """Set the kind of what is no row."""
    made.kind[made.begin == made.end] = Kind.BLANK
    if dialect.comment:
        starts = made.characters[np.minimum(made.begin, len(made.data) - 1)] == dialect.comment[0]
        for record in np.flatnonzero(starts).tolist():
            if made.data.startswith(dialect.comment, int(made.begin[record])):
                made.kind[record] = Kind.COMMENT
    zeros = np.flatnonzero(made.characters[: made.used] == 0) if b"\0" in made.data else made.begin[:0]
    made.kind[np.searchsorted(made.begin, zeros, side="right") - 1] = Kind.ZEROS
    made.kind[np.searchsorted(made.line, damaged)] = Kind.OPEN_QUOTE
    made.kind[made.end - made.begin > MAX_RECORD_BYTES] = Kind.LONG
