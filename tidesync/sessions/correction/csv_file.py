"""Corrects a CSV: every record passes through as the bytes it was, with three fields after it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from tidesync.sessions.correction.outcome import Outcome
from tidesync.sessions.correction.output import output_of, replacing
from tidesync.sessions.correction.records import Header, Record, read_header, records
from tidesync.sessions.correction.stamps import StampReader, StampWriter, milliseconds_up
from tidesync.sessions.correction.table import COLUMNS, Corrector, Job, Progress
from tidesync.sessions.correction.timeline import HOLDOVER, STATES
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidesync.sessions.correction.timeline import Timeline

_BATCH = 4096
"""Records in memory at once."""


def correct_csv(job: Job, timeline: Timeline, progress: Progress) -> Outcome:
    """Write `NAME.topside.csv` beside `job.path`; UnusableFileError or OSError, and nothing was written."""
    outcome = Outcome(job.path, output_of(job.path), job.vehicle)
    with job.path.open("rb") as stream:
        header = read_header(stream, job.path, job.column)
        _refuse_output(job, header)
        corrector = Corrector(timeline)
        rows = None
        if corrector.passes > 1:
            rows = _note(corrector, _Rows(job, header, timeline, stream), progress)
        with replacing(outcome.output) as output:
            table = _Rows(job, header, timeline, stream)
            output.write(table.head())
            for batch in table.batches(progress, rows):
                output.write(table.corrected(batch, corrector, outcome))
    return outcome


def _note(corrector: Corrector, rows: _Rows, progress: Progress) -> int:
    """The first reading; how many records it saw: the second one takes no more of a file that grows."""
    seen = 0
    rows.head()
    for batch in rows.batches(progress, None):
        corrector.note([rows.stamp(record) for record in batch])
        seen += len(batch)
    return seen


def _refuse_output(job: Job, header: Header) -> None:
    fields = header.record.fields or []
    taken = [name for name in COLUMNS if name.encode() in fields]
    if taken:
        raise UnusableFileError(
            job.path, f"there is a column {taken[0]} already: it has been corrected before"
        )


class _Rows:
    """One reading of the file."""

    def __init__(self, job: Job, header: Header, timeline: Timeline, stream: BinaryIO) -> None:
        self._header = header
        self._reader = StampReader(job.unit, timeline.middle_ns)
        self._writer: StampWriter | None = None
        stream.seek(0)
        self._records = records(stream, job.path, header.delimiter)

    def head(self) -> bytes:
        """What stands before the rows, with the new columns' names."""
        head = [record.body + record.ending for record in islice(self._records, self._blank_lines())]
        header = next(self._records)
        names = self._header.delimiter.join(name.encode() for name in COLUMNS)
        return b"".join(head) + header.body + self._header.delimiter + names + header.ending

    def _blank_lines(self) -> int:
        return self._header.record.line - 1

    def batches(self, progress: Progress, most: int | None) -> Iterator[list[Record]]:
        """The rows, at most `most` of them."""
        rows = islice(self._records, most)
        while batch := list(islice(rows, _BATCH)):
            yield batch
            progress(sum(len(record.body) + len(record.ending) for record in batch))

    def stamp(self, record: Record) -> int | None:
        """The row's timestamp in Unix ns, or None."""
        text = self._text(record)
        return None if text is None else self._reader.read(text)

    def _text(self, record: Record) -> str | None:
        fields = record.fields
        if fields is None or not self._header.column < len(fields) <= self._header.columns:
            return None
        return fields[self._header.column].decode("utf-8", "replace")

    def corrected(self, batch: list[Record], corrector: Corrector, outcome: Outcome) -> bytes:
        """The batch's records, each with its three fields."""
        stamps = [self.stamp(record) for record in batch]
        answers = corrector.answer(stamps)
        outcome.count(answers)
        added = iter(zip(*(column.tolist() for column in answers), strict=True))
        lines = []
        for record, stamp in zip(batch, stamps, strict=True):
            if not record.body:
                lines.append(record.ending)
            elif stamp is None:
                outcome.refuse(record.line, self._text(record) or record.body.decode("utf-8", "replace"))
                lines.append(self._with(record, ("", "", "")))
            else:
                lines.append(self._with(record, self._added(*next(added))))
        return b"".join(lines)

    def _added(self, topside_ns: int, max_error_ns: int, state: int) -> tuple[str, str, str]:
        if state > HOLDOVER:
            return "", "", STATES[state]
        form = self._reader.form
        assert form is not None
        self._writer = self._writer or StampWriter(form)
        error = milliseconds_up(max_error_ns + form.step_ns)
        return self._writer.write(topside_ns), error, STATES[state]

    def _with(self, record: Record, added: tuple[str, str, str]) -> bytes:
        """The record's own text, then the fields; one that is short of fields is filled up first."""
        if record.fields is None:
            return record.body + record.ending
        delimiter = self._header.delimiter
        missing = max(self._header.columns - len(record.fields), 0)
        fields = delimiter.join(value.encode() for value in added)
        return record.body + delimiter * (missing + 1) + fields + record.ending
