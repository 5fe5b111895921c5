"""`time_sync/corrections.json`: which settings each corrected table of a session was made with.

A run of `tidesync correct` replaces what was recorded of the tables that it corrected. Paths are those within
the session; of tables elsewhere the full ones.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from runtime.files import read, replace
from schemas.base import first_error
from tidesync.sessions.correction.recorded_settings import RecordedRun, files_of
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tidesync.sessions.correction.session import Options
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.folder import SessionFolder


class Record(BaseModel):
    """Runs in their order; no table is of two."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1]
    runs: tuple[RecordedRun, ...] = ()

    def without(self, lost: Callable[[str], bool]) -> Record:
        """This without the tables of which a file, or one that they refer to, is `lost`."""
        runs = []
        for run in self.runs:
            left = {
                path: each for path, each in run.tables.items() if not any(map(lost, files_of(path, each)))
            }
            if left:
                named = tuple(path for path in run.named if path in left)
                runs.append(run.model_copy(update={"tables": left, "named": named}))
        return Record(schema_version=1, runs=tuple(runs))

    def after(self, run: RecordedRun) -> Record:
        """This, with `run` as the last one: with the settings of an earlier one it is taken to be its end."""
        others = []
        for earlier in self.runs:
            left = {path: each for path, each in earlier.tables.items() if path not in run.tables}
            named = tuple(path for path in earlier.named if path in left)
            if earlier.settings == run.settings:
                tables, named = dict(sorted((left | run.tables).items())), tuple(sorted({*named, *run.named}))
                run = run.model_copy(update={"tables": tables, "named": named})
            elif left:
                others.append(earlier.model_copy(update={"tables": left, "named": named}))
        return Record(schema_version=1, runs=(*others, run))


def read_record(folder: SessionFolder) -> Record | None:
    """What is recorded; None: nothing is. UnusableFileError where it cannot be read."""
    try:
        content = read(folder.corrections_path)
        return None if content is None else Record.model_validate_json(content)
    except ValidationError as error:
        raise UnusableFileError(folder.corrections_path, first_error(error)) from error
    except OSError as error:
        raise UnusableFileError(folder.corrections_path, error.strerror or str(error)) from error


def add_run(folder: SessionFolder, session: Path, options: Options, corrected: Iterable[Job]) -> None:
    """Record in `folder` that tables of the folder `session` were corrected; UnusableFileError.

    What is recorded there already and cannot be read is replaced. A table whose name or settings are no
    UTF-8 is not recorded: JSON cannot name it, and it cannot be published.
    """
    jobs = [job for job in corrected if _is_text(RecordedRun.of(options, [job], str))]
    if not jobs:
        return
    nothing = Record(schema_version=1)
    try:
        before = read_record(folder) or nothing
    except UnusableFileError:
        before = nothing
    run = RecordedRun.of(options, jobs, lambda path: path_in(session, path))
    try:
        after = before.after(run)
        if after == before:
            return
        _write(folder, after)
    except OSError as error:
        raise _unwritten(folder, error) from error


def corrected_in(folder: SessionFolder, session: Path) -> list[Path]:
    """The tables of the folder `session` that are recorded in `folder`, and still there."""
    try:
        before = read_record(folder)
    except UnusableFileError:
        return []
    paths = [path for run in (before.runs if before else ()) for path in run.tables]
    return [session / path for path in paths if _is_there(session, path)]


def forget_lost(folder: SessionFolder, session: Path) -> list[str]:
    """Record no longer what was made of files of the folder `session` that are gone; these tables' paths.

    UnusableFileError where the record cannot be written; one that cannot be read stays.
    """
    try:
        before = read_record(folder)
    except UnusableFileError:
        return []
    if before is None:
        return []
    try:
        after = before.without(lambda path: not _is_there(session, path))
        if after == before:
            return []
        _write(folder, after)
    except OSError as error:
        raise _unwritten(folder, error) from error
    kept = {path for run in after.runs for path in run.tables}
    return [path for run in before.runs for path in run.tables if path not in kept]


def _is_there(session: Path, path: str) -> bool:
    """Whether there is such a file; a path that no file can have is none."""
    return os.path.exists(session / path)  # noqa: PTH110 - Path's raises for names that are too long


def _is_text(run: RecordedRun) -> bool:
    try:
        json.dumps(run.model_dump(), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _write(folder: SessionFolder, record: Record) -> None:
    content = record.model_dump_json(indent=1, exclude_defaults=True)
    replace(folder.corrections_path, content.encode() + b"\n")


def _unwritten(folder: SessionFolder, error: OSError) -> UnusableFileError:
    return UnusableFileError(folder.corrections_path, f"{error.strerror or error}; it was not written")


def path_in(session: Path, path: Path) -> str:
    """The path within `session`, in POSIX's form; the full one where it is elsewhere."""
    if path.is_relative_to(session):
        return path.relative_to(session).as_posix()
    placed, inside = path.resolve(), session.resolve()
    return (placed.relative_to(inside) if placed.is_relative_to(inside) else placed).as_posix()
