"""`python -m bench.recorder`: the table, printed and written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import click

from bench.peers.run import machine
from bench.recorder.run import Cost, Load, measure
from bench.recorder.whole import QUICK_SECONDS, SECONDS, measure_whole, whole_document
from bench.tables import markdown_table, number, tell
from runtime.version import VERSION

_MOST_CPU, _MOST_GB_H = 0.15, 0.4
_WIDE, _SMALL = 1000, 50


class Run(NamedTuple):
    """One recorder's cost of one load; `beside`: of another version."""

    load: Load
    cost: Cost
    beside: bool


class Figures(NamedTuple):
    """All of a run, and the machine's load before it."""

    machine: str
    load_before: float
    runs: list[Run]


@click.command()
@click.option("--quick", is_flag=True, help="30 s each.")
@click.option("--seconds", type=click.FloatRange(5, 7200), help="Measured each. [default: 120]")
@click.option("--result-s", default=5.0, show_default=True, help="Seconds between a vehicle's results.")
@click.option(
    "--beside",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Another version's checkout, to be measured in turn.",
)
@click.option("--whole", is_flag=True, help="With topside, dashboard and browser. [default: 600 s]")
@click.option("--vehicles", default=_WIDE, show_default=True, help="With --whole.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the tables here.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here.")
def main(
    *,
    quick: bool,
    seconds: float | None,
    result_s: float,
    beside: Path | None,
    whole: bool,
    vehicles: int,
    markdown: Path | None,
    json_path: Path | None,
) -> None:
    """Measure what recording a fleet costs, on this machine; exits with 1 where a limit is not kept."""
    load_before, runs = os.getloadavg()[0], []
    if whole:
        found = measure_whole(vehicles, seconds or (QUICK_SECONDS if quick else SECONDS), load_before)
        tell(found, whole_document(found), markdown, json_path)
        raise SystemExit(0 if all(verdict.kept for verdict in found.verdicts) else 1)
    for count in (_SMALL, _WIDE):
        load = Load(count, 1.0, result_s, seconds or (30.0 if quick else 120.0))
        for source in (None, beside) if beside else (None,):
            which = f" by {source}" if source else ""
            click.echo(f"{count} vehicles{which}", err=True)
            cost = measure(load, source) if source else measure(load)
            runs.append(Run(load, cost, beside=source is not None))
            click.echo(cost, err=True)
    figures = Figures(machine(), load_before, runs)
    tell(figures, document(figures), markdown, json_path)
    wide = next(run.cost for run in runs if run.load.vehicles == _WIDE and not run.beside)
    raise SystemExit(0 if _kept(wide) else 1)


def _kept(cost: Cost) -> bool:
    return cost.cpu < _MOST_CPU and cost.written_gb_h < _MOST_GB_H and not cost.missing


def document(figures: Figures) -> str:
    """As Markdown."""
    head = ["", "exchanges/s", "CPU, % of a core", "us each", "GB an hour", "journals, B each", "MB"]
    head += ["stop answered, s", "all written, s", "missing"]
    rows = [[_name(run), *_cells(run.cost)] for run in figures.runs]
    first = figures.runs[0].load
    return _PAGE.format(
        version=VERSION,
        machine=figures.machine,
        load=figures.load_before,
        seconds=first.seconds,
        result_s=first.result_s,
        cpu=_MOST_CPU * 100,
        gb=_MOST_GB_H,
        table=markdown_table(head, rows),
    )


def _name(run: Run) -> str:
    return f"{run.load.vehicles} vehicles" + (", the version beside" if run.beside else "")


def _cells(cost: Cost) -> list[str]:
    shares = (cost.recorded_hz, cost.cpu * 100, cost.cpu_us, cost.written_gb_h, cost.files_b, cost.memory_mb)
    return [*map(number, (*shares, cost.answered_s, cost.closed_s)), str(cost.missing)]


_PAGE = """# What a recorder of many vehicles costs

Made by `make bench-recorder` with Tidesync {version} on {machine}, whose load was {load:.1f} before.
A stand-in publishes for every vehicle an exchange a second, a result every {result_s:g} s and its clock's
history every 10 s, over mosquitto with the queues of `broker/mosquitto.conf`, on loopback. Each line is
{seconds:g} s of a session of every vehicle, ten seconds after its start. *GB an hour* is what the kernel
counts as written to files, *journals* the size of `exchanges.jsonl`, `clock.jsonl` and their compressed
parts for each exchange. The limits for 1000 vehicles are {cpu:g} % of a core and {gb:g} GB an hour, with
nothing missing at the end.

{table}

CPU time on a machine that others use is longer than on an idle one: compare within a run only. A version
beside is measured after this one, on the same machine, by the same stand-in.
"""


if __name__ == "__main__":
    main()
