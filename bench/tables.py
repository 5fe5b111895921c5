"""Figures as Markdown and as JSON, for every benchmark."""

from __future__ import annotations

import json
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def number(value: float | None) -> str:
    """Three digits, as much as a run is good for."""
    if value is None or isnan(value):
        return "–"
    if not isfinite(value):
        return "none"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def share(value: float, decimals: int = 1) -> str:
    """In per cent; 100 % means all of them."""
    if isnan(value):
        return "–"
    nearly_all = 100 - 10.0**-decimals
    return "100 %" if value == 1.0 else f"{min(value * 100, nearly_all):.{decimals}f} %"


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


def tell(figures: Any, text: str, markdown: Path | None, json_path: Path | None) -> None:
    """Print `text`, write it as Markdown, and `figures` as JSON, where paths are given."""
    click.echo(text)
    if markdown:
        markdown.write_text(text, encoding="utf-8")
    if json_path:
        json_path.write_text(json.dumps(plain(figures), indent=1) + "\n", encoding="utf-8")
