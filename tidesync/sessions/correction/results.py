"""What a correction did and did not do, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from tidesync.errors import NotSoError
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK
from tidesync.sessions.correction.timeline import STATES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.driver import CorrectedTable

_BY_ORDER = (
    "; repeated times are decided by the order of rows: one that is late by just the size of a step"
    " is not noticed"
)


@dataclass
class CorrectionResults:
    """The tables that were corrected, left as they are, and failed."""

    session: Path
    offsets: Path
    skipped: Mapping[str, str]
    named: Collection[Path] = ()
    """Tables that were asked for by name, resolved."""
    tables: list[CorrectedTable] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Tables in sensors' folders that have no timestamp column."""
    failed: list[str] = field(default_factory=list)

    def exit_code(self) -> int:
        """0; NotSoError where a table failed, or what was asked for has no row answered."""
        if self.failed:
            raise NotSoError("; ".join(self.failed))
        if not self.tables:
            raise NotSoError(
                f"{self.session}: there is no table to correct: the program that records a sensor makes its "
                "folder there (in-water_<id>/, surface_<id>/); name tables elsewhere with --file"
            )
        if unanswered := [*self._unanswered()]:
            raise NotSoError("; ".join(unanswered))
        return 0

    def _unanswered(self) -> Iterator[str]:
        """Tables asked for by name, and sensors, of which no row has an instant within its limit."""
        for table in self.tables:
            if table.path.resolve() in self.named and not table.corrected:
                yield f"{short_path(table.path, self.session)}: {_why_none([table])}"
        for sensor in dict.fromkeys(table.sensor for table in self.tables if table.sensor is not None):
            tables = [table for table in self.tables if table.sensor == sensor]
            if not any(table.corrected for table in tables):
                yield f"{sensor}: {_why_none(tables)}"

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
            for place, value, reason in table.shown:
                row = f"{table.path}, {table.place} {place}"
                yield f"{row}: {value!r} {reason}; kept without a correction"

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
        owner = "topside's own clock" if table.vehicle == TOPSIDE_CLOCK else table.vehicle
        how = "".join(f"; {each}" for each in table.remarks)
        how += _BY_ORDER if table.by_order else ""
        worst = f"; max error {ceil(table.max_error_ns / 1e3) / 1e3} ms" if table.corrected else ""
        counts = ", ".join(f"{number} {state}" for state, number in table.counts.items() if number)
        malformed = f", {table.malformed} malformed" if table.malformed else ""
        return (
            f"{short_path(table.output, self.session)}: {table.rows} {table.of_what} of {owner}:"
            f" {counts or '0 ok'}{malformed}{worst}{how}"
        )


def _why_none(tables: Sequence[CorrectedTable]) -> str:
    counts = {state: sum(table.counts[state] for table in tables) for state in STATES}
    counts["malformed"] = sum(table.malformed for table in tables)
    found = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    hints = dict.fromkeys(table.form.hint for table in tables if table.form and table.form.hint)
    return "; ".join(
        (f"no row could be corrected while the clocks were measured ({found or 'there is none'})", *hints)
    )


def short_path(path: Path, session: Path) -> Path:
    """The path within the session, if it is there."""
    return path.relative_to(session) if path.is_relative_to(session) else path
