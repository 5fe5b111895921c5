"""How finely the stamps of a session's tables resolve: no row is known better, whatever the clocks."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tidesync.sessions.correction.formats import open_table
from tidesync.sessions.correction.session import Options, plan, read_metadata
from tidesync.sessions.report.units import error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.correction.table import Measured as Spans
    from tidesync.sessions.folder import Measured, SessionFolder
    from tidesync.sessions.report.verdict import Verdict

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
    folder: SessionFolder, measured: Sequence[Measured], options: Options
) -> list[TableStamps]:
    """What each table's stamps resolve; `options` say how tables are written, as for `tidesync correct`."""
    spans: dict[str, Spans] = {}
    for each in reversed(measured):
        spans[each.vehicle] = _spans(each)
    try:
        jobs = plan(folder.path, read_metadata(folder), options, [*spans]).jobs
    except Exception as fault:  # noqa: BLE001 - the verdict on the clocks does not depend on it
        _log.warning("%s: what its tables' stamps resolve is not in the report: %s", folder.path, fault)
        return []
    found = [_stamps(job, folder.path, spans.get(job.vehicle, [])) for job in jobs]
    return sorted(found, key=lambda each: (each.vehicle, each.path))


def _stamps(job: Job, session: Path, spans: Spans) -> TableStamps:
    path = job.path.relative_to(session) if job.path.is_relative_to(session) else job.path
    if not spans:
        return TableStamps(path.as_posix(), job.vehicle, 0)
    resolution_ns = None
    try:
        with open_table(job, spans) as table:
            resolution_ns = table.form.resolution_ns if table.form else 0
    except Exception as fault:  # noqa: BLE001 - the others are still looked at
        _log.warning("%s: what its stamps resolve is not in the report: %s", job.path, fault)
    return TableStamps(path.as_posix(), job.vehicle, resolution_ns)


def of_tables(found: Verdict, vehicle: str, tables: Sequence[TableStamps]) -> Verdict:
    """`found`, with what the stamps of the vehicle's tables resolve where that is coarser than the clocks."""
    resolution_ns = max([each.resolution_ns or 0 for each in tables if each.vehicle == vehicle], default=0)
    if found.error_ns is None or resolution_ns <= found.error_ns:
        return found
    resolve = f"the stamps of its tables resolve {error(resolution_ns)}: no row is known better"
    return replace(found, headline=f"{found.headline} Apart from the clocks, {resolve}.")


def _spans(measured: Measured) -> Spans:
    """The first and the last Pi time of each segment."""
    times: dict[int, list[int]] = {}
    for row in measured.track.rows:
        times.setdefault(row.segment, []).append(row.pi_unix_ns)
    return [(min(of_segment), max(of_segment)) for of_segment in times.values()]
