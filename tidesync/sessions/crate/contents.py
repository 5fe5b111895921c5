"""What a crate holds, as its metadata says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidesync.sessions.correction.recorded_settings import RecordedRun
    from tidesync.sessions.crate.copying import Digest


@dataclass(frozen=True, slots=True)
class Action:
    """A correction that was done: its paths are those within the crate."""

    session: str
    """The session's folder."""
    run: RecordedRun
    objects: Sequence[str]
    """The files that it read."""
    results: Sequence[str]
    started: str
    ended: str
    """ISO 8601."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a crate, and what was done."""

    files: Mapping[str, Digest]
    """By path: all but the metadata themselves."""
    actions: Sequence[Action]
    versions: Mapping[str, str]
    """Of the software, by its name."""
    code_sha256: str

    @property
    def results(self) -> list[str]:
        """The files that the actions made."""
        return [path for action in self.actions for path in action.results]
