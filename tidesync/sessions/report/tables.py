"""How finely the stamps of a session's tables resolve: no row is known better, whatever the clocks."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from tidesync.sessions.correction.formats import open_table
from tidesync.sessions.correction.session import Options, plan, read_metadata
from tidesync.sessions.report.units import error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidesync.sessions.correction.table import Measured as Spans
    from tidesync.sessions.folder import Measured, SessionFolder
    from tidesync.sessions.report.verdict import Verdict

_log = logging.getLogger(__name__)


def coarsest_ns(folder: SessionFolder, measured: Sequence[Measured], options: Options) -> dict[str, int]:
    """By vehicle that of the coarsest table that it stamped; one that cannot be read is left out.

    `options` say how tables are written, as for `tidesync correct`.
    """
    spans: dict[str, Spans] = {}
    for each in reversed(measured):
        spans[each.vehicle] = _spans(each)
    try:
        jobs = plan(folder.path, read_metadata(folder), options, [*spans]).jobs
    except Exception as error:  # noqa: BLE001 - the verdict on the clocks does not depend on it
        _log.warning("%s: what its tables' stamps resolve is not in the report: %s", folder.path, error)
        return {}
    found: dict[str, int] = {}
    for job in jobs:
        try:
            with open_table(job, spans[job.vehicle]) as table:
                resolution_ns = table.form.resolution_ns if table.form else 0
        except Exception as error:  # noqa: BLE001 - the others are still looked at
            _log.warning("%s: what its stamps resolve is not in the report: %s", job.path, error)
            continue
        found[job.vehicle] = max(resolution_ns, found.get(job.vehicle, 0))
    return found


def of_tables(found: Verdict, vehicle: str, resolutions_ns: Mapping[str, int]) -> Verdict:
    """`found`, with what the stamps of the vehicle's tables resolve where that is coarser than the clocks."""
    resolution_ns = resolutions_ns.get(vehicle, 0)
    if found.error_ns is None or resolution_ns <= found.error_ns:
        return found
    resolve = f"stamps of its tables resolve {error(resolution_ns)} only, and no such row is known better"
    return replace(found, headline=f"{found.headline} Apart from the clocks, {resolve}.")


def _spans(measured: Measured) -> Spans:
    """The first and the last Pi time of each segment."""
    times: dict[int, list[int]] = {}
    for row in measured.track.rows:
        times.setdefault(row.segment, []).append(row.pi_unix_ns)
    return [(min(of_segment), max(of_segment)) for of_segment in times.values()]
