"""The command: ours beside the peers on each recording, printed and written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import click

from bench.real.recording import read
from bench.real.score import RealScore, failures, scores
from bench.tables import markdown_table, number, share, tell

HEAD = ("estimator", "std us", "mean error us", "half-width / least", "bound held", "u95 held")
INTRODUCTION = """# The estimator on real exchanges

Made by `make bench-real TABLES="…"`. Each table holds the four stamps of recorded exchanges and the true
offset from an external reference. Errors are in us, after the first 200 s; the standard deviation leaves out
the mean error, which is half of what the two ways' least delays differ by: nothing in the stamps shows it.
The half-width's median is given in units of half the least round trip of the whole table. The peers are the
re-implementations of [bench-estimators.md](bench-estimators.md).
"""
LIMITS = """## How narrow can a bound be?

With `wander_limit` 5e-7 and no limit of the rate but what the exchanges prove, the linear program over *all*
earlier exchanges (docs/mathematics.md §4) gives 1.052 on `ntp_wan`, 1.046 if the clocks never wandered, and
1.017 if the drift were known exactly. 20 minutes of a link with a round trip of 27 ms prove the drift to
± 20 to 40 ppm, and the delays back come near their least once in a minute: meanwhile the bound ages.
Afterwards, with all exchanges on both sides, the program gives 1.014, and 1.000 were the wander a tenth.
Ours reach both figures (`python -m bench.real.narrowest TABLE` prints them).
A narrower bound takes a promise about the clock.
"""


class Table(NamedTuple):
    name: str
    exchanges: int
    least_round_trip_us: float
    scores: list[RealScore]
    failures: list[str]


@click.command()
@click.argument(
    "tables", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the tables here.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here.")
def main(tables: tuple[Path, ...], *, markdown: Path | None, json_path: Path | None) -> None:
    """Compare the estimator with its peers on recordings (TABLES); exits with 1 where a peer is better."""
    try:
        found = [_table(path) for path in tables]
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    text = "\n".join([INTRODUCTION, *map(_section, found), LIMITS])
    tell(found, text, markdown, json_path)
    sys.exit(1 if any(table.failures for table in found) else 0)


def _table(path: Path) -> Table:
    recording = read(path)
    found = scores(recording)
    trip_us = recording.least_half_ns * 2 / 1e3
    return Table(recording.name, len(recording.exchanges), trip_us, found, failures(found))


def _section(table: Table) -> str:
    body = [_row(score) for score in table.scores]
    verdict = "pass" if not table.failures else "FAIL: " + "; ".join(table.failures)
    trip = number(table.least_round_trip_us)
    head = f"## {table.name}: {table.exchanges} exchanges, least round trip {trip} us"
    return f"{head}\n\n{markdown_table(HEAD, body)}\n\nVerdict: {verdict}\n"


def _row(score: RealScore) -> list[str]:
    name = score.estimator + (
        ", afterwards" if score.afterwards and "afterwards" not in score.estimator else ""
    )
    half = "–" if score.half != score.half else f"{score.half:.3f}"
    held, likely = share(score.bound_held), share(score.u95_held)
    return [name, number(score.std_us), number(score.bias_us), half, held, likely]
