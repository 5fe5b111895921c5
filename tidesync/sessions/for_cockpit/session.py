"""Writes a corrected session for the consumer, whole or not at all; the source is only read."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from runtime.files import replace
from tidesync.errors import SettingsError
from tidesync.figures import counted
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK
from tidesync.sessions.document import Document, NotMetadataError, render
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.folder import METADATA, SessionFolder
from tidesync.sessions.for_cockpit.document import corrected_document
from tidesync.sessions.for_cockpit.tables import CockpitTable, Unanswered, write_table
from tidesync.sessions.isolation import complaint_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from tidesync.sessions.correction.driver import ProgressCallback
    from tidesync.sessions.correction.prepared import Prepared
    from tidesync.sessions.correction.table import Job

LIST = "unanswered.csv"


@dataclass
class CockpitSession:
    """What was written, left and failed."""

    folder: Path
    tables: list[CockpitTable] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    listed: int = 0
    """Rows in the list of those that are left out."""

    def faults(self) -> Iterator[str]:
        """Why what was asked for is not so, a sentence each."""
        yield from self.failed
        if not self.tables:
            yield "there is no table to correct for Cockpit"
        for sensor in dict.fromkeys(each.counts.sensor for each in self.tables):
            tables = [each for each in self.tables if each.counts.sensor == sensor]
            if not any(each.copied or each.counts.corrected for each in tables):
                yield f"{sensor or tables[0].counts.path.name}: no row could be corrected"

    def lines(self) -> Iterator[str]:
        """The summary: a line for each table."""
        for each in self.tables:
            counts = each.counts
            name = counts.output.relative_to(self.folder)
            if each.copied:
                yield f"{name}: {counted(counts.rows, 'row')} of topside's own clock, as they were"
            else:
                kept = f"{counts.corrected - each.markers} of {counted(counts.rows, 'row')}"
                yield f"{name}: {kept} of {counts.vehicle}; {each.left_out} left out"
        yield from (f"{line}; left out" for line in self.left)
        if self.listed:
            yield f"{self.folder / LIST}: {counted(self.listed, 'row')} left out"

    def document(self) -> dict[str, Any]:
        """All as JSON."""
        return {
            "output": str(self.folder),
            "files": [each.document() for each in self.tables],
            "unanswered": str(self.folder / LIST) if self.listed else None,
            "unanswered_rows": self.listed,
            "left": self.left,
            "failed": self.failed,
        }


def check_target(source: Path, target: Path) -> None:
    """SettingsError where `target` is not a new or empty folder apart from the session."""
    inside, outside = target.resolve(), source.resolve()
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise SettingsError(f"--for-cockpit {target}: expected a folder apart from the session {source}")
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise SettingsError(f"--for-cockpit {target}: expected a folder that is new or empty")


def write_session(
    source: SessionFolder,
    prepared: Prepared,
    target: Path,
    *,
    now: datetime,
    named: Collection[Path],
    progress: ProgressCallback,
) -> CockpitSession:
    """Write the session to `target`, which must pass `check_target`; after an error nothing is left there.

    `named` are the tables, resolved, that were asked for by name.
    """
    check_target(source.path, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        made = _write(source, prepared, new, named, progress)
        folders = _folders(made, prepared.metadata.directories)
        paths = source.path.resolve(), target.resolve()
        document = corrected_document(_existing(source), *paths, folders, now)
        replace(new / METADATA, render(document))
        new.replace(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    for each in made.tables:
        each.counts.output = target / each.counts.output.relative_to(new)
    made.folder = target
    return made


def _write(
    source: SessionFolder,
    prepared: Prepared,
    folder: Path,
    named: Collection[Path],
    progress: ProgressCallback,
) -> CockpitSession:
    left = [*prepared.sentences, *(f"{sensor}: {reason}" for sensor, reason in prepared.skipped.items())]
    made = CockpitSession(folder, left=left, failed=prepared.faults)
    listed = folder / LIST
    with listed.open("w", encoding="utf-8", newline="") as stream:
        unanswered = Unanswered(stream)
        for job in prepared.jobs:
            name = _name(source.path, job)
            output = folder / name
            try:
                _check_free(output, job, name)
                timeline = prepared.timeline_of(job)
                made.tables.append(
                    write_table(job, timeline, output, name=name, unanswered=unanswered, progress=progress)
                )
            except NoTimestampError as error:
                (made.failed if job.path.resolve() in named else made.left).append(str(error))
            except Exception as error:  # noqa: BLE001 - the other tables are written
                made.failed.append(complaint_of(str(job.path), error))
    made.listed = unanswered.rows
    if not made.listed:
        listed.unlink()
    return made


def _check_free(output: Path, job: Job, name: str) -> None:
    if output.exists():
        raise UnusableFileError(job.path, f"another table is {name} already")


def _name(session: Path, job: Job) -> str:
    """The table's path in the session, or its name where it comes from elsewhere."""
    path, inside = job.path.resolve(), session.resolve()
    return path.relative_to(inside).as_posix() if path.is_relative_to(inside) else path.name


def _folders(made: CockpitSession, directories: Mapping[str, str]) -> dict[str, tuple[str, float | None]]:
    """Of each sensor its folder (that in `directories`, else the first), and its rows' max error, ms."""
    found: dict[str, tuple[str, float | None]] = {}
    for each in made.tables:
        counts = each.counts
        if counts.sensor is None:
            continue
        own = counts.output.parent.name
        folder, error_ms = found.get(counts.sensor, (own, None))
        if own in re.split(r"[\\/]+", directories.get(counts.sensor, "")):
            folder = own
        if counts.vehicle != TOPSIDE_CLOCK or not each.copied:
            error_ms = max(error_ms or 0.0, ceil((counts.max_error_ns + 1000) / 1e3) / 1e3)
        found[counts.sensor] = folder, error_ms
    return found


def _existing(source: SessionFolder) -> Document | None:
    try:
        return source.read_metadata()
    except NotMetadataError as error:
        raise UnusableFileError(source.metadata_path, str(error)) from error
