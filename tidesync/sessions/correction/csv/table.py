"""Tables of delimited text; see `correction.table.Table`."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from tidesync.sessions.correction.csv.blocks import head_of, layouts
from tidesync.sessions.correction.csv.dialect import dialect_of
from tidesync.sessions.correction.csv.fields import QUOTE, fields_of, record_at, unquoted
from tidesync.sessions.correction.csv.layout import Kind, layout_of
from tidesync.sessions.correction.csv.malformed import MalformedRows
from tidesync.sessions.correction.csv.output import FieldWriter
from tidesync.sessions.correction.csv.samples import texts_from
from tidesync.sessions.correction.csv.source import Source
from tidesync.sessions.correction.csv.time_first import TimeFirst
from tidesync.sessions.correction.csv.torn import tail_of, usual_tail
from tidesync.sessions.correction.restarts import RestartCheck
from tidesync.sessions.correction.stamps.column import form_of_texts
from tidesync.sessions.correction.table import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.sessions.correction.csv.layout import Layout
    from tidesync.sessions.correction.csv.source import Reader
    from tidesync.sessions.correction.stamps.form import Stamps
    from tidesync.sessions.correction.table import Job, Measured, Write
    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

SURVEYED = 5_000
"""Rows by which the form of the timestamps is recognised."""

_DIGIT = re.compile(rb"\d")
_FEWEST_DIGITS = 4


@contextmanager
def open_csv(job: Job, measured: Measured) -> Iterator[CsvTable]:
    """Open a table of text in UTF-8, UTF-16 or any encoding that extends ASCII, compressed or not."""
    yield CsvTable(job, measured, Source(job.path))


class CsvTable:
    """The records after the header."""

    place = "line"

    def __init__(self, job: Job, measured: Measured, source: Source) -> None:
        self._job, self._source = job, source
        with source.open() as (reader, _):
            self._head, whole = head_of(reader)
        self._dialect = dialect_of(job, self._head, at_end=whole)
        self.columns = self._dialect.columns
        first = layout_of(self._head[self._dialect.begin :], self._dialect, _may_be_time, at_end=whole)
        surveyed = self._surveyed(first)
        if source.size is not None and not whole:
            for data in texts_from(job.path, len(self._head), source.size):
                surveyed += self._surveyed(layout_of(data, self._dialect, _may_be_time, at_end=False))
        self.form = form_of_texts(job, measured, surveyed)
        known = self.form.read(surveyed[:SURVEYED]).readable.tolist()
        self._tail = usual_tail([text for text, read in zip(surveyed, known, strict=False) if read])
        self._most = None if source.size is None else source.size - self._dialect.begin
        """So many bytes of rows are read, although the file may grow."""
        self._longest = 0
        """How long the longest text of a readable timestamp is."""

    @property
    def step_ns(self) -> int:
        """The unit of the timestamps that are written."""
        return self.form.step_ns

    def scan(self) -> Iterator[Batch]:
        """All records."""
        scanned = 0
        for batch in self._batches():
            scanned += batch.rows.used
            yield batch
        self._most = scanned

    def read(self) -> Iterator[Batch]:
        """The records that were scanned, or all."""
        return self._batches()

    def time_first(self) -> TimeFirst:
        """What writes its rows with another time in the first column; UTF-8, uncompressed."""
        return TimeFirst(self._dialect, self._head)

    def texts(self, layout: Layout, wanted: Sequence[int]) -> list[list[bytes]]:
        """The fields of the records that are `wanted`, by column; absent ones are empty."""
        rows = np.asarray(wanted, dtype=np.int64)
        spans = zip(layout.begin[rows].tolist(), layout.end[rows].tolist(), strict=True)
        bodies = [layout.data[begin:end] for begin, end in spans]
        if bodies and not (layout.kind[rows] != Kind.ROW).any():  # none has fewer fields than the header
            columns, joined = len(self.columns), self._dialect.delimiter.join(bodies)
            fields = joined.split(self._dialect.delimiter) if QUOTE not in joined else []
            if len(fields) == len(bodies) * columns:
                return [fields[place::columns] for place in range(columns)]
        whole = [self._fields(body) for body in bodies]
        return [list(column) for column in zip(*whole, strict=True)] if whole else [[] for _ in self.columns]

    def _fields(self, body: bytes) -> list[bytes]:
        """A record's fields, as many as the header's."""
        columns, delimiter = len(self.columns), self._dialect.delimiter
        fields = body.split(delimiter)
        if len(fields) != columns or QUOTE in body:
            record = record_at(body, 0, [len(body)], delimiter)
            spans = record.fields if record else []
            spans = (self._dialect.whole(body, spans) or spans)[:columns]
            fields = [unquoted(body[slice(*span)]) for span in spans]
        return fields + [b""] * (columns - len(fields))

    @contextmanager
    def output(self, stream: BinaryIO) -> Iterator[Write]:
        """The same bytes, with the same delimiter before each of the new fields."""
        writer = FieldWriter(self.form, self._dialect, "," if self.form.comma else ".")
        with self._source.sink(stream) as write:
            write(writer.header(self._head))

            def write_rows(layout: Layout, corrections: Corrections) -> None:
                write(writer.rows(layout, corrections))

            yield write_rows

    def _batches(self) -> Iterator[Batch]:
        line, done, restarts = self._dialect.line, 0, RestartCheck(self._job)
        with self._source.open() as (reader, position):
            _skip(reader, self._dialect.begin)
            for layout in layouts(reader, self._dialect, self._is_timestamp, self._most):
                found = self._stamps(layout)
                restarts.note(found.unix_ns[found.readable])
                at = position()
                malformed = MalformedRows(self._job, self._dialect, layout, found.readable, line)
                yield Batch(
                    layout,
                    found.unix_ns,
                    found.readable,
                    malformed,
                    at - done,
                    found.repeated,
                    found.resolution_ns,
                )
                line, done = line + layout.lines, at

    def _surveyed(self, layout: Layout) -> list[bytes]:
        return self._texts(layout, np.flatnonzero(layout.kind <= Kind.SHORT)[:SURVEYED])

    def _stamps(self, layout: Layout) -> Stamps:
        """The timestamps of all records."""
        rows = np.flatnonzero(layout.kind <= Kind.SHORT)
        ends = (layout.last.max(axis=0) == layout.end)[rows]
        if len(self._dialect.places) == 1:
            first, last = layout.first[0][rows], layout.last[0][rows]
            found = self.form.read_block(layout.characters, first, last, ends)
        else:
            found = self.form.read(self._texts(layout, rows), ends)
        every = found.spread(rows, layout.begin.size)
        self._leave_out_cut_ones(layout, every.readable)
        self._leave_out_shifted_ones(layout, every.readable)
        return every

    def _texts(self, layout: Layout, rows: Integers) -> list[bytes]:
        """The texts of timestamps; those of several columns with a space between."""
        columns = [
            [layout.data[a:b] for a, b in zip(first[rows].tolist(), last[rows].tolist(), strict=True)]
            for first, last in zip(layout.first, layout.last, strict=True)
        ]
        return columns[0] if len(columns) == 1 else [b" ".join(parts) for parts in zip(*columns, strict=True)]

    def _is_timestamp(self, text: bytes) -> bool:
        return bool(self.form.read([text]).readable[0])

    def _leave_out_cut_ones(self, layout: Layout, readable: Flags) -> None:
        """A timestamp that ends a half-written line and is shorter than others may be cut off."""
        lengths = (layout.last - layout.first).sum(axis=0)
        ends_row = readable & (layout.last.max(axis=0) + 1 >= layout.end)
        if self._tail is not None and ends_row.any():
            for row in np.flatnonzero(ends_row & (lengths < lengths[ends_row].max())).tolist():
                readable[row] = tail_of(layout.stamp_text(row).strip()) >= self._tail
        half = (layout.kind == Kind.SHORT) | (layout.next == layout.end)
        half &= readable & ends_row
        if half.any():
            readable[half & (lengths < max(self._longest, int(lengths[readable].max())))] = False
        if readable.any():
            self._longest = max(self._longest, int(lengths[readable].max()))

    def _leave_out_shifted_ones(self, layout: Layout, readable: Flags) -> None:
        """A short row that lacks a field before its timestamp has that farther to the front."""
        places = self._dialect.places
        for row in np.flatnonzero(readable & (layout.kind == Kind.SHORT)).tolist() if min(places) else ():
            body = layout.data[int(layout.begin[row]) : int(layout.end[row])]
            fields = fields_of(body, self._dialect.delimiter) or []
            farthest = min(len(self.columns) - len(fields), *places)
            shifted = [b" ".join(fields[at - by] for at in places) for by in range(1, farthest + 1)]
            readable[row] = not any(map(self._is_timestamp, shifted))


def _skip(reader: Reader, size: int) -> None:
    """Read past the first `size` bytes."""
    while size and (data := reader.read(size)):
        size -= len(data)


def _may_be_time(text: bytes) -> bool:
    """Whether a text has as many digits as a time; before it is known how they are written."""
    return len(_DIGIT.findall(text)) >= _FEWEST_DIGITS
