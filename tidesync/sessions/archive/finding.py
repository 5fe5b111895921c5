"""Finds sessions in what a command names: sessions themselves, and folders that have some at any depth."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tidesync.errors import SettingsError
from tidesync.sessions.correction.tables import Left
from tidesync.sessions.correction.walk import IN_CRATE, apart, crate_of, entries_of, is_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(slots=True)
class FoundSessions:
    """The sessions, each with its path below what was named; and what is none."""

    sessions: dict[Path, Path] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)


def is_archive(named: Sequence[Path]) -> bool:
    """Whether what is named is more than one session."""
    if len(named) != 1:
        return True
    if is_session(named[0]):
        return False
    left: list[Left] = []
    return next(_sessions_below(named[0], left), None) is not None or any(
        each.why == "crate" for each in left
    )


def sessions_in(named: Sequence[Path]) -> FoundSessions:
    """All sessions in what is named, each once; no link is followed but those that are named."""
    found, seen = FoundSessions(), set[Path]()
    for folder in named:
        if not folder.is_dir():
            found.left.append(Left(folder, "no_session", "it is no folder"))
            continue
        if crate_of(folder):
            found.left.append(Left(folder, "crate", IN_CRATE))
            continue
        below = [folder] if is_session(folder) else [*_sessions_below(folder, found.left)]
        if not below:
            found.left.append(Left(folder, "no_session", "no session is in it"))
        name = Path(folder.resolve().name)
        for session in below:
            if session.resolve() not in seen:
                seen.add(session.resolve())
                found.sessions[session] = name / session.relative_to(folder)
    return found


def targets_of(found: FoundSessions, output: Path | None) -> dict[Path, Path | None]:
    """Where the outputs of each session go: beside them, or in `output` as below what was named.

    SettingsError where two would have the same place.
    """
    if output is None:
        return dict.fromkeys(found.sessions)
    taken: dict[Path, Path] = {}
    for session, within in found.sessions.items():
        other = taken.setdefault(output / within, session)
        if other != session:
            raise SettingsError(f"--output {output}: {other} and {session} would both be written to {within}")
    return {session: output / within for session, within in found.sessions.items()}


def _sessions_below(folder: Path, left: list[Left]) -> Iterator[Path]:
    waiting = [folder]
    while waiting:
        for entry in entries_of(waiting.pop(0)):
            if entry.kind == "unreadable":
                left.append(Left(entry.path, "unreadable", f"it cannot be read: {entry.reason}"))
            elif entry.kind == "folder" and not entry.hidden:
                other = apart(entry.path)
                if other is None:
                    waiting.append(entry.path)
                elif is_session(entry.path) and other[0] == "session":
                    yield entry.path
                else:
                    left.append(Left(entry.path, *other))
