"""`python -m bench.archive`: `tidesync correct` with --jobs 2 beside --jobs 1, in turn, in one run.

A session is divided by files, an archive by sessions. The fastest of several runs counts; peak memory is that
of the largest process. The outputs of all runs are compared byte by byte.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.correction.__main__ import Run, run
from bench.correction.session import FAMILIES, ROW_BYTES, make_session
from bench.tables import markdown_table, number, tell
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTS = 4
"""Tables of the session, sessions of the archive."""
_OURS = ["tidesync", "-q", "correct", "--sensor", "inWater=rov1"]


@click.command()
@click.option(
    "--size-mb", default=400, show_default=True, help="Of all tables of the session, or the archive."
)
@click.option(
    "--rounds", default=2, show_default=True, help="Each run so often, in turn; the fastest counts."
)
@click.option("--markdown", type=click.Path(path_type=Path))
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(size_mb: int, rounds: int, markdown: Path | None, json_path: Path | None) -> None:
    """Measure, print and write the figures."""
    load = f"{os.getloadavg()[0]:.1f}"
    with tempfile.TemporaryDirectory() as folder:
        runs = measured(Path(folder), size_mb * 1_000_000 // PARTS // ROW_BYTES, rounds)
    how = {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    figures = {"how": {**how, "load": load, "size_mb": size_mb}, "runs": runs}
    tell(figures, document(runs, size_mb, rounds, load), markdown, json_path)


def measured(folder: Path, rows: int, rounds: int) -> dict[str, Run]:
    """All runs, of PARTS tables of so many rows."""
    session, archive = folder / "session", folder / "archive"
    table = make_session(session, FAMILIES["one pass"], rows)
    for part in range(PARTS):
        shutil.copytree(session, archive / f"session_{part}")
    for part in range(1, PARTS):
        shutil.copyfile(table, table.with_name(f"{part}.csv"))
    places = {"a session": session, "an archive": archive}
    found: dict[str, list[Run]] = {}
    digests: dict[str, set[str]] = {name: set() for name in places}
    for again in range(rounds + 1):
        for name, place in places.items():
            for jobs in (1, 2) if again < rounds else (1,):
                kept = again == rounds
                what = f"{name}, done before" if kept else f"{name}, --jobs {jobs}"
                options = ["--jobs", str(jobs), *([] if kept else ["--again"])]
                found.setdefault(what, []).append(run([*_OURS, *options, str(place)], rows * PARTS))
                digests[name].add(digest(place))
                click.echo(f"{what}: {found[what][-1]}", err=True)
    if any(len(each) > 1 for each in digests.values()):
        raise click.ClickException("the runs wrote different bytes")
    return {name: min(runs, key=lambda each: each.seconds) for name, runs in found.items()}


def digest(folder: Path) -> str:
    """Of all that was written but the records."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.topside.csv")) + sorted(folder.rglob("offsets.csv")):
        found.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as stream:
            while part := stream.read(1 << 20):
                found.update(part)
    return found.hexdigest()


def document(runs: Mapping[str, Run], size_mb: int, rounds: int, load: str) -> str:
    """The page in docs/lab."""
    head = ["run", "time, s", "CPU, s", "peak memory of a process, MB"]
    body = [[name, *map(number, (each.seconds, each.cpu_s, each.peak_mb))] for name, each in runs.items()]
    ratios = [
        f"{name}: {runs[f'{name}, --jobs 1'].seconds / runs[f'{name}, --jobs 2'].seconds:.2f} times as fast,"
        f" {runs[f'{name}, --jobs 2'].cpu_s / runs[f'{name}, --jobs 1'].cpu_s:.2f} times the CPU time"
        for name in ("a session", "an archive")
    ]
    return f"""\
# Correcting with several processes

Made by `make bench-archive` with Tidesync {VERSION}, on {platform.machine()} ({os.cpu_count()} cores),
Python {platform.python_version()}: the fastest of {rounds} runs of each, in turn. {PARTS} tables of
together {size_mb} MB, an hour with 4 exchanges a second. Other programs' load was {load} when
it began.

{markdown_table(head, body)}

Two processes beside one: {"; ".join(ratios)}. All runs wrote the same bytes.

What was done before is kept: what remains is the program's start, the hashes of the session's records and a
look at each file.
Where other programs want all cores, as on the two shared cores of these figures, a second process has none
to gain, and the times say little: only the CPU time compares. Each further process costs its start.
"""


if __name__ == "__main__":
    main()
