"""CSV tables as bytes: every record passes through as it is, with four fields after it."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tidesync.sessions.correction.stamps import StampReader, StampWriter, milliseconds_up, stamp_arrays
from tidesync.sessions.correction.table import COLUMNS, Batch, Job
from tidesync.sessions.correction.timeline import NO_U95, STATES, UNREADABLE
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.table import Write
    from tidesync.sessions.correction.timeline import Corrections

QUOTE = b'"'
DELIMITERS = (b",", b";", b"\t", b"|")
MAX_RECORD_BYTES = 1 << 20
"""A longer record has lost its closing quote or its line ends."""

_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
_BATCH = 4096
"""Records in memory at once."""


class Record(NamedTuple):
    """One record of the file: its text, its line end (empty at the file's end), the number of its first line.

    `fields` is None for a blank line and for a last record whose quote never closes.
    """

    body: bytes
    ending: bytes
    line: int
    fields: list[bytes] | None


@contextmanager
def open_csv(job: Job, near_ns: int) -> Iterator[CsvTable]:
    """Open a CSV with a header, in UTF-8 or any encoding that extends ASCII, with any of DELIMITERS."""
    with job.path.open("rb") as stream:
        yield CsvTable(job, near_ns, stream)


class CsvTable:
    """The records after the header; see `correction.table.Table`."""

    resolution_ns = 0
    place = "line"

    def __init__(self, job: Job, near_ns: int, stream: BinaryIO) -> None:
        self._job, self._near_ns, self._stream = job, near_ns, stream
        self._header, self._delimiter, self.columns = _header(stream, job)
        self._separator = self._delimiter.decode()
        self._place, self._count = self.columns.index(job.column), len(self.columns)
        self._reader = StampReader(job.unit, near_ns)
        self._writer: StampWriter | None = None
        self._scanned: int | None = None

    def scan(self) -> Iterator[Batch]:
        """All records."""
        self._scanned = 0
        for batch in self._batches(None):
            self._scanned += len(batch.rows)
            yield batch

    def read(self) -> Iterator[Batch]:
        """The records that were scanned, or all."""
        return self._batches(self._scanned)

    def _batches(self, most: int | None) -> Iterator[Batch]:
        self._reader = StampReader(self._job.unit, self._near_ns)
        self._stream.seek(0)
        begin = self._header.line  # each line before the header is a blank record
        found = records(self._stream, self._job.path, self._delimiter)
        rows = islice(found, begin, None if most is None else begin + most)
        while batch := list(islice(rows, _BATCH)):
            stamps = [self._stamp(record) for record in batch]
            malformed = [
                (record.line, self._text(record) or record.body.decode("utf-8", "replace"))
                for record, stamp in zip(batch, stamps, strict=True)
                if stamp is None and record.body
            ]
            size = sum(len(each.body) + len(each.ending) for each in batch)
            yield Batch(batch, *stamp_arrays(stamps), malformed, size)

    def _stamp(self, record: Record) -> int | None:
        text = self._text(record)
        return None if text is None else self._reader.read(text)

    def _text(self, record: Record) -> str | None:
        fields = record.fields
        if fields is None or not self._place < len(fields) <= self._count:
            return None
        return fields[self._place].decode("utf-8", "replace")

    @contextmanager
    def output(self, stream: BinaryIO) -> Iterator[Write]:
        """The same bytes, with the same delimiter before each of the new fields."""
        self._stream.seek(0)
        blank = islice(records(self._stream, self._job.path, self._delimiter), self._header.line - 1)
        stream.writelines(record.ending for record in blank)
        stream.write(self._extended(self._header, self._separator.join(COLUMNS)))

        def write(rows: Sequence[Record], corrections: Corrections) -> None:
            columns = (column.tolist() for column in (*corrections, corrections.known))
            stream.write(b"".join(map(self._extended, rows, map(self._added, *columns))))

        yield write

    @property
    def step_ns(self) -> int:
        """The unit of the timestamps that were written."""
        return 0 if self._writer is None else self._writer.step_ns

    def _added(self, topside_ns: int, max_error_ns: int, state: int, u95_ns: int, known: bool) -> str:
        """The new fields of a row, with the delimiter between them."""
        if not known:
            return self._separator * 3 + ("" if state == UNREADABLE else STATES[state])
        writer = self._writer = self._writer or self._new_writer()
        error = milliseconds_up(max_error_ns + writer.step_ns)
        u95 = "" if u95_ns == NO_U95 else milliseconds_up(u95_ns + writer.step_ns)
        return self._separator.join((writer.write(topside_ns), error, u95, STATES[state]))

    def _new_writer(self) -> StampWriter:
        assert self._reader.form is not None, "a timestamp has been read"
        return StampWriter(self._reader.form)

    def _extended(self, record: Record, added: str) -> bytes:
        """The record's own text, then the new fields; missing fields are filled in as empty ones."""
        if record.fields is None:
            return record.body + record.ending
        missing = max(self._count - len(record.fields), 0)
        return record.body + self._delimiter * (missing + 1) + added.encode() + record.ending


def _header(stream: BinaryIO, job: Job) -> tuple[Record, bytes, list[str]]:
    """The first record that is not blank, the delimiter under which it has the column, and its names."""
    record: Record | None = None
    for delimiter in DELIMITERS:
        stream.seek(0)
        record = next((r for r in records(stream, job.path, delimiter) if r.fields is not None), None)
        if record is None:
            raise NoTimestampError(job.path, "there is no header")
        if record.body.startswith(_WIDE_BOMS):
            raise UnusableFileError(job.path, "it is UTF-16; save it as UTF-8", record.line)
        names = fields_of(record.body.removeprefix(_BOM), delimiter) or []
        columns = [name.decode("utf-8", "replace").strip() for name in names]
        if job.column in columns:
            return record, delimiter, columns
    assert record is not None
    received = record.body[:200].decode("utf-8", "replace").removeprefix("\ufeff")
    raise NoTimestampError(
        job.path, f"there is no column {job.column!r} (received {received!r})", record.line
    )


def fields_of(body: bytes, delimiter: bytes) -> list[bytes] | None:
    """The record's fields without their quotes; None when a quoted field continues in the next line."""
    if QUOTE not in body:
        return body.split(delimiter)
    fields, start = [], 0
    while True:
        close = _closing_quote(body, start) if body.startswith(QUOTE, start) else start
        if close is None:
            return None
        end = body.find(delimiter, close)
        field = body[start : len(body) if end < 0 else end]
        if body.startswith(QUOTE, start):
            inner = close - start - 1
            field = field[1:inner].replace(QUOTE * 2, QUOTE) + field[inner + 1 :]
        fields.append(field)
        if end < 0:
            return fields
        start = end + 1


def _closing_quote(body: bytes, start: int) -> int | None:
    """The place after the quote that closes the field opened at `start`."""
    place = start + 1
    while (place := body.find(QUOTE, place)) >= 0:
        if not body.startswith(QUOTE, place + 1):
            return place + 1
        place += 2
    return None


def records(stream: BinaryIO, path: Path, delimiter: bytes) -> Iterator[Record]:
    """The records from the position of `stream`, whose lines are counted from 1; one in memory at a time."""
    line = 1
    while raw := stream.readline(MAX_RECORD_BYTES + 1):
        first, (body, ending) = line, _without_line_end(raw)
        fields = fields_of(body, delimiter)
        line += 1
        while fields is None:
            more = stream.readline(MAX_RECORD_BYTES + 1)
            if len(raw) + len(more) > MAX_RECORD_BYTES:
                reason = f"a quote opens here that {MAX_RECORD_BYTES} bytes do not close"
                raise UnusableFileError(path, reason, first)
            if not more:
                break
            raw, line = raw + more, line + 1
            body, ending = _without_line_end(raw)
            fields = fields_of(body, delimiter) if QUOTE in more else None
        if len(raw) > MAX_RECORD_BYTES:
            raise UnusableFileError(path, f"no line ends within {MAX_RECORD_BYTES} bytes", first)
        yield Record(body, ending, first, fields if body else None)


def _without_line_end(raw: bytes) -> tuple[bytes, bytes]:
    """A record's text and its line end."""
    if not raw.endswith(b"\n"):
        return raw, b""
    return (raw[:-2], b"\r\n") if raw.endswith(b"\r\n") else (raw[:-1], b"\n")
