"""Sea-Bird's .cnv: a table beside it with the time of each scan; the file itself is not changed.

A column of time of the instrument or of the computer that recorded (timeK, timeY, timeJV2) is read as a
table's numbers are. Time since the start (timeS, timeM, timeH, timeJ) is counted by the instrument alone:
only the start, written to a second, is of the clock that is stated, and the rest is that and the time since.

Assumption: the first scan was taken at the start, within the second that is written.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from tidesync.sessions.correction.stamps.column import form_of_digits
from tidesync.sessions.correction.stamps.numbers import S, decimal
from tidesync.sessions.correction.table import Batch, Malformed
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.messages.cnv_header import END, CnvHeader, TimeColumn
from tidesync.sessions.messages.format import Block, Outcome
from tidesync.sessions.messages.sidecar import foreign_sidecar, sidecar_output
from tidesync.sessions.messages.started import Start, StartedFile, passed_form

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.messages.format import Answer, Target, Write

_DEFAULT = "timestamp"
_MOST_HEADER, _PART, _SURVEYED, _SHOWN = 20_000, 1 << 20, 4_096, 80
_LONGEST_LINE = 1 << 16
_WIDTH = 11
_BAD_FLAG = "-9.990e-29"
"""Sea-Bird's, where a header states none."""
_LATEST_NS = 2**60
_FASTEST_HZ = 24
"""No instrument scans faster."""
STEP_NS = 1_000


@contextmanager
def open_cnv(job: Job, measured: Measured) -> Iterator[CnvFile]:
    """Open a .cnv of text; see `format.OpenMessages`."""
    with job.path.open("rb") as stream:
        yield CnvFile(job, measured, stream)


class CnvFile:
    """An open .cnv; see `format.Messages`. Its messages are its scans."""

    names = ("scan",)
    step_ns = STEP_NS

    def __init__(self, job: Job, measured: Measured, stream: BinaryIO) -> None:
        self._path, self._stream, self.outcome = job.path, stream, Outcome()
        header = _header(job.path, stream)
        self._begin = stream.tell()
        self._columns = len(header.columns)
        column = header.time_column(None if job.column == _DEFAULT else job.column)
        if isinstance(column, str):
            raise NoTimestampError(job.path, column)
        self.column: TimeColumn = column
        self._bad = _bad_flag(job.path, header)
        self._of = f" ({header.start[1]})" if header.start is not None and header.uploaded else ""
        self._started: StartedFile | None = None
        if column.scale is None:
            self._started = _started(job, measured, header)
            self._check_skipped(header.values.get("datcnv_skipover", "0"))
            self.forms: tuple[StampForm, ...] = (passed_form(self._started.form),)
        else:
            texts = [text for text in self._surveyed() if text is not None]
            self.forms = (form_of_digits(job, measured, texts, column.scale),)

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All scans' times."""
        for block in self.read():
            yield block.columns

    def read(self) -> Iterator[Block]:
        """All scans."""
        self.outcome.losses.clear()
        row = 0
        for lines, size in self._lines():
            texts = [self._text(line) for line in lines]
            batch = self._batch(lines, texts, row, size)
            fronts = [f"{row + place},{_shown(text)}" for place, text in enumerate(texts, 1)]
            yield Block(fronts, (batch,))
            row += len(lines)

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:  # noqa: ARG002 - it needs no other file
        """That of the clock, or of what passed since the start."""
        name = self.column.name
        if self._started is None:
            self.outcome.notes[:] = [f"times are of column {name}"]
            return vehicles
        own = self._started.timeline(vehicles)
        start = f"{self._started.start.text}{self._of}"
        note = f"times are its start, {start}, and column {name}, {self._started.assumed}"
        self.outcome.notes[:] = [note, *self._started.faults]
        return own

    def foreign(self, target: Target) -> Iterator[Path]:
        """A table that is not that of a correction."""
        return foreign_sidecar(target)

    def output(self, target: Target) -> AbstractContextManager[Write]:
        """The table."""
        return sidecar_output(target, ("scan", self.column.name), lambda block: block.records, STEP_NS)

    def _check_skipped(self, skipped: str) -> None:
        """UnusableFileError where time since the start was not counted over scans that were left out."""
        scans = int(skipped) if skipped.isdecimal() else 0
        first = [text for lines, _ in islice(self._lines(), 1) for text in map(self._text, lines)]
        found = self._passed(first, 0)
        passed_ns = found.unix_ns[found.readable]
        if scans and passed_ns.size and int(passed_ns.min()) * _FASTEST_HZ < scans * S:
            reason = (
                f"its times begin before {scans} scans after its start, which were left out (datcnv_skipover)"
            )
            raise UnusableFileError(self._path, reason)

    def _surveyed(self) -> Iterator[bytes | None]:
        """The times of the first scans, and of the last ones."""
        last: list[bytes] = []
        for number, (lines, _) in enumerate(self._lines()):
            if not number:
                yield from map(self._text, lines[:_SURVEYED])
            last = lines[-_SURVEYED:]
        yield from map(self._text, last)

    def _lines(self) -> Iterator[tuple[list[bytes], int]]:
        """Lines with scans, about a MB at a time, and how many bytes they are."""
        self._stream.seek(self._begin)
        while some := self._stream.readlines(_PART):
            yield [line[:_LONGEST_LINE].rstrip() for line in some if line.strip()], sum(map(len, some))

    def _text(self, line: bytes) -> bytes | None:
        """The scan's time; None where the line has not all columns."""
        values = line.split()
        if len(values) != self._columns:
            values = [line[at : at + _WIDTH].strip() for at in range(0, len(line), _WIDTH)]
            complete = len(line) == _WIDTH * self._columns
            if not complete or any(decimal(value.decode("ascii", "replace")) is None for value in values):
                return None
        text = values[self.column.place]
        try:
            return None if float(text) == self._bad else text
        except ValueError:
            return text  # no number, which shows where it is read

    def _batch(self, lines: Sequence[bytes], texts: Sequence[bytes | None], row: int, size: int) -> Batch:
        found = self._passed(texts, size) if self.column.scale is None else self._stamped(texts, size)
        malformed = [
            Malformed(row + place + 1, lines[place][:_SHOWN].decode("ascii", "replace"))
            for place in np.flatnonzero(~found.readable).tolist()
        ]
        return found._replace(malformed=malformed)

    def _stamped(self, texts: Sequence[bytes | None], size: int) -> Batch:
        found = self.forms[0].read([text or b"" for text in texts])
        return Batch(None, found.unix_ns, found.readable, (), size, found.repeated, found.resolution_ns)

    def _passed(self, texts: Sequence[bytes | None], size: int) -> Batch:
        """Ns passed since the start, and the unit of the last digit of each."""
        unit_ns, begin_ns = self.column.elapsed_ns, self.column.begin_ns
        numbers = [None if text is None else decimal(text.decode("ascii", "replace")) for text in texts]
        known = [None if each is None or abs(each.ns(unit_ns)) > _LATEST_NS else each for each in numbers]
        readable = np.array([each is not None for each in known], dtype=bool)
        passed_ns = [0 if each is None else each.ns(unit_ns) - begin_ns for each in known]
        step_ns = [0 if each is None else min(each.step_ns(unit_ns), _LATEST_NS) for each in known]
        steps = np.array(step_ns, dtype=np.int64)
        return Batch(None, np.array(passed_ns, dtype=np.int64), readable, (), size, None, steps)


def _header(path: Path, stream: BinaryIO) -> CnvHeader:
    """The header, after which the stream stands; UnusableFileError where there is none of a text."""
    lines: list[str] = []
    for _ in range(_MOST_HEADER):
        line = stream.readline(_LONGEST_LINE)
        if line.startswith(END):
            break
        if not line or (line.strip() and line[:1] not in {b"*", b"#"}):
            received = f"it begins with {line[:40]!r}" if not lines and line else "its header does not end"
            raise UnusableFileError(path, f"it is no .cnv: {received}")
        lines.append(line.decode("latin-1").rstrip())
    else:
        raise UnusableFileError(path, "it is no .cnv: its header does not end")
    header = CnvHeader.of(lines)
    if not header.columns:
        raise UnusableFileError(path, "it is no .cnv: its header does not name each of its columns")
    if header.contradiction:
        raise UnusableFileError(path, header.contradiction)
    if (kind := header.values.get("file_type", "ascii")) != "ascii":
        raise UnusableFileError(path, f"its scans are {kind}: convert it with ASCII as the output format")
    return header


def _bad_flag(path: Path, header: CnvHeader) -> float:
    """What stands for no value; a number, as its digits are written in several ways."""
    text = header.values.get("bad_flag", _BAD_FLAG)
    try:
        return float(text)
    except ValueError:
        raise UnusableFileError(path, f"bad_flag: expected a number, received {text!r}") from None


def _started(job: Job, measured: Measured, header: CnvHeader) -> StartedFile:
    """Its start; UnusableFileError where it has none, or one of another clock."""
    if header.start is None:
        received = header.values.get("start_time", "none")
        raise UnusableFileError(
            job.path, f"start_time: expected such as Nov 30 2026 02:08:13, received {received!r}"
        )
    text, by = header.start
    if by.startswith("NMEA") and not (job.clock is not None and job.clock.differs):
        reason = (
            f"its start_time is of {by}, which is time of GPS: state how far that was ahead of topside's "
            "clock (--instrument-clock topside+0±1)"
        )
        raise UnusableFileError(job.path, reason)
    return StartedFile(job, measured, Start(text, "UTC" if by.startswith(("System UTC", "NMEA")) else None))


def _shown(text: bytes | None) -> str:
    return "" if text is None or b"," in text else text.decode("ascii", "replace")
