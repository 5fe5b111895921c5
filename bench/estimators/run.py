"""The command: every estimator on every family, the tables printed and written."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from bench.estimators.cost import smooth_costs, update_cost
from bench.estimators.document import Figures, document
from bench.estimators.extra import extra_rows
from bench.estimators.jobs import Job, Result, run_jobs
from bench.estimators.table import precision_rows, rows
from bench.estimators.targets import (
    EIGHT_HOURS_EXCHANGES,
    MAIN_RATE_HZ,
    PRECISION_SEEDS,
    SEEDS,
    SYMMETRIC,
)
from bench.estimators.traces import EXTRA, FAMILIES, TABLE
from bench.tables import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

QUICK_SEEDS = 2


@click.command()
@click.option("--seeds", default=SEEDS, show_default=True, help="Seeds of each row.")
@click.option("--precision-seeds", default=PRECISION_SEEDS, show_default=True, help="Seeds for its coverage.")
@click.option("--extra-seeds", default=3, show_default=True, help="Seeds of each further fault.")
@click.option("--rate", "rates", type=float, multiple=True, default=(4.0, 1.0), show_default=True)
@click.option("--family", "--families", "families", type=click.Choice(list(FAMILIES)), multiple=True)
@click.option("--processes", type=click.IntRange(1, 2), default=2, show_default=True)
@click.option("--quick", is_flag=True, help="Two seeds, 4/s, no cost of long logs; no mean is judged.")
@click.option("--long-logs/--no-long-logs", default=True, help="Whether to smooth eight hours and sixteen.")
@click.option("--no-peers", is_flag=True, help="Ours alone.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the tables here.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here.")
def main(
    *,
    seeds: int,
    precision_seeds: int,
    extra_seeds: int,
    rates: Sequence[float],
    families: Sequence[str],
    processes: int,
    quick: bool,
    long_logs: bool,
    no_peers: bool,
    markdown: Path | None,
    json_path: Path | None,
) -> None:
    """Compare the offset estimator with its peers on simulated traces; exits with 1 where a row fails."""
    if quick:
        seeds = precision_seeds = extra_seeds = QUICK_SEEDS
        rates = (MAIN_RATE_HZ,)
    jobs = _jobs(
        families or tuple(FAMILIES), rates, (seeds, precision_seeds, extra_seeds), with_peers=not no_peers
    )
    click.echo(f"{len(jobs)} traces", err=True)
    results = run_jobs(jobs, processes=processes, progress=_progress)
    figures = _figures(results, seeds, long_logs=long_logs and not quick)
    text = document(figures)
    tell(figures, text, markdown, json_path)
    sys.exit(1 if figures.failures else 0)


def _jobs(
    families: Sequence[str], rates: Sequence[float], seeds: tuple[int, int, int], *, with_peers: bool
) -> list[Job]:
    """More seeds where the coverage of the precision is required."""
    own, pooled, extra = seeds
    found = []
    for family in families:
        if family in EXTRA:
            found += [Job(family, seed, MAIN_RATE_HZ, with_peers=False) for seed in range(extra)]
            continue
        count = max(own, pooled) if family in SYMMETRIC else own
        for rate_hz in rates:
            found += [Job(family, seed, rate_hz, with_peers and seed < own) for seed in range(count)]
    return found


def _progress(result: Result) -> None:
    if sys.stderr.isatty():
        job = result.job
        click.echo(f"\r{job.family} {job.seed} at {job.rate_hz:g}/s    ", nl=False, err=True)


def _figures(results: list[Result], seeds: int, *, long_logs: bool) -> Figures:
    table = [result for result in results if result.job.family in TABLE]
    return Figures(
        seeds,
        f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}",
        rows(table, seeds),
        precision_rows(table),
        extra_rows([result for result in results if result.job.family in EXTRA]),
        update_cost(),
        smooth_costs(EIGHT_HOURS_EXCHANGES) if long_logs else [],
    )
