"""Logs of text whose lines begin with a timestamp, as those of NMEA sentences; see log_stamps.py.

A line without one goes with the line before it. The timestamps are read as those of a table are, and written
as its `timestamp_topside`; every other byte stays. Line protocol is read likewise: influx_stamps.py.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tidesync.figures import counted
from tidesync.sessions.correction.restarts import RestartCheck
from tidesync.sessions.correction.stamps.column import form_of_texts
from tidesync.sessions.correction.stamps.form import StampForm
from tidesync.sessions.correction.table import Batch, Malformed
from tidesync.sessions.correction.text_lines import BOM, TextLines, read_texts
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.messages.format import Block, Outcome
from tidesync.sessions.messages.influx_stamps import InfluxFinder, check_influx, write_influx
from tidesync.sessions.messages.log_output import STEP_NS, log_output
from tidesync.sessions.messages.log_stamps import LogBlock, Stamped, StampFinder
from tidesync.sessions.messages.sidecar import unmarked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tidesync.sessions.correction.csv.lines import Lines
    from tidesync.sessions.correction.stamps.writing import Texts
    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.messages.format import Answer, Target, Write
    from topside_agent.estimator.blocks import Integers

_SURVEYED = 5_000
_MOST_SHOWN = 80


@contextmanager
def open_log(job: Job, measured: Measured) -> Iterator[LogFile]:
    """Open a log of text in UTF-8 or UTF-16, compressed or not; see `format.OpenMessages`."""
    yield LogFile(job, measured, StampFinder(job.stamps))


@contextmanager
def open_influx(job: Job, measured: Measured) -> Iterator[LogFile]:
    """Open a file of InfluxDB's line protocol; see influx_stamps.py."""
    found = LogFile(job, measured, InfluxFinder())
    check_influx(job, found.forms[0])
    found.write_times = write_influx
    yield found


class LogFile:
    """An open log; see `format.Messages`."""

    names = ("timestamp",)
    step_ns = STEP_NS

    def __init__(self, job: Job, measured: Measured, finder: StampFinder | InfluxFinder) -> None:
        if job.stamps.since_column is not None:
            reason = f"--since {job.stamps.since!r}: a log has no columns; an instant is expected"
            raise UnusableFileError(job.path, reason)
        self._job = replace(job, column="", stamps=replace(job.stamps, columns=()))
        self.lines, self.outcome = TextLines(job.path), Outcome()
        self._finder = finder
        self.write_times: Callable[[StampForm, Integers], Texts] = StampForm.write
        texts: list[bytes] = []
        for data, lines in self.lines.surveyed():
            found = self._stamped(data, lines)[:_SURVEYED]
            texts += [data[each.first : each.last] for each in found if each.clear]
        if not texts:
            raise NoTimestampError(job.path, finder.expected)
        self.forms = (form_of_texts(self._job, measured, texts),)

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All timestamps."""
        scanned = 0
        for block in self.read():
            scanned += len(block.records.data)
            yield block.columns
        self.lines.most = scanned

    def read(self) -> Iterator[Block]:
        """All lines."""
        line, restarts, without = 1, RestartCheck(self._job), 0
        for data, lines, size in self.lines.blocks():
            block = LogBlock(data, self._stamped(data, lines), line)
            found = self._batch(block, size)
            restarts.note(found.unix_ns[found.readable])
            line += lines.start.size
            without += lines.start.size - len(block.stamped)
            yield Block(block, (found,))
        note = f"{counted(without, 'line')} without a timestamp, each of which goes with the line before it"
        self.outcome.notes[:] = [note] if without else []

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:  # noqa: ARG002 - it needs no other file
        """That of the vehicle's clock."""
        return vehicles

    def foreign(self, target: Target) -> Iterator[Path]:
        """Nothing in a log names its writer: those of a correction have the table of errors beside them."""
        return unmarked(target)

    def output(self, target: Target) -> AbstractContextManager[Write]:
        """See log_output.py."""
        return log_output(
            target, self.outcome, self.lines.source, lambda at_ns: self.write_times(self.forms[0], at_ns)
        )

    def _batch(self, block: LogBlock, size: int) -> Batch:
        texts = [block.data[each.first : each.last] if each.clear else b"" for each in block.stamped]
        found = read_texts(self.forms[0], texts)
        malformed = []
        for row in np.flatnonzero(~found.readable).tolist():
            each = block.stamped[row]
            text = block.data[each.begin : each.begin + _MOST_SHOWN].splitlines()[0]
            malformed.append(Malformed(block.line + each.line, text.decode("utf-8", "replace")))
        return Batch(
            None, found.unix_ns, found.readable, malformed, size, found.repeated, found.resolution_ns
        )

    def _stamped(self, data: bytes, lines: Lines) -> list[Stamped]:
        found, find = [], self._finder.find
        spans = zip(lines.start.tolist(), lines.end.tolist(), lines.next.tolist(), strict=True)
        for line, (begin, end, following) in enumerate(spans):
            start = begin + len(BOM) if data.startswith(BOM, begin) else begin
            place = find(data[start:end], ended=following > end)
            if place is not None:
                found.append(Stamped(begin, line, start + place.begin, start + place.end, place.clear))
        return found
