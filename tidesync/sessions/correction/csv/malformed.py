"""Records that should have a timestamp and have none, and what is wrong with each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from tidesync.sessions.correction.csv.dialect import names_of
from tidesync.sessions.correction.csv.layout import Kind
from tidesync.sessions.correction.csv.quotes import MAX_RECORD_BYTES
from tidesync.sessions.correction.table import NO_TIMESTAMP, Malformed
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from tidesync.sessions.correction.csv.dialect import Dialect
    from tidesync.sessions.correction.csv.layout import Layout
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.correction.unexplained import Flags

_LINE_END = re.compile(rb"\r*\n|\r")
_MOST_SHOWN = 200
_NO_ROWS = (Kind.BLANK, Kind.COMMENT, Kind.REST)
_REASONS = {
    Kind.EXTRA: "has more fields than the header",
    Kind.UNCLEAR: "has a decimal comma or one field too many",
    Kind.OPEN_QUOTE: "opens a quote that does not close",
    Kind.ZEROS: "has zero bytes",
    Kind.LONG: f"is longer than {MAX_RECORD_BYTES} bytes",
}


class MalformedRows(Sequence[Malformed]):
    """Those of a block, each made when it is asked for: there may be millions."""

    def __init__(self, job: Job, dialect: Dialect, layout: Layout, readable: Flags, line: int) -> None:
        """`line` is the number of the block's first line; UnusableFileError at another header."""
        self._job, self._dialect, self._layout, self._line = job, dialect, layout, line
        self._records = np.flatnonzero(~readable & ~np.isin(layout.kind, _NO_ROWS)).tolist()
        self._refuse_another_header()

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Malformed: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Malformed]: ...
    def __getitem__(self, index: int | slice) -> Malformed | Sequence[Malformed]:
        if isinstance(index, slice):
            return [self._malformed(record) for record in self._records[index]]
        return self._malformed(self._records[index])

    def _malformed(self, record: int) -> Malformed:
        kind, body = Kind(self._layout.kind[record]), self._body(record)
        reason = _REASONS.get(kind, NO_TIMESTAMP)
        if kind == Kind.SHORT:
            reason += ", or is another's: the row has fewer fields than the header"
        if kind <= Kind.SHORT and self._is_header(body):
            reason = "is the header again"
        text = self._layout.stamp_text(record) if kind <= Kind.SHORT else b""
        return Malformed(self._place(record), (text or body[:_MOST_SHOWN]).decode("utf-8", "replace"), reason)

    def _refuse_another_header(self) -> None:
        """Rows after it would be read in the places of the first header's columns."""
        dialect, wanted = self._dialect, self._job.columns
        if dialect.header is None or not self._records:
            return
        if not all(name.encode() in self._layout.data for name in wanted):
            return
        for record in self._records:
            body = self._body(record)
            if self._is_header(body):
                continue
            for line, text in enumerate(_LINE_END.split(body)):
                if set(wanted) <= set(names_of(text, dialect.delimiter)) and not self._is_header(text):
                    reason = "another header, with other columns: divide the table here"
                    raise UnusableFileError(self._job.path, reason, self._place(record) + line)

    def _is_header(self, body: bytes) -> bool:
        """Whether a record has the header's names, however they are quoted; empty ones at the end apart."""
        dialect = self._dialect
        if dialect.header is None:
            return False
        names, own = names_of(body, dialect.delimiter), [*dialect.columns]
        longer = names[len(own) :] + own[len(names) :]
        return names[: len(own)] == own[: len(names)] and not any(longer)

    def _body(self, record: int) -> bytes:
        return self._layout.data[int(self._layout.begin[record]) : int(self._layout.end[record])]

    def _place(self, record: int) -> int:
        return self._line + int(self._layout.line[record])
