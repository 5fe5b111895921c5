"""The command: pairs, the agent by itself, fleets; the tables printed and written."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cost.agent import agent
from bench.cost.document import Figures, document
from bench.cost.large import CASES, large
from bench.cost.pairs import pairs
from bench.cost.parts import parts
from bench.cost.read import read_figures
from bench.cost.scale import Size, load
from bench.cost.verdicts import verdicts
from bench.peers.run import machine
from bench.tables import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS, QUICK_SECONDS = 30.0, 8.0
REPEATS, QUICK_REPEATS = 7, 3
SIZES = (Size(1, 1), Size(10, 1), Size(100, 1), Size(1000, 1), Size(1, 4), Size(10, 4), Size(100, 4))
QUICK_SIZES = (Size(1, 1), Size(100, 1), Size(1000, 1), Size(100, 4))


@click.command()
@click.option("--quick", is_flag=True, help="Shorter, and fewer fleets.")
@click.option("--seconds", type=click.FloatRange(1, 600), help=f"Measured each. [default: {SECONDS:g}]")
@click.option(
    "--warm-up", default=0.0, show_default=True, help="Seconds that a fleet's estimators age before."
)
@click.option(
    "--only", multiple=True, type=click.Choice([*CASES]), help="This large fleet; repeatable. The rest stays."
)
@click.option("--age", type=click.FloatRange(0), help="Seconds that a large fleet ages; else its own.")
@click.option("--no-fleets", is_flag=True, help="One vehicle only.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the tables here.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here.")
def main(
    *,
    quick: bool,
    seconds: float | None,
    warm_up: float,
    only: tuple[str, ...],
    age: float | None,
    no_fleets: bool,
    markdown: Path | None,
    json_path: Path | None,
) -> None:
    """Measure what an exchange costs, on this machine; exits with 1 where a limit is not kept."""
    before = read_figures(json_path)
    if only:
        figures = with_large(before, only, age)
    else:
        figures = measure(
            seconds or (QUICK_SECONDS if quick else SECONDS),
            QUICK_REPEATS if quick else REPEATS,
            () if no_fleets else QUICK_SIZES if quick else SIZES,
            warm_up,
        )
        figures = judged(figures._replace(larges=before.larges if before else ()))
    text = document(figures)
    tell(figures, text, markdown, json_path)
    sys.exit(0 if all(verdict.kept for verdict in figures.verdicts) else 1)


def measure(seconds: float, repeats: int, sizes: tuple[Size, ...], warm_up_s: float) -> Figures:
    """Everything in turn: nothing else of ours runs while one is measured."""
    load_before = os.getloadavg()[0]
    click.echo("one vehicle", err=True)
    both = pairs(seconds)
    click.echo("the agent by itself", err=True)
    alone = agent(repeats)
    loads = []
    for size in sizes:
        click.echo(f"{size.vehicles} vehicles at {size.rate_hz:g}/s", err=True)
        loads.append(load(size, seconds, warm_up_s))
    click.echo("the parts", err=True)
    every = parts()
    return Figures(machine(), load_before, seconds, warm_up_s, both, alone, loads, every, ())


def with_large(before: Figures | None, names: Sequence[str], age_s: float | None) -> Figures:
    """The figures of `before`, with those of these large fleets measured again."""
    figures = before or Figures(machine(), os.getloadavg()[0], 0.0, 0.0, (), None, (), (), ())
    for name in names:
        case = CASES[name] if age_s is None else CASES[name]._replace(age_s=age_s)
        click.echo(f"{case.vehicles} vehicles, {case.topsides} topsides, {case.age_s:g} s of age", err=True)
        made = {each.name: each for each in figures.larges} | {name: large(name, case)}
        figures = figures._replace(larges=[made[each] for each in CASES if each in made])
    return judged(figures)


def judged(figures: Figures) -> Figures:
    """With the verdicts on all that was measured."""
    found = verdicts(figures.pairs, figures.agent, figures.loads, figures.larges)
    return figures._replace(verdicts=found)
