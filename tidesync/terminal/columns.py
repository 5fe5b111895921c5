"""Tables of plain text, for terminals and for grep."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def in_columns(
    heads: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[Sequence[str]] = ()
) -> str:
    """`heads` and `rows` in columns, left-aligned; the lines of `below` stand indented under their row."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(map(str.ljust, heads, widths)).rstrip()]
    for row, remarks in zip(rows, below or [()] * len(rows), strict=True):
        lines.append("  ".join(map(str.ljust, row, widths)).rstrip())
        lines += [f"    {remark}" for remark in remarks]
    return "\n".join(lines)
