"""What the correction of a session did and did not do, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from tidesync.errors import NotSoError
from tidesync.figures import counted
from tidesync.sessions.archive.found import found_rows, found_table, short_path
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK
from tidesync.sessions.correction.prepared import sentences_of
from tidesync.sessions.correction.timeline import STATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tidesync.sessions.archive.one_file import FileReport
    from tidesync.sessions.correction.tables import Left

_BY_ORDER = (
    "; repeated times are decided by the order of rows: one that is late by just the size of a step"
    " is not noticed"
)
_MOST_NAMED = 5
_NO_TABLE = (
    "there is no table to correct: the program that records a sensor makes its folder there (in-water_<id>/, "
    "surface_<id>/); name tables elsewhere with --file"
)


@dataclass
class CorrectionResults:
    """The files that were corrected, left as they are, and failed."""

    session: Path
    offsets: Path
    skipped: Mapping[str, str]
    """Sensors that are not corrected, each with the reason."""
    files: Sequence[FileReport] = ()
    """What became of each."""
    left: Sequence[Left] = ()
    """What else is in the session."""
    failed: Sequence[str] = ()
    """What concerns vehicles and folders, a sentence each."""
    unused: Sequence[str] = ()
    """Which settings of single tables apply to none; a sentence each."""
    forgotten: Sequence[str] = ()
    """Tables whose correction is recorded no longer, since they or a log they refer to are gone; paths."""
    dry: bool = False
    """Whether nothing was written."""
    tables: list[FileReport] = field(init=False)
    """The files that were corrected, or would be."""

    def __post_init__(self) -> None:
        self.tables = [each for each in self.files if each.action not in {"left", "failed"}]

    def faults(self) -> list[str]:
        """Why what was asked for is not so, a sentence each."""
        if failed := self._failed():
            return failed
        if not self.tables:
            return [f"{self.session}: {_NO_TABLE}"]
        return [] if self.dry else [*self._unanswered()]

    def exit_code(self, *, shown: bool = False) -> int:
        """0; NotSoError where a table failed, or what was asked for has no row answered.

        `shown`: the table of all that was found was shown, which says why files failed.
        """
        faults = self._briefly() if shown and self._failed_files() else self.faults()
        if faults:
            raise NotSoError("; ".join(faults))
        return 0

    def _failed(self) -> list[str]:
        """Sentences; a vehicle without a track has one for all its files."""
        return [*self.failed, *(each.reason for each in self._failed_files())]

    def _failed_files(self) -> list[FileReport]:
        return [each for each in self.files if each.action == "failed" and each.why != "no_track"]

    def _briefly(self) -> list[str]:
        """The same, where the table has the reasons of files; and that the rest is done."""
        failed, done = self._failed_files(), counted(len(self.tables), "other file")
        names = ", ".join(str(short_path(each.path, self.session)) for each in failed[:_MOST_NAMED])
        more = f" and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
        rest = f"{done} {'would be' if self.dry else 'is' if len(self.tables) == 1 else 'are'} corrected"
        listed = f"{counted(len(failed), 'file')} failed, why is in the table: {names}{more}"
        return [*self.failed, listed, *([rest] if self.tables else [])]

    def _unanswered(self) -> Iterator[str]:
        """Tables asked for by name, and sensors, of which no row has an instant within its limit."""
        for table in self.tables:
            if table.named and not table.answered:
                yield f"{short_path(table.path, self.session)}: {_why_none([table])}"
        for sensor in dict.fromkeys(table.sensor for table in self.tables if table.sensor is not None):
            tables = [table for table in self.tables if table.sensor == sensor]
            if not any(table.answered for table in tables):
                yield f"{sensor}: {_why_none(tables)}"

    def lines(self) -> Iterator[str]:
        """The summary: a line for each file that was corrected, and the table of all that was found."""
        yield from self.table_lines()
        yield from self.forgotten_lines()
        yield ""
        yield found_table(self.session, self.files, self.left, self.skipped)

    def table_lines(self) -> Iterator[str]:
        """A line for each file that was corrected, or would be."""
        for table in self.tables:
            yield self._planned_line(table) if table.action == "planned" else self._line(table)

    def forgotten_lines(self) -> Iterator[str]:
        """A line for each table whose correction is recorded no longer."""
        for path in self.forgotten:
            yield f"{path}: it, or the log with its start, is gone: its correction is recorded no longer"

    def complaints(self) -> Iterator[str]:
        """A line for each of the first malformed rows."""
        for table in self.tables:
            for each in table.document["malformed_rows"]:
                row = f"{table.path}, {table.place} {each['line']}"
                yield f"{row}: {each['value']!r} {each['reason']}; kept without a correction"

    def document(self) -> dict[str, Any]:
        """All results; keys are those of the tables' columns where they mean the same."""
        not_corrected = [each.reason for each in self.files if each.action == "left"]
        return {
            "session": str(self.session),
            "offsets": str(self.offsets),
            "dry_run": self.dry,
            "files": [{**each.document, "action": each.action} for each in self.tables],
            "skipped": [{"sensor": sensor, "reason": reason} for sensor, reason in self.skipped.items()],
            "left": [*sentences_of(self.left), *not_corrected],
            "failed": self._failed(),
            "found": found_rows(self.files, self.left),
            "unused_settings": [*self.unused],
            "forgotten": [*self.forgotten],
        }

    def _line(self, table: FileReport) -> str:
        document = table.document
        owner = _owner(table)
        how = "".join(f"; {each}" for each in table.remarks)
        how += _BY_ORDER if document["by_order"] else ""
        how += "; as it was corrected before" if table.action == "unchanged" else ""
        worst = f"; max error {ceil(document['max_error_ms'] * 1e3) / 1e3} ms" if table.answered else ""
        counts = ", ".join(f"{document[state]} {state}" for state in STATES if document[state])
        malformed = f", {document['malformed']} malformed" if document["malformed"] else ""
        rows = counted(document["rows"], table.of_what)
        return (
            f"{short_path(table.output, self.session)}: {rows} of {owner}:"
            f" {counts or '0 ok'}{malformed}{worst}{how}"
        )

    def _planned_line(self, table: FileReport) -> str:
        how = "".join(f"; {each}" for each in table.remarks)
        by = f"{' and '.join(table.columns)} of {_owner(table)}"
        return f"{short_path(table.output, self.session)}: would be written, by {by}{how}"


def _owner(table: FileReport) -> str:
    return "topside's own clock" if table.vehicle == TOPSIDE_CLOCK else table.vehicle


def _why_none(tables: Sequence[FileReport]) -> str:
    kinds = (*STATES, "malformed")
    counts = {kind: sum(table.document[kind] for table in tables) for kind in kinds}
    found = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    hints = dict.fromkeys(table.document["hint"] for table in tables if table.document["hint"])
    return "; ".join(
        (f"no row could be corrected while the clocks were measured ({found or 'there is none'})", *hints)
    )
