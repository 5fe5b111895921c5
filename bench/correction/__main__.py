"""`python -m bench.correction`: `tidesync correct` beside pandas and polars, on tables of 0.5 and 1 GB.

Each pass is a process of its own. pandas and polars add one constant to each timestamp, without an error and
without a state. Wall clock and CPU time of one run, or of the fastest of several in turn.
"""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path
from typing import NamedTuple

import click

from bench.correction.session import FAMILIES, ROW_BYTES, make_session
from bench.tables import markdown_table, number, tell
from bench.used import used_by
from runtime.version import VERSION

SIZES_MB = (500, 1000)
_PEERS = ("pandas", "polars")


class Run(NamedTuple):
    """One pass over one table."""

    rows: int
    seconds: float
    cpu_s: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Thousand rows a second."""
        return self.rows / self.seconds / 1e3


@click.command()
@click.option("--size-mb", "sizes_mb", multiple=True, type=int, default=SIZES_MB, show_default=True)
@click.option(
    "--rounds", default=1, show_default=True, help="Each pass so often, in turn; the fastest counts."
)
@click.option("--markdown", type=click.Path(path_type=Path))
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(sizes_mb: tuple[int, ...], rounds: int, markdown: Path | None, json_path: Path | None) -> None:
    """Measure, print and write the figures."""
    runs = {size: measured(size * 1_000_000 // ROW_BYTES, rounds) for size in sizes_mb}
    how = {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    figures = {"how": how, "runs": {str(size): passes for size, passes in runs.items()}}
    tell(figures, document(runs, rounds), markdown, json_path)


def measured(rows: int, rounds: int) -> dict[str, Run]:
    """All passes over tables of so many rows."""
    with tempfile.TemporaryDirectory() as folder:
        made = {name: make_session(Path(folder) / name, family, rows) for name, family in FAMILIES.items()}
        ours = ["tidesync", "-q", "correct", "--again", "--sensor", "inWater=rov1"]
        passes = {f"tidesync correct, {name}": [*ours, str(table.parents[1])] for name, table in made.items()}
        ends = [str(made["one pass"]), str(Path(folder) / "out.csv")]
        passes |= {f"{peer}, a constant shift": [f"bench.correction.{peer}_pass", *ends] for peer in _PEERS}
        found: dict[str, list[Run]] = {name: [] for name in passes}
        for _ in range(rounds):
            for name, module in passes.items():
                found[name].append(run(module, rows))
                click.echo(f"{name}: {found[name][-1]}", err=True)
        return {name: min(runs, key=lambda each: each.seconds) for name, runs in found.items()}


def run(module: list[str], rows: int) -> Run:
    """One process `python -m …`."""
    return Run(rows, *used_by(module))


def document(runs: dict[int, dict[str, Run]], rounds: int) -> str:
    """The page in docs/lab."""
    head = ["table", "pass", "time, s", "CPU, s", "thousand rows/s", "peak memory, MB"]
    body = [
        [f"{size} MB", name, *map(number, (each.seconds, each.cpu_s, each.rate, each.peak_mb))]
        for size, passes in runs.items()
        for name, each in passes.items()
    ]
    runs_of_each = "one run of each" if rounds == 1 else f"the fastest of {rounds} runs of each"
    return f"""\
# Correcting large tables

Made by `make bench-correction` with Tidesync {VERSION}, on {platform.machine()} ({os.cpu_count()} cores),
Python {platform.python_version()}: {runs_of_each}.

{markdown_table(head, body)}

A table has rows of {ROW_BYTES} bytes in 8 columns, over an hour with 4 exchanges a second. `tidesync
correct` reads it once where the vehicle's clock ran on, twice where it was set; it gives each row its own
instant, the bounds of its error and a state, and keeps every other byte. pandas (`read_csv` in chunks of
250 000 rows, `to_csv`) and polars (`scan_csv`, `sink_csv`, one thread) add one constant to the timestamp, and
write the other columns as they understood them. On a machine that does other work too, CPU time is what
compares.
"""


if __name__ == "__main__":
    main()
