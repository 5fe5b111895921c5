"""`python -m bench.cost.history`: what the clock history adds to a vehicle's agent at rest.

Agents with and without it run side by side, in the same seconds on the same broker, and nobody asks them:
whatever disturbs the machine disturbs both. Both read their clocks as often: steps and suspends need that
too.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from bench.peers.conditions import CONDITIONS
from bench.peers.processes import Program, Programs
from bench.peers.setup import Setup

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_SHARE = 0.03
_SETTLE_S, _WINDOW_S = 12.0, 10.0
"""In a window the open piece is published and written once."""
WITHOUT = "without"


@click.command()
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(5, 3600))
@click.option("--agents", default=4, show_default=True, type=click.IntRange(1, 50), help="Of each kind.")
def main(*, seconds: float, agents: int) -> None:
    """Measure it on this machine; exits with 1 above 3 %."""
    with_us, without_us = measure(seconds, agents)
    share = with_us / without_us - 1
    click.echo(f"us of CPU a second: {with_us:.0f} with a history, {without_us:.0f} without: {share:+.1%}")
    sys.exit(0 if share <= MOST_SHARE else 1)


def measure(seconds: float, agents: int) -> tuple[float, float]:
    """Of both kinds us of CPU a second: the median of the agents' least windows, since load only adds."""
    with tempfile.TemporaryDirectory(prefix="bench-history-") as made, Programs(Path(made)) as programs:
        setup = Setup(programs, CONDITIONS["idle"], seconds=seconds, seed=0)
        broker = f"mqtt://127.0.0.1:{setup.mosquitto_port}"
        kinds = [("tidesync", ()), ("bench.cost.history", (WITHOUT,))]
        started = [
            [_agent(programs, module, first, broker, f"rov{kind}-{number}") for number in range(agents)]
            for kind, (module, first) in enumerate(kinds)
        ]
        time.sleep(_SETTLE_S)
        windows = [_used_us(started, setup) for _ in range(max(round(seconds / _WINDOW_S), 1))]
    of_kinds = [[window[kind] for window in windows] for kind in (0, 1)]
    with_us, without_us = (median(map(min, zip(*of_kind, strict=True))) for of_kind in of_kinds)
    return with_us, without_us


def _used_us(started: Sequence[Sequence[Program]], setup: Setup) -> list[list[float]]:
    """What each used in a window, us of CPU a second."""
    before = [[each.cpu_ns() for each in of_kind] for of_kind in started]
    time.sleep(_WINDOW_S)
    setup.check()
    return [
        [(each.cpu_ns() - was) / 1e3 / _WINDOW_S for each, was in zip(of_kind, cpu_ns, strict=True)]
        for of_kind, cpu_ns in zip(started, before, strict=True)
    ]


def _agent(programs: Programs, module: str, first: Sequence[str], broker: str, name: str) -> Program:
    arguments = (*first, "-q", "pi", "--broker", broker, "--vehicle", name, "--no-http")
    return programs.python(name, module, *arguments)


def without_history(arguments: Sequence[str]) -> int:
    """Run tidesync with an agent that watches its clock, for steps and slews, and keeps no pieces."""
    from broker.own_clock import OwnClock  # noqa: PLC0415 - only here
    from runtime.clock_pieces import PieceBuilder  # noqa: PLC0415 - only here
    from tidesync.command_line import run  # noqa: PLC0415 - only here

    for patched, name in ((PieceBuilder, "extend"), (PieceBuilder, "add"), (OwnClock, "tick")):
        setattr(patched, name, lambda *_: None)
    return run(list(arguments)) or 0


if __name__ == "__main__":
    if sys.argv[1:2] == [WITHOUT]:
        sys.exit(without_history(sys.argv[2:]))
    main()
