"""Files that state when they start, and count time or samples since: their start is answered, then the rest.

A start is written to a second, mostly without a zone, and read as a table's timestamp is. But its zone is
never assumed: many rows show in which zone they fit a session, one instant does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.interpolation import Instants
from tidesync.sessions.correction.local_time import certain_rows, corrected_stamps, timeline_for
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.stamps.column import form_of_texts
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.stamps.zones import ACCEPTED
from tidesync.sessions.correction.table import Batch
from tidesync.sessions.correction.timeline import AMBIGUOUS, HOLDOVER, STATES, UNREADABLE, TimelineSegment
from tidesync.sessions.correction.topside_raw import Anchor, SamplesSince
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from tidesync.sessions.correction.interpolation import Inverse
    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Corrections, Timeline
    from topside_agent.estimator.blocks import Integers

_EVER_NS = 2**61
_RESOLUTION_MS = 1_000.0
"""Starts are written to a second."""


@dataclass(frozen=True, slots=True)
class Start:
    """When a file starts, as it is written."""

    text: str
    zone: str | None = None
    """What it says of its zone."""
    time_format: str | None = None
    """How it is written, where a user states it."""


class StartedFile:
    """The start of a job's file, and the timeline of what passed since.

    UnusableFileError: the start is no time, or states no zone and none is stated for it.
    """

    def __init__(self, job: Job, measured: Measured, start: Start) -> None:
        self.start, self.sample_clock_ppm = start, job.sample_clock_ppm
        self.faults: list[str] = []
        """Why what passed since has no answer; filled by `timeline`."""
        stated = job.stamps
        options = StampOptions(
            zone=start.zone or stated.zone,
            time_format=start.time_format,
            resolution_ms=_RESOLUTION_MS if stated.resolution_ms is None else stated.resolution_ms,
        )
        placed = replace(job, column="start", unit=None, stamps=options)
        self.form: StampForm = form_of_texts(placed, measured, [start.text.encode()])
        if dict(self.form.summary)["zone_from"] == "assumed":
            reason = (
                f"its start, {start.text}, states no zone, and may be local time: say --zone ({ACCEPTED})"
            )
            raise UnusableFileError(job.path, reason)

    @property
    def assumed(self) -> str:
        """What is taken of the instrument, for a summary."""
        return f"if its sample clock is within {self.sample_clock_ppm:g} ppm (--sample-clock-ppm)"

    def timeline(self, vehicles: Timeline) -> Timeline:
        """That of ns passed since the start; `ambiguous` or `outside` for all where that is not known."""
        found = self._answer(vehicles)
        columns = found.topside_ns, found.max_error_ns, found.state
        at_ns, error_ns, state = (int(column[0]) for column in columns)
        run = None
        self.faults.clear()
        if not error_ns:
            known = "no time of its zone" if state == UNREADABLE else STATES[state]
            self.faults.append(f"its start, {self.start.text}, is {known}")
        else:
            run = None if vehicles.topside is None else vehicles.topside.run_at(at_ns, error_ns)
            if run is None:
                reason = "it was not read there, or was set"
                self.faults.append(f"how topside's clock ran on from its start is not known: {reason}")
        if run is None:
            return vehicles.of_segments([_without_answer(outside=not error_ns and state != AMBIGUOUS)])
        anchor = Anchor(at_ns, error_ns, state == HOLDOVER, self.sample_clock_ppm * 1e-6)
        return vehicles.of_segments([_segment(SamplesSince(anchor, run), -_EVER_NS)])

    def _answer(self, vehicles: Timeline) -> Corrections:
        """That of the start: one entry."""
        found = self.form.read([self.start.text.encode()])
        batch = Batch(None, found.unix_ns, found.readable, (), 0, found.repeated, found.resolution_ns)
        corrector = RowCorrector(timeline_for(vehicles, self.form))
        if corrector.passes > 1:
            corrector.note(certain_rows(batch, vehicles, self.form)[1])
        return corrected_stamps(batch, self.form, vehicles, corrector)


class _Undecided:
    """Knows no instant; see `interpolation.Inverse`."""

    first_ns, last_ns = -_EVER_NS, _EVER_NS

    def instants(self, pi_ns: Integers) -> Instants:
        """Void ones."""
        none, every = np.zeros(pi_ns.shape), np.ones(pi_ns.shape, dtype=bool)
        return Instants(pi_ns, none, none, ~every, every)


def _without_answer(*, outside: bool) -> TimelineSegment:
    """A segment that holds nothing, or all without deciding it."""
    return _segment(_Undecided(), _EVER_NS if outside else -_EVER_NS)


def _segment(clock: Inverse, from_ns: int) -> TimelineSegment:
    return TimelineSegment(clock, from_ns, _EVER_NS, cut_before=False, cut_after=False)


def passed_form(form: StampForm) -> StampForm:
    """The form of ns passed, from that of the start: each has its own resolution."""
    described = tuple(f"its start: {each}" for each in form.described)
    return replace(form, resolution_ns=0, zone=None, described=described)
