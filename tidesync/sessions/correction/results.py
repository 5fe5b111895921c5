"""What a correction did and did not do, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from tidesync.errors import NotSoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tidesync.sessions.correction.driver import CorrectedTable


@dataclass
class CorrectionResults:
    """The tables that were corrected, left as they are, and failed."""

    session: Path
    offsets: Path
    skipped: Mapping[str, str]
    tables: list[CorrectedTable] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Tables in sensors' folders that have no timestamp column."""
    failed: list[str] = field(default_factory=list)

    def exit_code(self) -> int:
        """0; NotSoError where a table failed or no row was corrected."""
        if self.failed:
            raise NotSoError("; ".join(self.failed))
        if not self.tables:
            raise NotSoError(
                f"{self.session}: there is no table to correct; those in the sensors' folders "
                "(in-water_…/, surface_…/) are found, others are named with --file"
            )
        if not any(table.corrected for table in self.tables):
            malformed = sum(table.malformed for table in self.tables)
            why = f"{malformed} timestamps could not be read" if malformed else "none was taken in time"
            raise NotSoError(f"no row could be corrected while the clocks were measured: {why}")
        return 0

    def lines(self) -> Iterator[str]:
        """The summary: a line for each table."""
        for table in self.tables:
            yield self._line(table)
        for sensor, reason in self.skipped.items():
            yield f"{sensor}: left as it is: {reason}"
        for line in self.left:
            yield f"{line}; left as it is"

    def complaints(self) -> Iterator[str]:
        """A line for each of the first malformed rows."""
        for table in self.tables:
            for place, value in table.shown:
                row = f"{table.path}, {table.place} {place}"
                yield f"{row}: {value!r} is no timestamp; kept without a correction"

    def document(self) -> dict[str, Any]:
        """All results; keys are those of the tables' columns where they mean the same."""
        return {
            "session": str(self.session),
            "offsets": str(self.offsets),
            "files": [table.document() for table in self.tables],
            "skipped": [{"sensor": sensor, "reason": reason} for sensor, reason in self.skipped.items()],
            "left": self.left,
            "failed": self.failed,
        }

    def _line(self, table: CorrectedTable) -> str:
        worst = f"; max error {ceil(table.max_error_ns / 1e3) / 1e3} ms" if table.corrected else ""
        counts = ", ".join(f"{number} {state}" for state, number in table.counts.items() if number)
        malformed = f", {table.malformed} malformed" if table.malformed else ""
        return (
            f"{_short(table.output, self.session)}: {table.rows} rows of {table.vehicle}:"
            f" {counts or '0 ok'}{malformed}{worst}"
        )


def _short(path: Path, session: Path) -> Path:
    return path.relative_to(session) if path.is_relative_to(session) else path
