"""A run's rows as a table in docs/security.md, and the rows that stand there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.tables import markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BEGIN = "<!-- made by `make attacks`, change nothing here -->"
END = "<!-- end of what `make attacks` made -->"
_HEAD = [
    "attack",
    "with",
    "verdict",
    "what came of it",
    "broker, MB: before, most, after",
    "its CPU",
    "honest results",
    "worst error, ms",
    "widest bound, ms",
]


def replaced(text: str, figures: Mapping[str, Any]) -> str:
    """The document `text` with the run's table between its markers; ValueError when it has none."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN} … {END} in the document")
    return f"{head}{begin}\n\nRun on {figures['machine']}.\n\n{table(figures['rows'])}\n\n{end}{tail}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """All rows of a run."""
    return markdown_table(_HEAD, [_line(row) for row in rows])


def rows_of(text: str) -> list[tuple[str, str, str]]:
    """Attack, with what, and verdict of each row of the document `text`."""
    made = text.partition(BEGIN)[2].partition(END)[0]
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
