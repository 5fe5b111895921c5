"""What the demo shows: a live table of estimates beside the truth, and the verdict at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidesync.demo.witness import Verdict

_STATE_STYLES = {
    "locked": "bold green",
    "acquiring": "yellow",
    "holdover": "bold yellow",
    "stale": "bold red",
    "unsynced": "red",
}


def demo_table(
    latest: Mapping[str, Verdict], true_drifts_ppm: Mapping[str, float], title: str, caption: str
) -> Table:
    """One row a vehicle; offsets in ms, errors in µs, drifts in ppm."""
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.add_column("vehicle")
    table.add_column("state")
    for heading in ("offset\nms", "truth\nms", "error\nµs", "max error\n± µs", "drift\nppm", "truth\nppm"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("steps", justify="right")
    for vehicle, true_drift_ppm in true_drifts_ppm.items():
        table.add_row(vehicle, *_cells(latest.get(vehicle), true_drift_ppm))
    return table


def _cells(verdict: Verdict | None, true_drift_ppm: float) -> Iterable[str]:
    if verdict is None or verdict.result.offset_ms is None or verdict.true_offset_ms is None:
        return ("[dim]waiting[/]", "", "", "", "", "", f"{true_drift_ppm:+.2f}", "")
    result = verdict.result
    error_us = (result.offset_ms - verdict.true_offset_ms) * 1000
    return (
        f"[{_STATE_STYLES[result.state]}]{result.state}[/]",
        f"{result.offset_ms:,.4f}",
        f"{verdict.true_offset_ms:,.4f}",
        f"[{'green' if verdict.right else 'bold red'}]{error_us:+.1f}[/]",
        f"{(result.max_error_ms or 0) * 1000:.0f}",
        "" if result.drift_ppm is None else f"{result.drift_ppm:+.2f}",
        f"{true_drift_ppm:+.2f}",
        str(result.steps),
    )
