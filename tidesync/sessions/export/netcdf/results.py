"""What an export as netCDF wrote and what it did not, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidesync.figures import counted
from tidesync.sessions.archive.found import short_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidesync.sessions.archive.results import CorrectionResults

_OF_CORRECTIONS = frozenset({"offsets", "dry_run", "found"})


@dataclass
class ExportResults:
    """The files of tracks and tables."""

    tables: CorrectionResults
    output: Path
    tracks: dict[Path, int] = field(default_factory=dict)
    """The files of tracks, and how many rows each has."""
    unanswered: dict[Path, int] = field(default_factory=dict)
    """The same of rows without a time by topside's clock, where others have one."""
    repeated: list[Path] = field(default_factory=list)
    """Files in which instants repeat."""
    not_stated: list[str] = field(default_factory=list)
    """ACDD's attributes that nobody stated."""
    unused: list[str] = field(default_factory=list)
    """Columns that were described, and are in no table."""
    has_place: bool = False

    def lines(self) -> Iterator[str]:
        """The summary."""
        for path, rows in self.tracks.items():
            yield f"{self._short(path)}: {counted(rows, 'row')}"
        yield from self.tables.table_lines()
        for sensor, reason in self.tables.skipped.items():
            yield f"{sensor}: left as it is: {reason}"
        for line in self.tables.document()["left"]:
            yield f"{line}; left as it is"
        for path, rows in self.unanswered.items():
            yield f"{self._short(path)}: {counted(rows, 'row')} without a time by topside's clock"
        for path in self.repeated:
            yield f"{self._short(path)}: instants repeat, so its dimension is obs, not time"
        for column in self.unused:
            yield f"--variable {column}: no table has such a column of numbers"
        if self.not_stated:
            yield f"not stated, so not in the files (--attribute NAME=TEXT): {', '.join(self.not_stated)}"
        if not self.has_place:
            yield "no position is stated (--latitude, --longitude, --depth-m), which NCEI's template requires"

    def _short(self, path: Path) -> Path:
        return short_path(path, self.tables.session)

    def document(self) -> dict[str, Any]:
        """All as JSON; of tables as `correct` has it."""
        found = self.tables.document()
        found = {name: value for name, value in found.items() if name not in _OF_CORRECTIONS}
        return {
            **found,
            "format": "netcdf",
            "output": str(self.output),
            "tracks": [{"output": str(path), "rows": rows} for path, rows in self.tracks.items()],
            "unanswered": [{"output": str(path), "rows": rows} for path, rows in self.unanswered.items()],
            "repeated": [str(path) for path in self.repeated],
            "not_stated": self.not_stated,
            "unused_variables": self.unused,
        }

    def exit_code(self) -> int:
        """0; NotSoError where a table or a track failed, or what was asked for has no row answered."""
        tried = any(each.action != "left" for each in self.tables.files)
        return self.tables.exit_code() if tried or self.tables.failed else 0
