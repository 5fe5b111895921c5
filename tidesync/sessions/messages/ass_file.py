"""Telemetry subtitles of Cockpit (.ass): times relative to the begin of a video, by the computer's clock.

The begin is found by cockpit_start.py. What becomes of the times is in ass_output.py. Cockpit sorts
what it writes by the time that its computer showed: the order proves nothing of a clock that was set back.

Whose clock it is is not in the file: that of the computer on which Cockpit, or the browser with it, ran.

Assumption: an event whose text has no time of day, or whose time is off by less than a second, is what was
written.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tidesync.figures import counted
from tidesync.sessions.correction.stamps.column import form_of_numbers
from tidesync.sessions.correction.stamps.numbers import UNIX
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Batch, Malformed
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.messages.ass_lines import lines_of, points_of
from tidesync.sessions.messages.ass_output import STEP_NS, ass_output
from tidesync.sessions.messages.cockpit_start import (
    CENTISECOND_NS,
    EXPECTED,
    Shown,
    begin_of_name,
    begin_of_texts,
    contradicts,
    second_of,
)
from tidesync.sessions.messages.format import Block, Outcome
from tidesync.sessions.messages.sidecar import unmarked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.correction.unexplained import Flags
    from tidesync.sessions.messages.ass_lines import Point
    from tidesync.sessions.messages.cockpit_start import Begin
    from tidesync.sessions.messages.format import Answer, Target, Write
    from topside_agent.estimator.blocks import Integers

_LARGEST = 1 << 28
"""Bytes: Cockpit writes some 30 MB in a day."""
_NS = UNIX[3]


@contextmanager
def open_ass(job: Job, measured: Measured) -> Iterator[AssFile]:
    """Open subtitles of Cockpit; see `format.OpenMessages`."""
    yield AssFile(job, measured)


class AssFile:
    """Open subtitles; see `format.Messages`. The times are those of points: events with the same times."""

    names = ("start", "end")
    step_ns = STEP_NS

    def __init__(self, job: Job, measured: Measured) -> None:
        self._job = job
        if (size := job.path.stat().st_size) > _LARGEST:
            raise UnusableFileError(job.path, f"it has {size} bytes: expected subtitles, at most {_LARGEST}")
        text = job.path.read_bytes().decode("utf-8", "surrogateescape")
        self.lines, self.outcome = lines_of(text), Outcome()
        self.points, self.unreadable = points_of(self.lines)
        if not self.points:
            received = counted(len(self.lines), "line") if size else "it is empty"
            raise NoTimestampError(job.path, f"expected ASS subtitles with events, received {received}")
        self.begin, self._note = _begin(job.path, self.points)
        self.points = _shown(self.points, self.begin.middle_ns)
        self._is_older = self._settle_first()
        form = exact_form(job, measured, self.begin)
        self.forms = (form, form)

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All times."""
        for block in self.read():
            yield block.columns

    def read(self) -> Iterator[Block]:
        """All points at once."""
        self.outcome.notes[:] = [self._note] if self._note else []
        if self._is_older:
            self.outcome.notes.append("the values of its first event are from before the video began")
        starts = np.array([each.start_ns for each in self.points], dtype=np.int64)
        ends = np.array([each.end_ns for each in self.points], dtype=np.int64)
        odd = np.array([_contradicts(each, self.begin) for each in self.points], dtype=bool)
        odd[0] &= not self._is_older
        first, second = self._batch(starts, ~odd), self._batch(ends, ~odd & (ends >= starts))
        size = self._job.path.stat().st_size
        yield Block(self.points, (first._replace(malformed=[*self._malformed(odd)], size=size), second))

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:  # noqa: ARG002 - it needs no other file
        """That of the computer's clock."""
        return vehicles

    def foreign(self, target: Target) -> Iterator[Path]:
        """Nothing in subtitles names their writer: a correction's have the table of errors beside them."""
        return unmarked(target)

    def output(self, target: Target) -> AbstractContextManager[Write]:
        """See ass_output.py."""
        return ass_output(target, self.outcome, self.lines, self.unreadable, self.begin.middle_ns)

    def _settle_first(self) -> bool:
        """Whether the first point is from before the video's begin, at which it is shown."""
        first = self.points[0]
        older = _contradicts(first, self.begin) and (first.second_ns or 0) < self.begin.first_ns
        if older:
            self.points[0] = first._replace(start_ns=0)
        return older

    def _batch(self, after_ns: Integers, readable: Flags) -> Batch:
        at_ns = self.begin.middle_ns + after_ns + CENTISECOND_NS // 2
        return Batch(None, at_ns, readable, (), 0)

    def _malformed(self, odd: Flags) -> Iterator[Malformed]:
        """Points at odds with what they show, and events that cannot be read."""
        for place in np.flatnonzero(odd).tolist():
            event = self.points[place].events[0]
            yield Malformed(event.line + 1, event.times[0], "is not in the second that it shows")
        for line in self.unreadable:
            yield Malformed(line + 1, self.lines[line].strip())


def exact_form(job: Job, measured: Measured, begin: Begin) -> StampForm:
    """The form of instants that are as well known as the begin."""
    exact = replace(job, stamps=StampOptions(resolution_ms=0.0), unit=None)
    form = form_of_numbers(exact, measured, np.zeros(0, dtype=np.int64), _NS)
    resolution_ns = begin.half_ns + CENTISECOND_NS // 2
    shown_ms = -(-resolution_ns // 1_000_000)
    by = "its file's name" if begin.by == "name" else "the times of day in its subtitles"
    return replace(
        form,
        resolution_ns=resolution_ns,
        described=(f"the recording's begin is known to ±{shown_ms} ms by {by}",),
        summary=(("resolution_ms", resolution_ns / 1e6), ("begin_by", begin.by)),
        hint=f"its begin is known to ±{shown_ms} ms: it is answered with a --max-error-ms above that",
    )


def _begin(path: Path, points: Sequence[Point]) -> tuple[Begin, str]:
    """When the video began, and what has to be said of that; UnusableFileError where nothing says so."""
    named = begin_of_name(path.name)
    texts = [
        Shown(each.start_ns, each.second_ns)
        for each in _shown(points, None if named is None else named.middle_ns)[1:]
        if each.second_ns is not None
    ]
    found = begin_of_texts(texts, named)
    if found is None and named is None:
        expected = f"a name as {EXPECTED}, or dates and times of day in it"
        reason = f"nothing says when its video began: expected {expected}"
        raise NoTimestampError(path, reason)
    if found is None:
        assert named is not None
        odd = sum(contradicts(each, named) for each in texts)
        if odd > max(len(texts) // 10, 1):
            reason = (
                f"{odd} of {len(texts)} times of day in it agree neither with its name nor with its times"
            )
            raise UnusableFileError(path, reason)
        return named, ""
    if named is not None and (found.last_ns < named.first_ns or named.last_ns < found.first_ns):
        return found, "its name has another begin than the times of day in its texts, which are taken"
    return found, ""


def _shown(points: Sequence[Point], begin_ns: int | None) -> list[Point]:
    """Each point with what it shows of the time of day."""
    found: list[Point] = []
    for point in points:
        near_ns = None if begin_ns is None else begin_ns + point.start_ns
        seconds = (second_of(each.parts, near_ns) for each in point.events)
        found.append(point._replace(second_ns=next((each for each in seconds if each is not None), None)))
    return found


def _contradicts(point: Point, begin: Begin) -> bool:
    """Whether it shows another second than that in which it begins."""
    return point.second_ns is not None and contradicts(Shown(point.start_ns, point.second_ns), begin)
