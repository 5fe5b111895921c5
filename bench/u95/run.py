"""The command: every family, many seeds, the table printed and written."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from bench.estimators.traces import FAMILIES
from bench.tables import markdown_table, share, tell
from bench.u95.trace import ASSUMED, Held, Job, measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REQUIRED = 0.93
RATES = (4.0, 1.0)
DURATION_S = 3600.0
HEAD = ("delays", "rate", "seeds", "online", "worst", "afterwards", "worst", "bound", "verdict")
INTRODUCTION = f"""# How often u95 holds

Made by `{{command}}`: the traces of [bench-estimators.md](bench-estimators.md), {{duration_s:g}} s each.
In each one way is made longer by a share of the least round trip, drawn uniformly from 0 to {ASSUMED:.0%}:
u95 assumes no more (`asymmetry_share`). Counted are the instants after the first 200 s, without rows that the
track calls ambiguous, and after a step that nobody reported from the cut on. To reach: u95 holds at
{REQUIRED:.0%} of them, mean over the seeds, and the hard bound at all. "Worst" is the seed with the fewest.

The fixed asymmetry of half the round trip is known to the estimator (`asymmetry_ms`). The path that ends with
2 ms out and 3 ms back differs by 20 % from then on, four times what is assumed: u95 does not hold there, the
hard bound does, and the row has no verdict.
"""


class Row(NamedTuple):
    """Of the instants that count, those at which u95 held: the mean over the seeds, and the worst seed."""

    family: str
    rate_hz: float
    seeds: int
    online: float
    online_worst: float
    afterwards: float
    afterwards_worst: float
    bound: float

    @property
    def required(self) -> bool:
        return not FAMILIES[self.family].asymmetry_changes

    @property
    def passes(self) -> bool:
        return self.bound == 1.0 and (min(self.online, self.afterwards) >= REQUIRED or not self.required)


@click.command()
@click.option("--seeds", default=40, show_default=True, help="Traces of each family at each rate.")
@click.option("--rate", "rates", type=float, multiple=True, default=RATES, show_default=True)
@click.option("--family", "families", type=click.Choice(list(FAMILIES)), multiple=True)
@click.option(
    "--duration", "duration_s", default=DURATION_S, show_default=True, help="Seconds of each trace."
)
@click.option("--processes", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the table here.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here.")
def main(
    *,
    seeds: int,
    rates: Sequence[float],
    families: Sequence[str],
    duration_s: float,
    processes: int,
    markdown: Path | None,
    json_path: Path | None,
) -> None:
    """How often u95 holds where the ways differ by no more than it assumes; exits with 1 where it fails."""
    jobs = [
        Job(family, seed, rate_hz, duration_s)
        for rate_hz in rates
        for family in families or FAMILIES
        for seed in range(seeds)
    ]
    rows = []
    held = _measured(jobs, processes)
    for _ in range(len(jobs) // seeds):
        rows.append(_row([next(held) for _ in range(seeds)]))
        click.echo("  ".join(_line(rows[-1])), err=True)
    table = markdown_table(HEAD, [_line(row) for row in rows])
    text = INTRODUCTION.format(command=_command(rates, duration_s), duration_s=duration_s) + "\n" + table
    tell(rows, text + "\n", markdown, json_path)
    sys.exit(0 if all(row.passes for row in rows) else 1)


def _command(rates: Sequence[float], duration_s: float) -> str:
    """What makes this page again."""
    options = [f"--rate {rate_hz:g}" for rate_hz in rates if tuple(rates) != RATES]
    options += [f"--duration {duration_s:g}"] if duration_s != DURATION_S else []
    return f'make bench-u95 ARGS="{" ".join(options)}"' if options else "make bench-u95"


def _measured(jobs: list[Job], processes: int) -> Iterator[Held]:
    """In the order of the jobs."""
    if processes == 1:
        yield from map(measure, jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(measure, jobs)


def _row(held: list[Held]) -> Row:
    job = held[0].job
    online, afterwards = [each.online for each in held], [each.afterwards for each in held]
    return Row(
        job.family,
        job.rate_hz,
        len(held),
        sum(online) / len(held),
        min(online),
        sum(afterwards) / len(held),
        min(afterwards),
        min(each.bound for each in held),
    )


def _line(row: Row) -> list[str]:
    shares = row.online, row.online_worst, row.afterwards, row.afterwards_worst
    verdict = "–" if row.passes and not row.required else "pass" if row.passes else "FAIL"
    title, rate = FAMILIES[row.family].title, f"{row.rate_hz:g}/s"
    return [title, rate, str(row.seeds), *(share(each) for each in shares), share(row.bound, 2), verdict]
