"""Corrects one table or file of messages of a prepared session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidesync.sessions.correction.driver import correct
from tidesync.sessions.correction.formats import is_messages
from tidesync.sessions.messages.driver import correct_messages

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.correction.driver import CorrectedTable, ProgressCallback
    from tidesync.sessions.correction.prepared import Prepared
    from tidesync.sessions.correction.table import Job


def correct_job(
    job: Job, prepared: Prepared, output: Path, session: Path, progress: ProgressCallback
) -> CorrectedTable:
    """Write the corrected file of `job` in the folder `session` to `output`; errors as `correct`."""
    timeline = prepared.timeline_of(job)
    if is_messages(job.path):
        return correct_messages(job, timeline, progress, output, session.resolve().name)
    return correct(job, timeline, progress, output)
