"""How finely the stamps of a session's tables resolve: no row is known better, whatever the clocks."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.formats import is_messages, open_messages, open_table
from tidesync.sessions.correction.record import read_record
from tidesync.sessions.correction.session import Options, plan
from tidesync.sessions.correction.session_metadata import read_metadata
from tidesync.sessions.errors import SessionError
from tidesync.sessions.report.units import error
from topside_agent.estimator import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.correction.table import Measured as Spans
    from tidesync.sessions.folder import SessionFolder
    from tidesync.sessions.report.verdict import Verdict
    from topside_agent.estimator import Track

_log = logging.getLogger(__name__)


class TableStamps(NamedTuple):
    """A table, whose clock stamped it, and what its stamps resolve: None: it cannot be read; 0: not known."""

    path: str
    vehicle: str
    resolution_ns: int | None

    @property
    def resolves(self) -> str:
        """For people."""
        if self.resolution_ns is None:
            return "not known: it cannot be read"
        return error(self.resolution_ns) if self.resolution_ns else "not known"


def stamps_of_tables(
    folder: SessionFolder, spans: Mapping[str, Spans], options: Options
) -> list[TableStamps]:
    """What each table's stamps resolve; `options` say how tables are written, as for `tidesync correct`.

    A table that was corrected is read with the settings that this recorded of it. `spans` are those of
    `spans_of`, by vehicle.
    """
    try:
        options = _as_corrected(folder, options)
        jobs = plan(folder.path, read_metadata(folder), options, [*spans]).jobs
    except Exception as fault:  # noqa: BLE001 - the verdict on the clocks does not depend on it
        _log.warning("%s: what its tables' stamps resolve is not in the report: %s", folder.path, fault)
        return []
    found = [_stamps(job, folder.path, spans.get(job.vehicle, [])) for job in jobs if _is_stamped(job)]
    return sorted(found, key=lambda each: (each.vehicle, each.path))


def _as_corrected(folder: SessionFolder, options: Options) -> Options:
    """`options` with those that tables of the session were corrected with; what cannot be read is named."""
    sensors, forms = dict(options.sensors), dict(options.forms)
    try:
        recorded = read_record(folder)
        for run in recorded.runs if recorded else ():
            stated = run.options(folder.path.joinpath)
            sensors |= stated.sensors
            forms |= zip(run.tables, stated.forms.values(), strict=True)
    except (SessionError, ValueError) as fault:
        _log.warning("the report reads tables as if none had been corrected: %s", fault)
        return options
    return replace(options, sensors=sensors, forms=forms)


def _is_stamped(job: Job) -> bool:
    """Whether its stamps are of a wall clock: those of a dataflash log count from the autopilot's start."""
    return job.path.suffix.lower() != ".bin"


def _stamps(job: Job, session: Path, spans: Spans) -> TableStamps:
    path = job.path.relative_to(session) if job.path.is_relative_to(session) else job.path
    if not spans:
        return TableStamps(path.as_posix(), job.vehicle, 0)
    resolution_ns = None
    try:
        if is_messages(job.path):
            with open_messages(job, spans) as messages:
                resolution_ns = messages.forms[0].resolution_ns
        else:
            with open_table(job, spans) as table:
                resolution_ns = table.form.resolution_ns if table.form else 0
    except Exception as fault:  # noqa: BLE001 - the others are still looked at
        named = fault if isinstance(fault, SessionError) else f"{job.path}: {fault}"
        _log.warning("what a table's stamps resolve is not in the report: %s", named)
    return TableStamps(path.as_posix(), job.vehicle, resolution_ns)


def of_tables(found: Verdict, vehicle: str, tables: Sequence[TableStamps]) -> Verdict:
    """`found`, with what the stamps of the vehicle's tables resolve where that is coarser than the clocks."""
    own = [each.resolution_ns or 0 for each in tables if each.vehicle == vehicle]
    error_ns = found.error_ns
    coarse = [] if error_ns is None else sorted(each for each in own if each > error_ns)
    if not coarse:
        return found
    finest, coarsest = error(coarse[0]), error(coarse[-1])
    whose = "its tables" if len(coarse) == len(own) else f"{len(coarse)} of its {len(own)} tables"
    known = "no row of these is known better than its stamp"
    if len(coarse) == len(own) and finest == coarsest:
        known = "no row is known better"
    resolve = coarsest if finest == coarsest else f"{finest} to {coarsest}"
    shown = f"the stamps of {whose} resolve {resolve}: {known}"
    return replace(found, headline=f"{found.headline} Apart from the clocks, {shown}.")


def spans_of(track: Track) -> Spans:
    """The first and the last Pi time of each segment."""
    rows = Rows.of(track.rows)
    segment, pi_ns = rows.column("segment"), rows.column("topside_unix_ns") + rows.column("offset_ns")
    numbers, first = np.unique(segment, return_index=True)
    ordered = numbers[np.argsort(first)].tolist()
    each = (pi_ns[segment == number] for number in ordered)
    return [(int(of_segment.min()), int(of_segment.max())) for of_segment in each]
