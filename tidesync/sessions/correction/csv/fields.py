"""The fields of one record of delimited text, as RFC 4180 quotes them."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

QUOTE = b'"'


class Record(NamedTuple):
    """Where its fields begin and end, quotes included; `tidy` where each quote closes at its field's end."""

    fields: list[tuple[int, int]]
    tidy: bool

    @property
    def end(self) -> int:
        """Where its text ends."""
        return self.fields[-1][1]


def record_at(
    data: bytes, start: int, ends: Sequence[int], delimiter: bytes, *, line: int = 0, limit: int = 0
) -> Record | None:
    """The record that begins at `start`; None where a quoted field closes in none of the lines.

    `ends`, rising: where the texts of the lines end. A quoted field may go on over them, from the one of
    `start`, `line`, to the one before `limit` (0: to the last).
    """
    fields: list[tuple[int, int]] = []
    last_end, tidy = ends[limit - 1], True
    while True:
        close = start
        if data.startswith(QUOTE, start, ends[line]):
            found = closing_quote(data, start, last_end)
            if found is None:
                return None
            close = found
            line = line if close <= ends[line] else bisect_left(ends, close, line)
        delimited = data.find(delimiter, close, ends[line])
        end = ends[line] if delimited < 0 else delimited
        tidy &= close in {start, end}
        fields.append((start, end))
        if delimited < 0:
            return Record(fields, tidy)
        start = delimited + 1


def closing_quote(data: bytes, start: int, limit: int) -> int | None:
    """The place after the quote that closes the field opened at `start`."""
    place = start + 1
    while (place := data.find(QUOTE, place, limit)) >= 0:
        if not data.startswith(QUOTE, place + 1, limit):
            return place + 1
        place += 2
    return None


def fields_of(body: bytes, delimiter: bytes) -> list[bytes] | None:
    """The fields of a record without their quotes; None where the last one does not close."""
    record = record_at(body, 0, [len(body)], delimiter)
    return None if record is None else [unquoted(body[begin:end]) for begin, end in record.fields]


def unquoted(field: bytes) -> bytes:
    """A field's value: doubled quotes stand for one; what follows a closing quote belongs to it."""
    if not field.startswith(QUOTE):
        return field
    close = closing_quote(field, 0, len(field)) or len(field) + 1
    return field[1 : close - 1].replace(QUOTE * 2, QUOTE) + field[close:]
