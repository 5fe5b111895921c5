"""A run's rows as a table in docs/security.md, and the rows that stand there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bench.tables import markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Part(NamedTuple):
    """A table in the document, and who is attacked."""

    command: str
    attacked: str

    @property
    def begin(self) -> str:
        """What stands before it."""
        return f"<!-- made by `make {self.command}`, change nothing here -->"

    @property
    def end(self) -> str:
        """What stands behind it."""
        return f"<!-- end of what `make {self.command}` made -->"


PARTS = {"broker": Part("attacks", "broker"), "datagrams": Part("attacks-datagrams", "vehicle")}


def replaced(text: str, figures: Mapping[str, Any], part: Part = PARTS["broker"]) -> str:
    """The document `text` with the run's table between its markers; ValueError when it has none."""
    head, begin, rest = text.partition(part.begin)
    _, end, tail = rest.partition(part.end)
    if not (begin and end):
        raise ValueError(f"no {part.begin} … {part.end} in the document")
    made = table(figures["rows"], part.attacked)
    return f"{head}{begin}\n\nRun on {figures['machine']}.\n\n{made}\n\n{end}{tail}"


def table(rows: Sequence[Mapping[str, Any]], attacked: str) -> str:
    """All rows of a run."""
    head = [
        "attack",
        "with",
        "verdict",
        "what came of it",
        f"{attacked}, MB: before, most, after",
        "its CPU",
        "honest results",
        "worst error, ms",
        "widest bound, ms",
    ]
    return markdown_table(head, [_line(row) for row in rows])


def rows_of(text: str, part: Part = PARTS["broker"]) -> list[tuple[str, str, str]]:
    """Attack, with what, and verdict of each row of that part of the document `text`."""
    made = text.partition(part.begin)[2].partition(part.end)[0]
    lines = [line for line in made.splitlines() if line.startswith("| ")][2:]
    return [(attack, by, verdict) for attack, by, verdict, *_ in map(_columns, lines)]


def _columns(line: str) -> list[str]:
    return [text.strip() for text in line.strip().strip("|").split("|")]


def _line(row: Mapping[str, Any]) -> list[str]:
    states = ", ".join(f"{count} {state}" for state, count in sorted(row["states"].items(), reverse=True))
    return [
        row["attack"],
        row["by"],
        row["verdict"],
        row["outcome"],
        ", ".join(f"{mb:.0f}" for mb in row["memory_mb"]),
        f"{row['cpu_percent']:.0f} %",
        states,
        number(row["worst_error_ms"]),
        number(row["worst_bound_ms"]),
    ]
