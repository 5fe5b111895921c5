"""The table of all that was found in a session: what was done with it, what was left, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidesync.figures import in_columns
from tidesync.sessions.correction.formats import format_of
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tidesync.sessions.archive.one_file import FileReport
    from tidesync.sessions.correction.tables import Left

_HEADS = ("FILE", "FORMAT", "WHAT WAS DONE", "OUTPUT, OR WHY")
_WORDS = {"planned": "to be corrected", "left": "left as it is", "unchanged": "corrected before"}


def found_rows(files: Iterable[FileReport], left: Iterable[Left]) -> list[dict[str, Any]]:
    """The same for programs; `number` files where the path is a pattern."""
    done = [
        {
            "path": str(each.path),
            "number": 1,
            "format": each.format or None,
            "columns": [*each.columns] or None,
            "sensor": each.sensor,
            "vehicle": None if each.vehicle == TOPSIDE_CLOCK else each.vehicle,
            "action": each.action,
            "why": each.why or None,
            "reason": each.reason or None,
            "output": None if each.action in {"left", "failed"} else str(each.output),
        }
        for each in files
    ]
    rest = [
        {
            "path": str(each.path),
            "number": each.number,
            "format": format_of(each.path) or None,
            "columns": None,
            "sensor": None,
            "vehicle": None,
            "action": "left",
            "why": each.why,
            "reason": each.reason,
            "output": None,
        }
        for each in left
    ]
    return [*done, *rest]


def found_table(
    session: Path, files: Sequence[FileReport], left: Sequence[Left], skipped: Mapping[str, str]
) -> str:
    """The same for people."""
    rows = [
        (
            shown(short_path(each.path, session)),
            each.format,
            _WORDS.get(each.action, each.action),
            _outcome(each, session),
        )
        for each in files
    ]
    rows += [
        (shown(short_path(each.path, session)), format_of(each.path) or "-", _WORDS["left"], each.reason)
        for each in left
    ]
    unowned = {each.reason for each in left if each.why == "no_vehicle"}
    rows += [
        (f"sensor {sensor}", "-", _WORDS["left"], reason)
        for sensor, reason in skipped.items()
        if reason not in unowned
    ]
    return in_columns(_HEADS, rows) if rows else "nothing was found"


def shown(text: object) -> str:
    """`text` without what would end a line, move the cursor, or is no character."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode("ascii")
        for each in str(text)
    )


def _outcome(report: FileReport, session: Path) -> str:
    if report.reason:
        return shown(_without_path(report))
    return shown(short_path(report.output, session))


def _without_path(report: FileReport) -> str:
    """The reason, without the path that is in front of it in the table already."""
    path = str(report.path)
    return report.reason.removeprefix(f"{path}: ").removeprefix(f"{path}, ")


def short_path(path: Path, session: Path) -> Path:
    """The path within the session, if it is there."""
    return path.relative_to(session) if path.is_relative_to(session) else path
