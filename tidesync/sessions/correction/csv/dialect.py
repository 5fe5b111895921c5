"""How a table of delimited text is laid out: its delimiter, its header, the columns of its timestamps."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidesync.sessions.correction.csv.fields import fields_of, record_at, unquoted
from tidesync.sessions.correction.csv.lines import lines_of
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.csv.lines import Lines
    from tidesync.sessions.correction.table import Job

DELIMITERS = (b",", b";", b"\t", b"|")
BOM = b"\xef\xbb\xbf"

_DECIMAL_COMMA = re.compile(rb":\d\d:\d\d,\d{3}$")
_MOST_SHOWN = 200
_SAMPLED = 100
"""Lines in which a delimiter or a header is looked for."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the rows begin, as a byte and a line (from 1), and what they are made of.

    `header` is the header's text without its line end, which ends at `header_end`; None: there is no header.
    """

    delimiter: bytes
    columns: Sequence[str]
    places: Sequence[int]
    """Which columns have the timestamps."""
    begin: int
    line: int
    header: bytes | None = None
    header_end: int = 0
    comment: bytes = b""

    def whole(self, data: bytes, fields: list[tuple[int, int]]) -> list[tuple[int, int]] | None:
        """The fields, if as many as the header's; empty ones at the end and a decimal comma apart."""
        count, place = len(self.columns), self.places[-1]
        if len(fields) == count + 1 and self.delimiter == b",":
            begin, end = fields[place][0], fields[place + 1][1]
            if _DECIMAL_COMMA.search(data, begin, end):
                return [*fields[:place], (begin, end), *fields[place + 2 :]]
        extra = fields[count:]
        return fields[:count] if len(fields) >= count and all(begin == end for begin, end in extra) else None

    def stamp_text(self, data: bytes, fields: Sequence[tuple[int, int]]) -> bytes:
        """The text of a record's timestamp; empty where it has no such field."""
        if max(self.places) >= len(fields):
            return b""
        return b" ".join(unquoted(data[slice(*fields[place])]) for place in self.places)


def dialect_of(job: Job, data: bytes, *, at_end: bool) -> Dialect:
    """The dialect of a table that begins with `data`.

    NoTimestampError where it does not have the job's columns, UnusableFileError where a name is not unique.
    """
    lines = lines_of(data, at_end=at_end)
    comment = job.layout.comment.encode()
    if not job.layout.header:
        return _without_header(job, data, lines, comment)
    found = _header_line(job, data, lines, comment)
    start = int(lines.start[found])
    begin = start + (len(BOM) if not start and data.startswith(BOM) else 0)
    for delimiter in DELIMITERS:
        record = record_at(data, begin, lines.end[found:].tolist(), delimiter)
        text = data[begin : record.end if record else int(lines.end[found])]
        columns = names_of(text, delimiter)
        if len(columns) == 1 and _is_within_times(data, lines, found, delimiter):
            continue
        if all(name in columns for name in job.columns):
            last = int((lines.end <= begin + len(text)).sum()) - 1
            places = _places(job.path, columns, job.columns, found + 1)
            rows = int(lines.next[last])
            return Dialect(delimiter, columns, places, rows, last + 2, text, begin + len(text), comment)
    raise NoTimestampError(job.path, _no_column(job, data, lines, found), found + 1)


def _is_within_times(data: bytes, lines: Lines, header: int, delimiter: bytes) -> bool:
    """Whether most rows of a table of one column have it, as a decimal comma that is no field's end."""
    texts = [
        _text(data, lines, index) for index in range(header + 1, min(header + _SAMPLED, lines.start.size))
    ]
    within = [text for text in texts if delimiter in text and not _DECIMAL_COMMA.search(text)]
    return 2 * len(within) > len(texts)


def names_of(text: bytes, delimiter: bytes) -> list[str]:
    """The names in a header; a byte order mark before them is none."""
    text = text.removeprefix(BOM)
    fields = fields_of(text, delimiter) or text.split(delimiter)
    return [name.decode("utf-8", "replace").strip() for name in fields]


def _header_line(job: Job, data: bytes, lines: Lines, comment: bytes) -> int:
    """Its index: the one that is stated, or the first that is neither blank nor a comment."""
    stated = job.layout.header_line
    if stated is not None:
        if stated > lines.start.size or not _text(data, lines, stated - 1):
            raise NoTimestampError(job.path, f"--header-line {stated}: there is no text on that line")
        return stated - 1
    for index in range(lines.start.size):
        text = _text(data, lines, index)
        if text and not (comment and text.startswith(comment)):
            return index
    raise NoTimestampError(job.path, "there is no header")


def _text(data: bytes, lines: Lines, index: int) -> bytes:
    text = data[int(lines.start[index]) : int(lines.end[index])]
    return text if index else text.removeprefix(BOM)


def _places(path: Path, columns: Sequence[str], wanted: Iterable[str], line: int) -> list[int]:
    """The places of the columns; no name may be there twice."""
    twice = [name for name, number in Counter(columns).items() if number > 1 and name]
    if twice:
        at = [str(place) for place, name in enumerate(columns, 1) if name == twice[0]]
        reason = f"columns {' and '.join(at)} are all named {twice[0]!r}: give each a name of its own"
        raise UnusableFileError(path, reason, line)
    return [columns.index(name) for name in wanted]


def _no_column(job: Job, data: bytes, lines: Lines, found: int) -> str:
    """What to say where the header does not have the columns."""
    header = _text(data, lines, found)
    received = header[:_MOST_SHOWN].decode("utf-8", "replace")
    names = {name for delimiter in DELIMITERS for name in names_of(header, delimiter)}
    missing = [name for name in job.columns if name not in names] or job.columns
    wanted = ", ".join(map(repr, missing))
    reason = f"there is no column {wanted} (received {received!r})"
    for index in range(found + 1, min(found + _SAMPLED, lines.start.size)):
        text = _text(data, lines, index)
        if any(set(job.columns) <= set(names_of(text, delimiter)) for delimiter in DELIMITERS):
            return f"{reason}; line {index + 1} has it: --header-line {index + 1}"
    return f"{reason}; {_option_of(job, missing[0])} names another one"


def _option_of(job: Job, name: str) -> str:
    """The option by which a column was named."""
    if job.stamps.columns:
        return "--columns"
    return "--since" if name == job.stamps.since_column else "--column"


def _without_header(job: Job, data: bytes, lines: Lines, comment: bytes) -> Dialect:
    """Columns are named by their numbers, from 1; most lines have as many delimiters."""
    texts = [_text(data, lines, index) for index in range(min(_SAMPLED, lines.start.size))]
    texts = [text for text in texts if text and not (comment and text.startswith(comment))]
    if not texts:
        raise NoTimestampError(job.path, "there is no row")
    counts = {
        delimiter: Counter(len(fields_of(text, delimiter) or ()) for text in texts).most_common(1)[0]
        for delimiter in DELIMITERS
    }
    delimiter = max(DELIMITERS, key=lambda each: (counts[each][0] > 1, counts[each][1]))
    columns = [str(number) for number in range(1, counts[delimiter][0] + 1)]
    missing = [name for name in job.columns if name not in columns]
    if missing:
        named = f"without a header they are named 1 to {len(columns)} (--column 1)"
        raise NoTimestampError(job.path, f"there is no column {missing[0]!r}: {named}")
    begin = len(BOM) if data.startswith(BOM) else 0
    return Dialect(delimiter, columns, [int(name) - 1 for name in job.columns], begin, 1, comment=comment)
