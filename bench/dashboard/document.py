"""docs/lab/bench-dashboard.md and .json: the figures over time, and whether memory stays flat."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.peers.document import verdict_table
from bench.peers.verdicts import Verdict
from bench.tables import markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.dashboard.browser import Heap

SERVER_GROWTH_MB = 2.0
"""The hours before the last ten minutes, kept coarsely, still fill: 24 KB a minute for fifty vehicles."""
FLEET_GROWTH_MB, VEHICLE_GROWTH_MB = 1.0, 2.0
NODE_GROWTH = 500
"""Some removed nodes wait for their collection; one leaked at each result would be 60 000."""
BEHIND_S = 1.0


class Sample(NamedTuple):
    """What was used at one moment; processor as a share of one core since the sample before, in %."""

    at_s: float
    server_mb: float
    server_cpu: float
    fleet: Heap
    vehicle: Heap
    browser_cpu: float
    oldest_s: float


class Figures(NamedTuple):
    """Everything that a run measured."""

    machine: str
    vehicles: int
    rate_hz: float
    seconds: float
    warm_up_s: float
    samples: Sequence[Sample]
    verdicts: Sequence[Verdict]


_INTRODUCTION = """# What the dashboard costs

Made by `make bench-dashboard` on {machine}.
{vehicles} vehicles have {rate:g} results a second each, for {seconds:g} s after {warm_up:g} s of warming up.
One `tidesync dashboard` receives them through mosquitto; one Chromium shows the fleet in one page and the
curves of a vehicle in another. Heaps are what is left after a collection. Processor is a share of one core;
Chromium draws in software here.

## What it must show

Growth is from the median of the first quarter to the median of the last.
"""

_OVER_TIME = """
## Over time

`oldest`: the age of the oldest of all vehicles' newest results, as the server reports it. The vehicle page's
heap rises and falls: Plotly caches the sizes of 10 000 texts, some 4 MB, then clears the cache.
"""


def verdicts(samples: Sequence[Sample]) -> list[Verdict]:
    """Whether memory stayed flat, and the server kept up."""
    server = _growth(samples, lambda one: one.server_mb)
    fleet = _growth(samples, lambda one: one.fleet.heap_mb)
    vehicle = _growth(samples, lambda one: one.vehicle.heap_mb)
    nodes = _growth(samples, lambda one: one.fleet.nodes)
    return [
        Verdict("server: resident memory grew by, MB", server, SERVER_GROWTH_MB),
        Verdict("fleet page: heap grew by, MB", fleet, FLEET_GROWTH_MB),
        Verdict("vehicle page: heap grew by, MB", vehicle, VEHICLE_GROWTH_MB),
        Verdict("fleet page: nodes grew by", nodes, NODE_GROWTH),
        Verdict("server: oldest result, s", median(one.oldest_s for one in samples), BEHIND_S),
    ]


def _growth(samples: Sequence[Sample], of: Callable[[Sample], float]) -> float:
    quarter = max(1, len(samples) // 4)
    return median(map(of, samples[-quarter:])) - median(map(of, samples[:quarter]))


def document(figures: Figures) -> str:
    """The whole page."""
    introduction = _INTRODUCTION.format(
        machine=figures.machine,
        vehicles=figures.vehicles,
        rate=figures.rate_hz,
        seconds=figures.seconds,
        warm_up=figures.warm_up_s,
    )
    return "\n".join([introduction, verdict_table(figures.verdicts), _OVER_TIME, _table(figures.samples), ""])


def _table(samples: Sequence[Sample]) -> str:
    server, pages = ("server MB", "server %"), ("fleet page MB", "nodes", "vehicle page MB", "nodes")
    head = ("s", *server, *pages, "Chromium %", "oldest s")
    body = [
        (
            f"{one.at_s:.0f}",
            f"{one.server_mb:.1f}",
            number(one.server_cpu),
            f"{one.fleet.heap_mb:.2f}",
            str(one.fleet.nodes),
            f"{one.vehicle.heap_mb:.2f}",
            str(one.vehicle.nodes),
            number(one.browser_cpu),
            number(one.oldest_s),
        )
        for one in samples
    ]
    return markdown_table(head, body)
