"""One condition played: everybody started, warmed up, measured over the same windows, stopped."""

from __future__ import annotations

import tempfile
import time
from itertools import pairwise
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.peers.estimates import Estimate, Window
from bench.peers.ours import BATCH_S
from bench.peers.processes import Programs
from bench.peers.setup import Setup, lsl_environment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bench.peers.conditions import Condition
    from bench.peers.contestant import Contestant, Outcome
    from bench.peers.exchanges import Stamps
    from bench.peers.processes import Program

_SETTLE_S = 60.0
"""Beyond the measured time, programs end by themselves after this."""


class Plan(NamedTuple):
    """How long is measured."""

    estimates: int
    seconds_per_estimate: float
    warm_up_s: float
    seed: int

    @property
    def measured_s(self) -> float:
        return self.estimates * self.seconds_per_estimate


class _Used(NamedTuple):
    """What programs had used at an instant."""

    cpu_ns: int
    memory_mb: float


class Side(NamedTuple):
    """What one side of a contestant takes."""

    cpu_us: float
    """Per exchange."""
    memory_mb: float


class Played(NamedTuple):
    """What a contestant did under a condition."""

    rows: dict[str, list[Estimate]]
    singles: Sequence[Stamps]
    exchanges: float
    asking: Side
    answering: Side
    note: str = ""


def play(condition: Condition, contestants: Mapping[str, Contestant], plan: Plan) -> dict[str, Played]:
    """Every contestant's results under the condition; a contestant plays once."""
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as made:
        folder = Path(made)
        seconds = plan.measured_s + plan.warm_up_s + _SETTLE_S
        with Programs(folder, lsl_environment(folder)) as programs:
            setup = Setup(programs, condition, seconds, plan.seed)
            _bring_up(setup, contestants.values())
            time.sleep(plan.warm_up_s)
            before = {name: _used(contestant) for name, contestant in contestants.items()}
            windows = _measure(contestants.values(), plan)
            after = {name: _used(contestant) for name, contestant in contestants.items()}
            setup.check()
            time.sleep(BATCH_S)
        return {
            name: _played(contestant.outcome(windows), before[name], after[name])
            for name, contestant in contestants.items()
        }


def _bring_up(setup: Setup, contestants: Collection[Contestant]) -> None:
    for contestant in contestants:
        contestant.serve(setup)
    setup.open_links()
    for contestant in contestants:
        contestant.begin(setup)
    for contestant in contestants:
        contestant.ready(setup)
    setup.start_hogs()
    setup.check()


def _measure(contestants: Collection[Contestant], plan: Plan) -> list[Window]:
    """Wait for each window to pass."""
    ends_ns = [time.time_ns()]
    for contestant in contestants:
        contestant.window_ended(ends_ns[0])
    for _ in range(plan.estimates):
        ends_ns.append(ends_ns[-1] + round(plan.seconds_per_estimate * 1e9))
        time.sleep(max(0, ends_ns[-1] - time.time_ns()) / 1e9)
        for contestant in contestants:
            contestant.window_ended(ends_ns[-1])
    return [Window(begin, end) for begin, end in pairwise(ends_ns)]


def _used(contestant: Contestant) -> tuple[_Used, _Used]:
    return _used_by(contestant.asking), _used_by(contestant.answering)


def _used_by(programs: Sequence[Program]) -> _Used:
    return _Used(sum(p.cpu_ns() for p in programs), sum(p.memory_mb() for p in programs))


def _played(outcome: Outcome, before: tuple[_Used, _Used], after: tuple[_Used, _Used]) -> Played:
    asking, answering = (
        _side(begin, end, outcome.exchanges) for begin, end in zip(before, after, strict=True)
    )
    return Played(outcome.rows, outcome.singles, outcome.exchanges, asking, answering, outcome.note)


def _side(begin: _Used, end: _Used, exchanges: float) -> Side:
    cpu_us = (end.cpu_ns - begin.cpu_ns) / 1e3 / exchanges if exchanges else nan
    return Side(cpu_us, end.memory_mb)
