"""Corrects one table or file of messages of a prepared session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidesync.sessions.correction.driver import correct, unconfirmed
from tidesync.sessions.correction.formats import is_messages
from tidesync.sessions.correction.instrument_clock import on_clock
from tidesync.sessions.messages.driver import correct_messages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tidesync.sessions.correction.driver import Confirm, CorrectedTable, ProgressCallback
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.correction.timeline import Timeline


def correct_job(
    job: Job,
    timelines: Mapping[str, Timeline],
    output: Path,
    session: str,
    progress: ProgressCallback,
    *,
    confirm: Confirm = unconfirmed,
    dry: bool = False,
) -> CorrectedTable:
    """Write the corrected file of `job`, of the session of this name, to `output`; otherwise as `correct`.

    `timelines` are those of the session's vehicles.
    """
    timeline = on_clock(timelines[job.vehicle], job.clock, job.path)
    if not is_messages(job.path):
        return correct(job, timeline, progress, output, confirm=confirm, dry=dry)
    return correct_messages(job, timeline, progress, output, session, confirm=confirm, dry=dry)
