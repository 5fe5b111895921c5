"""The command: every peer under every condition, the table printed and written."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.peers.condition_run import Plan, Played, play
from bench.peers.conditions import CONDITIONS
from bench.peers.contestants import CONTESTANTS
from bench.peers.document import Figures, document
from bench.peers.expected import expected
from bench.peers.processes import installed
from bench.peers.score import scores, single
from bench.peers.verdicts import verdicts
from bench.tables import tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ESTIMATES, QUICK_ESTIMATES = 39, 3
WARM_UP_S, QUICK_WARM_UP_S = 10.0, 3.0


@click.command()
@click.option("--quick", is_flag=True, help="Three estimates a condition: medians only, within 3 minutes.")
@click.option("--estimates", type=click.IntRange(1), help=f"A condition. [default: {ESTIMATES}]")
@click.option("--seconds-per-estimate", type=click.FloatRange(0.5, 600), default=10.0, show_default=True)
@click.option("--warm-up", type=click.FloatRange(0, 600), help="Seconds before. [default: 10, quick 3]")
@click.option("--condition", "--conditions", "conditions", type=click.Choice(list(CONDITIONS)), multiple=True)
@click.option("--contestant", "contestants", type=click.Choice(list(CONTESTANTS)), multiple=True)
@click.option("--seed", default=1, show_default=True, help="Of the proxies' delays.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the tables here.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here.")
def main(
    *,
    quick: bool,
    estimates: int | None,
    seconds_per_estimate: float,
    warm_up: float | None,
    conditions: Sequence[str],
    contestants: Sequence[str],
    seed: int,
    markdown: Path | None,
    json_path: Path | None,
) -> None:
    """Measure beside the real peers, on this machine; exits with 1 where a promise is not kept."""
    names, absent = _present(contestants or tuple(CONTESTANTS))
    plan = Plan(
        estimates or (QUICK_ESTIMATES if quick else ESTIMATES),
        seconds_per_estimate,
        (QUICK_WARM_UP_S if quick else WARM_UP_S) if warm_up is None else warm_up,
        seed,
    )
    played = {}
    for condition in conditions or tuple(CONDITIONS):
        click.echo(f"{condition}: {plan.measured_s:g} s", err=True)
        played[condition] = play(CONDITIONS[condition], {name: CONTESTANTS[name]() for name in names}, plan)
    figures = make_figures(played, plan, absent, simulate=not quick)
    text = document(figures)
    tell(figures, text, markdown, json_path)
    sys.exit(0 if all(verdict.kept for verdict in figures.verdicts) else 1)


def make_figures(
    played: Mapping[str, Mapping[str, Played]], plan: Plan, absent: dict[str, str], *, simulate: bool
) -> Figures:
    """From what was played to what is reply; with `simulate` beside what delays alone let expect."""
    by_row = {
        condition: {score.row: score for name, one in everybody.items() for score in scores(name, one)}
        for condition, everybody in played.items()
    }
    singles = {
        condition: {name: row for name, one in everybody.items() if (row := single(one))}
        for condition, everybody in played.items()
    }
    delayed = {name: CONDITIONS[name] for name in played if simulate and CONDITIONS[name].delayed}
    return Figures(
        machine(),
        _versions(),
        plan.seconds_per_estimate,
        plan.estimates,
        absent,
        {condition: one["ours"].note for condition, one in played.items() if "ours" in one},
        by_row,
        singles,
        verdicts(by_row, singles),
        {name: expected(of.out, of.back) for name, of in delayed.items()},
    )


def machine() -> str:
    """What the figures were taken on."""
    return f"{os.cpu_count()} × {platform.machine()}, {platform.system()} {platform.release()}"


def _present(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Who can take part, and why the others cannot."""
    reasons = {name: CONTESTANTS[name]().missing() for name in names}
    absent = {name: reason for name, reason in reasons.items() if reason}
    return [name for name in names if name not in absent], absent


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in ("paho-mqtt", "amqtt", "pylsl", "ntplib"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    for program, option, word in (("mosquitto", "-h", 2), ("chronyd", "--version", 3)):
        path = installed(program)
        if path:
            reply = subprocess.run([path, option], capture_output=True, text=True, check=False).stdout.split()
            found[program] = reply[word] if len(reply) > word else "?"
    return found
