"""docs/lab/bench-cost.md and .json: all figures of a run and how to read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.cost.stand_in import AGE_S
from bench.peers.document import verdict_table
from bench.tables import markdown_table, number, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.cost.agent import Agent
    from bench.cost.large import Large
    from bench.cost.pairs import Pair
    from bench.cost.parts import Part
    from bench.cost.scale import Load
    from bench.peers.verdicts import Verdict


class Figures(NamedTuple):
    """Everything that a run measured."""

    machine: str
    load_before: float
    """Programs that ran or wanted to on average in the minute before, none of them ours."""
    seconds: float
    warm_up_s: float
    pairs: Sequence[Pair]
    agent: Agent | None
    loads: Sequence[Load]
    parts: Sequence[Part]
    verdicts: Sequence[Verdict]
    larges: Sequence[Large] = ()


_INTRODUCTION = """# What an exchange costs

Made by `make bench-cost` on {machine}.
Each figure is taken over {seconds:g} s, from the kernel's own account of each process. CPU per exchange is
everything that a process did in that time (results, batches, timers and keepalives included) divided by the
exchanges. Other programs share the machine, its processors and their caches (load average before this run:
{load:.1f}): figures of one table can be compared, and ratios count. `docs/stamps.md` says what was tried.
"""

_PARTS = """What the parts take when one process repeats each of them with nothing else to do: all code and
data are in the processor's caches then. `times`: how often a part comes in an exchange on each side, at one
exchange a second, with an estimator that is {age_min:g} minutes old. The sums are what an exchange cannot go
below; what an agent takes above that is finding cold caches at each wake-up, the kernel's waking, and the
rest of its loop.
"""

_PAIRS = """Ten exchanges a second through mosquitto, on the same machine in the same seconds: `tidesync
topside` and `tidesync pi --no-http`; two smallest paho programs; and, as the floor, two smallest asyncio
programs that talk to each other over TCP without any MQTT.
"""

_SCALE = """One `tidesync topside` and so many vehicles, which one cheap process stands in for. `made`: the
share of the wanted exchanges that came about. Taken {warm_up:g} s after the first bursts. With few vehicles,
what a process does once a second whatever happens is divided by few exchanges: the line through all sizes at
one exchange a second tells the two apart. Exchanges that were not made although topside took little of a
processor were held up by what else ran on the machine.
"""


_LARGE = """Each row is a run of its own (`ARGS="--only 1000"`, `3000` or `group`) of so many topsides,
one group if they are several, and vehicles at one exchange a second. `age`: seconds between the first bursts
and the measurement, which takes 60 s. The next 30 s count each vehicle's exchanges beside the rate that its
results say: `as reported` is the share of the vehicles within 10 % of it. `memory` is for each, without
its backlog. Broker and stand-in run on the same processors: where all together come near to what the
machine has, that is what limits. `load before`: programs that ran or wanted to before the run.
"""


def document(figures: Figures) -> str:
    """The whole page."""
    parts = [_INTRODUCTION.format(machine=figures.machine, seconds=figures.seconds, load=figures.load_before)]
    parts += ["## What it must show\n", verdict_table(figures.verdicts) + "\n"]
    if figures.pairs:
        parts += ["## One vehicle\n", _PAIRS, pair_table(figures.pairs) + "\n"]
    if figures.agent:
        parts += ["## The vehicle's agent by itself\n", agent_table(figures.agent) + "\n"]
    if figures.loads:
        parts += ["## A fleet\n", _SCALE.format(warm_up=figures.warm_up_s), load_table(figures.loads) + "\n"]
        line = line_through(figures.loads)
        if line:
            rest_us, exchange_us = map(number, line)
            parts.append(
                f"At one exchange a second: {rest_us} us a second at rest, {exchange_us} us per exchange.\n"
            )
    if figures.larges:
        parts += ["## Fleets of thousands\n", _LARGE, large_table(figures.larges) + "\n"]
    if figures.parts:
        text = _PARTS.format(age_min=AGE_S / 60)
        parts += ["## Where it goes\n", text, part_table(figures.parts) + "\n"]
    return "\n".join(parts)


def large_table(larges: Sequence[Large]) -> str:
    head = ["vehicles", "topsides", "age, s", "load before", "per s", "topside us", "broker", "stand-in"]
    head += ["busiest topside", "sum of all", "memory, MB", "says per s", "as reported", "time-outs"]
    body = [
        [
            str(each.vehicles),
            str(each.topsides),
            f"{each.age_s:g}",
            f"{each.load_before:.1f}",
            *map(number, (each.achieved_hz, each.topside_us, each.broker_us, each.fleet_us)),
            share(each.most_busy),
            share((each.topside_us + each.broker_us + each.fleet_us) * each.achieved_hz / 1e6),
            number(each.vehicle_mb),
            number(each.reported_hz),
            share(each.as_reported),
            str(each.timeouts),
        ]
        for each in larges
    ]
    return markdown_table(head, body)


def part_table(parts: Sequence[Part]) -> str:
    body = [
        [part.name, number(part.us), *(f"{times:g}" if times else "" for times in (part.topside, part.pi))]
        for part in parts
    ]
    sums = [sum(part.us * part.topside for part in parts), sum(part.us * part.pi for part in parts)]
    return markdown_table(
        ["", "CPU us", "times, topside", "times, Pi"], [*body, ["sum, us", "", *map(number, sums)]]
    )


def pair_table(pairs: Sequence[Pair]) -> str:
    head = ["", "exchanges", "CPU us, topside", "CPU us, Pi", "MB, topside", "MB, Pi"]
    return markdown_table(head, [[pair.name, *map(number, pair[1:])] for pair in pairs])


def agent_table(agent: Agent) -> str:
    body = [
        ["resident, MB", number(agent.memory_mb), "its bare imports", number(agent.bare_memory_mb)],
        ["start to online, s", number(agent.online_s), "its bare imports", number(agent.bare_imports_s)],
        ["", "", "bare Python", number(agent.bare_python_s)],
    ]
    return markdown_table(["", "agent", "beside", ""], body)


def line_through(loads: Sequence[Load]) -> tuple[float, float] | None:
    """Topside's CPU as (us per second at rest, us per exchange): least squares over the relative errors."""
    points = [(load.achieved_hz, load.topside_us * load.achieved_hz) for load in loads if load.rate_hz == 1]
    if len({rate_hz for rate_hz, _ in points}) < 2:
        return None
    weights = [1 / total_us**2 for _, total_us in points]
    weight = sum(weights)
    mean_hz = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / weight
    mean_us = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / weight
    spread = sum(w * (x - mean_hz) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    both = sum(w * (x - mean_hz) * (y - mean_us) for w, (x, y) in zip(weights, points, strict=True))
    slope = both / spread
    return mean_us - slope * mean_hz, slope


def load_table(loads: Sequence[Load]) -> str:
    head = ["vehicles", "each, per s", "made", "topside CPU us", "broker", "stand-in", "topside CPU", "MB"]
    body = [
        [
            str(load.vehicles),
            f"{load.rate_hz:g}",
            share(min(load.pace, 1.0)),
            *map(number, (load.topside_us, load.broker_us, load.fleet_us)),
            share(load.topside_us * load.achieved_hz / 1e6),
            number(load.topside_mb),
        ]
        for load in loads
    ]
    return markdown_table(head, body)
