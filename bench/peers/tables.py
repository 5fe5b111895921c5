"""Figures as Markdown and as JSON."""

from __future__ import annotations

from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def number(value: float | None) -> str:
    """Three digits, as much as a run is good for."""
    if value is None or isnan(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def share(value: float) -> str:
    """In per cent; all of them is told apart from nearly all."""
    if isnan(value):
        return "–"
    return "100 %" if value == 1.0 else f"{min(value * 100, 99.9):.1f} %"


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Padded, so that it can be read as text too."""
    widths = [max(len(line[at]) for line in [head, *body]) for at in range(len(head))]
    lines = [head, ["-" * width for width in widths], *body]
    return "\n".join(
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def plain(value: Any) -> Any:
    """What JSON can hold: named tuples by their fields' names, NaN and infinity as null."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(entry) for name, entry in value._asdict().items()}
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
