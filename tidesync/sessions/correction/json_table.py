"""JSON lines, an object on each; see `correction.table.Table`. New columns are keys at the objects' ends."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from tidesync.sessions.correction.json_objects import object_of, stamp_text, text_of, with_keys
from tidesync.sessions.correction.restarts import RestartCheck
from tidesync.sessions.correction.stamps.column import form_of_texts
from tidesync.sessions.correction.table import COLUMNS, NO_TIMESTAMP, Batch, Malformed
from tidesync.sessions.correction.text_lines import BOM, TextLines, read_texts
from tidesync.sessions.correction.timeline import NO_U95, STATES
from tidesync.sessions.errors import NoTimestampError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.sessions.correction.csv.lines import Lines
    from tidesync.sessions.correction.table import Job, Measured, Write
    from tidesync.sessions.correction.timeline import Corrections

SURVEYED = 5_000
_MOST_SHOWN = 200
_NULL = b"null"


class Row(NamedTuple):
    """A line that is not blank: its number in its block, where its text is, and what it is."""

    line: int
    begin: int
    end: int
    found: dict[str, Any] | None
    """None: it is no object."""


class Block(NamedTuple):
    """Consecutive lines."""

    data: bytes
    rows: list[Row]
    numbers: list[bool]
    """Whose timestamp is a number."""


@contextmanager
def open_json_lines(job: Job, measured: Measured) -> Iterator[JsonTable]:
    """Open a file of JSON lines in UTF-8 or UTF-16, compressed or not."""
    yield JsonTable(job, measured)


class JsonTable:
    """The lines that are not blank."""

    place = "line"

    def __init__(self, job: Job, measured: Measured) -> None:
        self._job, self._lines = job, TextLines(job.path)
        keys: dict[str, None] = {}
        texts: list[bytes] = []
        for data, lines in self._lines.surveyed():
            for row in _rows(data, lines, SURVEYED):
                keys |= dict.fromkeys(row.found or ())
                texts += [text] if (text := stamp_text(row.found or {}, job.columns)[0]) else []
        self.columns = tuple(sorted(keys, key=lambda name: COLUMNS.index(name) if name in COLUMNS else -1))
        if not texts:
            raise NoTimestampError(job.path, self._received())
        self.form = form_of_texts(job, measured, texts)

    @property
    def step_ns(self) -> int:
        """The unit of the timestamps that are written."""
        return self.form.step_ns

    def scan(self) -> Iterator[Batch]:
        """All lines."""
        scanned = 0
        for batch in self.read():
            scanned += len(batch.rows.data)
            yield batch
        self._lines.most = scanned

    def read(self) -> Iterator[Batch]:
        """All lines; after a scan those that it saw."""
        line, restarts = 1, RestartCheck(self._job)
        for data, lines, size in self._lines.blocks():
            rows = _rows(data, lines)
            stamps = [self._stamp(row) for row in rows]
            found = read_texts(self.form, [text for text, _ in stamps])
            restarts.note(found.unix_ns[found.readable])
            block = Block(data, rows, [number for _, number in stamps])
            malformed = [*self._malformed(block, found.readable.tolist(), line)]
            yield Batch(
                block, found.unix_ns, found.readable, malformed, size, found.repeated, found.resolution_ns
            )
            line += lines.start.size

    def texts(self, rows: Block, wanted: Sequence[int]) -> list[list[bytes]]:
        """The values of the lines that are `wanted`, by key; absent ones are empty."""
        objects = [rows.rows[place].found or {} for place in wanted]
        return [[text_of(each.get(name)) for each in objects] for name in self.columns]

    @contextmanager
    def output(self, stream: BinaryIO) -> Iterator[Write]:
        """The same bytes, with the new keys in the objects that have a timestamp."""
        with self._lines.source.sink(stream) as write:

            def write_rows(block: Block, corrections: Corrections) -> None:
                write(b"".join(self._written(block, corrections)))

            yield write_rows

    def _stamp(self, row: Row) -> tuple[bytes, bool]:
        """None of an object that has one of the new keys: it would have it twice."""
        found = row.found or {}
        return (
            (b"", False) if any(name in found for name in COLUMNS) else stamp_text(found, self._job.columns)
        )

    def _malformed(self, block: Block, readable: Sequence[bool], first: int) -> Iterator[Malformed]:
        for row, known in zip(block.rows, readable, strict=True):
            if not known:
                reason = "is no JSON object, or has a key twice" if row.found is None else NO_TIMESTAMP
                shown = self._stamp(row)[0] or block.data[row.begin : min(row.end, row.begin + _MOST_SHOWN)]
                yield Malformed(first + row.line, shown.decode("utf-8", "replace"), reason)

    def _written(self, block: Block, found: Corrections) -> Iterator[bytes]:
        times = self.form.write(np.where(found.known, found.topside_ns, 0)).tolist()
        state, known = found.state.tolist(), found.known.tolist()
        errors, u95s = (
            [_ms(ns, self.step_ns) for ns in each.tolist()] for each in (found.max_error_ns, found.u95_ns)
        )
        done = 0
        for place, row in enumerate(block.rows):
            yield block.data[done : row.begin]
            line, done = block.data[row.begin : row.end], row.end
            if state[place] < 0:
                yield line
                continue
            plain = block.numbers[place] and self.form.scale is not None and b"," not in times[place]
            time = times[place] if plain else b'"%s"' % times[place]
            values = [time, errors[place], u95s[place]] if known[place] else [_NULL] * 3
            values.append(b'"%s"' % STATES[state[place]].encode())
            yield with_keys(line, zip(COLUMNS, values, strict=True))
        yield block.data[done:]

    def _received(self) -> str:
        wanted = ", ".join(map(repr, self._job.columns))
        keys = ", ".join(map(repr, self.columns[:10]))
        received = f"received the keys {keys}" if keys else "no line is a JSON object"
        return f"no object has text or a number at the key {wanted} ({received}): --column names another one"


def _rows(data: bytes, lines: Lines, most: int | None = None) -> list[Row]:
    """The lines that are not blank, without a byte order mark and white space around them."""
    found = []
    spans = zip(lines.start[:most].tolist(), lines.end[:most].tolist(), strict=True)
    for line, (begin, end) in enumerate(spans):
        start = begin + len(BOM) if data.startswith(BOM, begin) else begin
        text = data[start:end].strip(b" \t\r")
        if text:
            found.append(Row(line, start, end, object_of(text)))
    return found


def _ms(error_ns: int, step_ns: int) -> bytes:
    """An error in ms with three decimals, rounded up: a bound stays a bound; null where it is not known."""
    if error_ns == NO_U95:
        return _NULL
    return b"%d.%03d" % divmod(-(-(error_ns + step_ns) // 1000), 1000)
