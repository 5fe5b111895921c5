"""What the demo shows: a live table of estimates beside the truth, and the verdict at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from tidesync.terminal.view import STATE_STYLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidesync.demo.checker import Verdict


def demo_table(
    latest: Mapping[str, Verdict], true_drifts_ppm: Mapping[str, float], title: str, caption: str
) -> Table:
    """One row a vehicle, offsets in ms, errors in µs, drifts in ppm; it fits 80 columns."""
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.box, table.padding = box.SIMPLE_HEAD, (0, 1, 0, 0)
    table.add_column("vehicle", no_wrap=True)
    table.add_column("state", no_wrap=True, min_width=9)
    for heading in ("offset\nms", "true\nms", "error\nµs", "max\n± µs", "drift\nppm", "true\nppm"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("steps", justify="right", no_wrap=True)
    for vehicle, true_drift_ppm in true_drifts_ppm.items():
        table.add_row(vehicle, *_cells(latest.get(vehicle), true_drift_ppm))
    return table


def _cells(verdict: Verdict | None, true_drift_ppm: float) -> Iterable[str]:
    if verdict is None or verdict.true_offset_ms is None:
        return ("[dim]waiting[/]", "", "", "", "", "", f"{true_drift_ppm:+.1f}", "")
    result, true_ms = verdict.result, verdict.true_offset_ms
    offset_ms, max_error_ms = result.offset_ms or 0.0, result.max_error_ms or 0.0
    colour = "green" if verdict.right else "bold red"
    return (
        f"[{STATE_STYLES[result.state]}]{result.state}[/]",
        f"{offset_ms:,.3f}",
        f"{true_ms:,.3f}",
        f"[{colour}]{(offset_ms - true_ms) * 1000:+.1f}[/]",
        f"{max_error_ms * 1000:.0f}",
        "" if result.drift_ppm is None else f"{result.drift_ppm:+.1f}",
        f"{true_drift_ppm:+.1f}",
        str(result.steps),
    )
