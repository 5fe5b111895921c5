"""Files that state when they start, and count time or samples since: their start is answered, then the rest.

A start is written to a second, mostly without a zone, and read as a table's timestamp is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tidesync.sessions.correction.local_time import certain_rows, corrected_stamps, timeline_for
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.stamps.column import form_of_texts
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Batch
from tidesync.sessions.correction.timeline import HOLDOVER, STATES, UNREADABLE, TimelineSegment
from tidesync.sessions.correction.topside_raw import Anchor, SamplesSince
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Corrections, Timeline

_EVER_NS = 2**61


@dataclass(frozen=True, slots=True)
class Start:
    """When a file starts, as it is written."""

    text: str
    zone: str | None = None
    """What it says of its zone."""
    resolution_ms: float = 1_000.0
    """In which steps it is written."""


class StartedFile:
    """The start of a job's file, and the timeline of what passed since; UnusableFileError names its fault."""

    def __init__(self, job: Job, measured: Measured, start: Start) -> None:
        stated = job.stamps
        resolution_ms = start.resolution_ms if stated.resolution_ms is None else stated.resolution_ms
        options = StampOptions(zone=start.zone or stated.zone, resolution_ms=resolution_ms)
        self._job = replace(job, column="start", unit=None, stamps=options)
        self.form: StampForm = form_of_texts(self._job, measured, [start.text.encode()])
        self.start = start

    @property
    def assumed(self) -> str:
        """What is taken of the instrument, for a summary."""
        return f"if its sample clock is within {self._job.sample_clock_ppm:g} ppm (--sample-clock-ppm)"

    def answer(self, vehicles: Timeline) -> Corrections:
        """That of the start: one entry."""
        found = self.form.read([self.start.text.encode()])
        batch = Batch(None, found.unix_ns, found.readable, (), 0, found.repeated, found.resolution_ns)
        corrector = RowCorrector(timeline_for(vehicles, self.form))
        if corrector.passes > 1:
            corrector.note(certain_rows(batch, vehicles, self.form)[1])
        return corrected_stamps(batch, self.form, vehicles, corrector)

    def timeline(self, vehicles: Timeline) -> Timeline:
        """That of ns passed since the start; UnusableFileError where its instant is not known."""
        anchor, run = self.anchor(vehicles), None
        if vehicles.topside is not None:
            run = vehicles.topside.run_at(anchor.topside_ns, anchor.error_ns)
        if run is None:
            reason = (
                "how topside's clock ran on from its start is not known: it was not read there, or was set"
            )
            raise UnusableFileError(self._job.path, reason)
        segment = TimelineSegment(
            SamplesSince(anchor, run), -_EVER_NS, _EVER_NS, cut_before=False, cut_after=False
        )
        return vehicles.of_segments([segment])

    def anchor(self, vehicles: Timeline) -> Anchor:
        """The start on topside's clock; UnusableFileError where it is not known."""
        found = self.answer(vehicles)
        if not found.known[0]:
            state = "unreadable" if found.state[0] == UNREADABLE else STATES[int(found.state[0])]
            reason = f"its start, {self.start.text!r}, is {state}" + (
                f": {self.form.hint}" if self.form.hint else ""
            )
            raise UnusableFileError(self._job.path, reason)
        held, rate = bool(found.state[0] == HOLDOVER), self._job.sample_clock_ppm * 1e-6
        return Anchor(int(found.topside_ns[0]), int(found.max_error_ns[0]), held, rate)


def passed_form(form: StampForm) -> StampForm:
    """The form of ns passed, from that of the start: each has its own resolution."""
    described = tuple(f"its start: {each}" for each in form.described)
    return replace(form, resolution_ns=0, zone=None, described=described)
