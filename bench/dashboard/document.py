"""docs/lab/bench-dashboard.md and .json: what must be kept, the pages, and the figures over time."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.peers.document import verdict_table
from bench.peers.verdicts import Verdict
from bench.tables import markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.dashboard.browser import Frames, Heap

SERVER_CPU = 3.0
LOADED_MB = 1.0
FRAME_MS = 1000 / 30
VEHICLE_S = 1.0
SERVER_GROWTH_MB = 12.0
"""The hours before the last minutes, kept coarsely, still fill: 0.48 MB a minute for a thousand vehicles."""
FLEET_GROWTH_MB, VEHICLE_GROWTH_MB = 2.0, 5.0
"""Plotly's cache of texts is some 4 MB, and may fill while it is measured."""
NODE_GROWTH = 500
"""Some removed nodes wait for their collection; one leaked at each result would be 600 000."""
BEHIND_S = 2.0
"""A result each second, read ten times a second, on a busy machine."""
DIFFERS = 5
"""Vehicles that change their state, about one each second, while page and list are asked."""


class Sample(NamedTuple):
    """What was used at one moment; processor as a share of one core since the sample before, in %."""

    at_s: float
    server_mb: float
    server_cpu: float
    base_cpu: tuple[float, ...]
    """Of the earlier version, where one is measured."""
    stream_kb_s: float
    fleet: Heap
    vehicle: Heap
    browser_cpu: float
    oldest_s: float
    missing: int
    """Vehicles of which the page's first line does not speak."""
    differs: int
    """By how many the page's and the list's locked vehicles differ."""


class Page(NamedTuple):
    """A page that is opened again, scrolled, and left for the vehicle in its first row."""

    shown_s: float
    fleet_bytes: int
    frames: Frames
    rows: int
    """That existed after scrolling."""
    vehicle_s: float
    both_bytes: int


class Figures(NamedTuple):
    """Everything that a run measured."""

    machine: str
    vehicles: int
    rate_hz: float
    seconds: float
    warm_up_s: float
    samples: Sequence[Sample]
    pages: Mapping[str, Page]
    base_cpu: float | None
    verdicts: Sequence[Verdict]


_INTRODUCTION = """# What the dashboard costs

Made by `make bench-dashboard` on {machine}.
{vehicles} vehicles have {rate:g} results a second each, for {seconds:g} s after {warm_up:g} s of warming up.
One `tidesync dashboard` receives them through mosquitto and streams them to a reader and to one Chromium,
which shows the fleet in one page and the curves of a vehicle in another. Heaps are what is left after a
collection. Processor is a share of one core; Chromium draws in software here.

## What it must show

Growth is from the median of the first quarter to the median of the last, the others are medians or the
worst of both sizes of window.
"""
_BASE = """
At the same time, from the same broker, commit 8becb8cc took {base:.2f} % with one reader of its stream of
whole rows and no browser, and knew 300 results at a time: {ratio:.2f} of it is what this version takes.
"""
_WHERE = """
## Where the server's time goes

Of 1000 results a second, in runs of its own on the same machine, with a load of ten: the network thread
takes 16 µs a result, all pages together 7 µs, and what goes on without results 4.5 ms a second. A result
whose words are those of the last one is compared with a pattern (2 µs instead of 9 to decode it), its
history takes 3 µs; the numbers' text is made once for all pages, and pages at the same version get the same
message: a second and a third page took 0.5 µs each. Reading five times a second instead of ten, 64 KiB at a
time gave some µs more. Before that it was 35 µs and 12 µs a page; with a read and an acknowledgement of each
message 85 µs, with whole rows 43 µs more. A list of all vehicles by the interface, which is asked for here
every ten seconds, takes 43 ms.
"""
_PAGES = """
## Pages, opened again

`first row`: seconds from the request to the first row. Bytes are on the wire, the stream left out; `both` has
the vehicle's page with Plotly. `rows`: rows of the table that existed after scrolling by some 30 rows a
second for five seconds. `vehicle`: seconds from a click until the curves were drawn.
"""
_OVER_TIME = """
## Over time

`KB/s`: of the stream to one page. `oldest`: the age of the oldest of all vehicles' newest results, as the
server reports it. `missing`: vehicles of which the page's first line does not speak; `differs`: by how many
its locked ones differ from the server's list. The vehicle page's heap rises and falls: Plotly caches the
sizes of 10 000 texts, some 4 MB, then clears the cache.
"""


def verdicts(samples: Sequence[Sample], pages: Mapping[str, Page]) -> list[Verdict]:
    """What was promised of a thousand vehicles, and whether memory stayed flat."""
    heaps = _growth(samples, lambda one: one.fleet.heap_mb), _growth(samples, lambda one: one.vehicle.heap_mb)
    return [
        Verdict("server: processor, % of a core", median(one.server_cpu for one in samples), SERVER_CPU),
        Verdict("fleet page: loaded, MB", max(one.fleet_bytes for one in pages.values()) / 1e6, LOADED_MB),
        Verdict("with a vehicle's page, MB", max(one.both_bytes for one in pages.values()) / 1e6, LOADED_MB),
        Verdict(
            "a frame while scrolling, ms", max(1000 / one.frames.per_s for one in pages.values()), FRAME_MS
        ),
        Verdict("vehicle's page, s", max(one.vehicle_s for one in pages.values()), VEHICLE_S),
        Verdict("headline: vehicles missing, at most", max(one.missing for one in samples), 0),
        Verdict("headline: locked ones differ by, at most", max(one.differs for one in samples), DIFFERS),
        Verdict("server: oldest result, s", median(one.oldest_s for one in samples), BEHIND_S),
        Verdict(
            "server: resident memory grew by, MB",
            _growth(samples, lambda one: one.server_mb),
            SERVER_GROWTH_MB,
        ),
        Verdict("fleet page: heap grew by, MB", heaps[0], FLEET_GROWTH_MB),
        Verdict("vehicle page: heap grew by, MB", heaps[1], VEHICLE_GROWTH_MB),
        Verdict("fleet page: nodes grew by", _growth(samples, lambda one: one.fleet.nodes), NODE_GROWTH),
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
    parts = [introduction, verdict_table(figures.verdicts)]
    if figures.base_cpu is not None:
        ours = median(one.server_cpu for one in figures.samples)
        parts.append(_BASE.format(base=figures.base_cpu, ratio=ours / figures.base_cpu))
    return "\n".join(
        [*parts, _WHERE, _PAGES, _opened(figures.pages), _OVER_TIME, _table(figures.samples), ""]
    )


def _opened(pages: Mapping[str, Page]) -> str:
    head = ("window", "first row", "KB", "KB both", "frames/s", "longest ms", "rows", "vehicle")
    body = [
        (
            name,
            number(one.shown_s),
            number(one.fleet_bytes / 1e3),
            number(one.both_bytes / 1e3),
            number(one.frames.per_s),
            number(one.frames.longest_ms),
            str(one.rows),
            number(one.vehicle_s),
        )
        for name, one in pages.items()
    ]
    return markdown_table(head, body)


def _table(samples: Sequence[Sample]) -> str:
    server = ("server MB", "server %", "KB/s")
    pages = ("fleet page MB", "nodes", "vehicle page MB", "nodes")
    head = ("s", *server, *pages, "Chromium %", "oldest s", "missing", "differs")
    body = [
        (
            f"{one.at_s:.0f}",
            f"{one.server_mb:.1f}",
            number(one.server_cpu),
            number(one.stream_kb_s),
            f"{one.fleet.heap_mb:.2f}",
            str(one.fleet.nodes),
            f"{one.vehicle.heap_mb:.2f}",
            str(one.vehicle.nodes),
            number(one.browser_cpu),
            number(one.oldest_s),
            str(one.missing),
            str(one.differs),
        )
        for one in samples
    ]
    return markdown_table(head, body)
