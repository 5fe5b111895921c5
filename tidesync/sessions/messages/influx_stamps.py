"""The timestamps of InfluxDB's line protocol: an integer behind the fields of each line.

A line has a measurement with tags, fields and a timestamp, with single spaces between; one that has other
parts has no timestamp that can be read, nor has a last line without a line end: it may be cut off.

Assumption: no string of a field goes on over a line end; where one does, its lines have no timestamp.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tidesync.sessions.correction.stamps.numbers import UNIX
from tidesync.sessions.correction.stamps.writing import write_numbers
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.messages.log_stamps import Place

if TYPE_CHECKING:
    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.stamps.writing import Texts
    from tidesync.sessions.correction.table import Job
    from topside_agent.estimator.blocks import Integers

_LINE = re.compile(
    rb'(?:[^ \t"\\,=]|\\.)(?:[^ \t\\]|\\.)* (?:[^ \t"\\]|\\.|"(?:[^"\\]|\\.)*")+ (?P<stamp>-?\d+)[ \t]*'
)
_NO_RECORD = re.compile(rb"[ \t]*(?:#.*)?", re.DOTALL)
_NS = UNIX[3]


class InfluxFinder:
    """Finds the timestamps of line protocol."""

    expected = "no line is a measurement, fields and an integer timestamp, with spaces between"

    def find(self, line: bytes, *, ended: bool) -> Place | None:
        """The timestamp of `line`; None where it is blank or a comment. `ended`: it has a line end."""
        if _NO_RECORD.fullmatch(line):
            return None
        match = _LINE.fullmatch(line)
        return Place(*match.span("stamp"), ended) if match else Place(0, 0, clear=False)


def write_influx(form: StampForm, unix_ns: Integers) -> Texts:
    """Integers in the unit of `form` where that is µs or ns; else ns, as a line has no decimals."""
    if form.scale is not None and form.scale.unit_ns <= form.step_ns:
        return form.write(unix_ns)
    return write_numbers(unix_ns, _NS, fine=True)


def check_influx(job: Job, form: StampForm) -> None:
    """UnusableFileError where timestamps are taken to be anything but Unix times."""
    if form.scale not in UNIX:
        reason = (
            "the timestamps of line protocol are Unix times: expected --unit s, ms, us or ns, or no option"
        )
        raise UnusableFileError(job.path, reason)
