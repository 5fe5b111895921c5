"""Recorded corrections, done in a folder that has the files of a crate."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import TidesyncError
from schemas.compat import UTC
from tidesync.sessions.correction.formats import output_of
from tidesync.sessions.correction.one_job import correct_job
from tidesync.sessions.correction.prepared import prepare
from tidesync.sessions.correction.record import path_in
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.isolation import complaint_of

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.correction.driver import ProgressCallback
    from tidesync.sessions.correction.recorded_settings import RecordedRun


class Done(NamedTuple):
    """A run, and what came of it."""

    made: list[str]
    """The files that it wrote, by their paths, in order."""
    failed: list[str]
    """Why a table has no result, a sentence each; without paths of this computer."""
    started: str
    ended: str
    """ISO 8601, by this computer's clock."""


def files_below(root: Path) -> list[str]:
    """The paths of all regular files below `root`, in order."""
    found = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(path.relative_to(root).as_posix() for path in found)


def perform(root: Path, session: str, run: RecordedRun, progress: ProgressCallback) -> Done:
    """Do `run` in the crate's folder `root`; its results replace those of an earlier one."""
    before = {path: _state(root / path) for path in files_below(root)}
    started, failed = _now(), list[str]()
    try:
        failed += _corrected(root, session, run, progress)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's file leads to is named
        failed.append(_reason(session, error))
    made = [path for path in files_below(root) if before.get(path) != _state(root / path)]
    return Done(made, [each.replace(f"{root}/", "") for each in failed], started, _now())


def _corrected(root: Path, session: str, run: RecordedRun, progress: ProgressCallback) -> list[str]:
    """Correct the tables of `run`; why others of them were not.

    What else `tidesync correct` complained of, as that a name was used twice, is in the tables' answers.
    """
    folder = SessionFolder(root / session)
    prepared = prepare(folder, run.options(root.joinpath), nested=True)
    folder.write_offsets((stream, each.track.rows) for stream, each in prepared.measured.items())
    left, failed = {*run.tables}, list[str]()
    for job in prepared.jobs:
        path = path_in(root, job.path)
        if path in left:
            left.discard(path)
            try:
                name = folder.path.resolve().name
                correct_job(job, prepared.timelines, output_of(job.path), name, progress)
            except Exception as error:  # noqa: BLE001 - the other tables are corrected
                failed.append(_reason(str(job.path), error))
    why = "; ".join(("it was not corrected", *prepared.faults))
    return [*failed, *(f"{path}: {why}" for path in sorted(left))]


def _reason(whose: str, error: Exception) -> str:
    return str(error) if isinstance(error, TidesyncError) else complaint_of(whose, error)


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
