"""CSV as bytes: records and their fields, so that everything that is not added passes through untouched."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tidesync.sessions.errors import NoTimestampError, UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUOTE = b'"'
DELIMITERS = (b",", b";", b"\t", b"|")
LONGEST = 1 << 20
"""Bytes of one record: what is longer has lost its closing quote or its line ends."""

_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")


class Record(NamedTuple):
    """One record as it stands in the file: its text, its line end (empty at the file's end), its first line.

    `fields` is None for a blank line and for a last record whose quote never closes.
    """

    body: bytes
    ending: bytes
    line: int
    fields: list[bytes] | None


class Header(NamedTuple):
    """The first record, and what it says about the rest."""

    record: Record
    delimiter: bytes
    column: int
    columns: int


def fields_of(body: bytes, delimiter: bytes) -> list[bytes] | None:
    """The record's fields without their quotes; None when a quoted field goes on in the next line."""
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


def read_header(stream: BinaryIO, path: Path, column: str) -> Header:
    """The header, and the delimiter under which it has `column`; leaves `stream` after it."""
    record: Record | None = None
    for delimiter in DELIMITERS:
        stream.seek(0)
        record = next((r for r in records(stream, path, delimiter) if r.fields is not None), None)
        if record is None:
            raise NoTimestampError(path, "there is no header")
        if record.body.startswith(_WIDE_BOMS):
            raise UnusableFileError(path, "it is UTF-16; save it as UTF-8", record.line)
        names = _names(record, delimiter)
        if column in names:
            return Header(record, delimiter, names.index(column), len(names))
    assert record is not None
    shown = record.body[:200].decode("utf-8", "replace").removeprefix("\ufeff")
    raise NoTimestampError(path, f"there is no column {column!r} (received {shown!r})", record.line)


def _names(record: Record, delimiter: bytes) -> list[str]:
    fields = fields_of(record.body.removeprefix(_BOM), delimiter) or []
    return [field.decode("utf-8", "replace").strip() for field in fields]


def records(stream: BinaryIO, path: Path, delimiter: bytes, line: int = 1) -> Iterator[Record]:
    """The records from where `stream` stands, which is line number `line`; one in memory at a time."""
    while raw := stream.readline(LONGEST + 1):
        first, (body, ending) = line, _parted(raw)
        fields = fields_of(body, delimiter)
        line += 1
        while fields is None:
            more = stream.readline(LONGEST + 1)
            if len(raw) + len(more) > LONGEST:
                raise UnusableFileError(path, f"a quote opens here that {LONGEST} bytes do not close", first)
            if not more:
                break
            raw, line = raw + more, line + 1
            body, ending = _parted(raw)
            fields = fields_of(body, delimiter) if QUOTE in more else None
        if len(raw) > LONGEST:
            raise UnusableFileError(path, f"no line ends within {LONGEST} bytes", first)
        yield Record(body, ending, first, fields if body else None)


def _parted(raw: bytes) -> tuple[bytes, bytes]:
    """A record's text and its line end."""
    if not raw.endswith(b"\n"):
        return raw, b""
    return (raw[:-2], b"\r\n") if raw.endswith(b"\r\n") else (raw[:-1], b"\n")
