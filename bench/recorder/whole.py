"""Broker, topside, recorder, dashboard and a browser together, with a thousand vehicles: what each takes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import click

from bench.cost.fleet import answered, new_counter
from bench.dashboard.browser import Watcher, chromium, cpu_s
from bench.dashboard.document import DIFFERS, FRAME_MS, LOADED_MB, SERVER_CPU, VEHICLE_S, Page
from bench.dashboard.run import EVERY_S, SIZES
from bench.dashboard.run import _page as opened_again
from bench.dashboard.server import Server, headline, oldest_s
from bench.peers.document import verdict_table
from bench.peers.processes import NotReadyError, Programs, wait_until
from bench.peers.run import machine
from bench.peers.verdicts import Verdict
from bench.recorder.lines import counted
from bench.recorder.run import MISSION, SESSION, Recorder, ended, started_broker
from bench.tables import markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from playwright.sync_api import Browser

    from bench.peers.processes import Program

SECONDS, QUICK_SECONDS = 600.0, 40.0
MOST_CPU, MOST_GB_H = 15.0, 0.4
ANSWERED_S, BEHIND_S = 3.0, 7.0
"""A result of a vehicle that rests comes every 5 s."""
_LOCKED_S = 180.0
_WARM_UP_S = 20.0
_RATE_HZ = 1
_ROOT = Path(__file__).parents[2]


class Sample(NamedTuple):
    """One moment; processor as a share of one core since the sample before, in %, by program."""

    at_s: float
    cpu: Mapping[str, float]
    exchanges_hz: float
    missing: int
    """Vehicles of which the page's first line does not speak."""
    differs: int
    """By how many the page's and the list's locked vehicles differ."""
    oldest_s: float


class Ending(NamedTuple):
    """What the end of the session shows."""

    answered_s: float
    closed_s: float
    missing: int
    """By the recorder's count."""
    recorded: int
    skipped: int
    """By the lines of the journal."""
    gaps: int


class Whole(NamedTuple):
    """All of a run."""

    machine: str
    load_before: float
    vehicles: int
    seconds: float
    samples: Sequence[Sample]
    memory_mb: Mapping[str, float]
    pages: Mapping[str, Page]
    written_gb_h: float
    ending: Ending
    verdicts: Sequence[Verdict]


class _Scene:
    """The programs of a run, and what was used of them since the last question."""

    def __init__(self, programs: Programs, vehicles: int) -> None:
        mosquitto, port = started_broker(programs)
        self.counter = new_counter(programs.folder / "answered")
        fleet = programs.python("vehicles", "bench.cost.fleet", port, vehicles, self.counter)
        options = ("--broker", f"mqtt://127.0.0.1:{port}", "--rate", _RATE_HZ, "--topside", "topside")
        topside = programs.python("topside", "tidesync", "-q", "topside", *options)
        self.recorder = Recorder(programs, programs.folder, port, _ROOT)
        self.server = Server(programs, "dashboard", port, _ROOT, "api/events?deltas=true")
        self.programs: Mapping[str, Program] = {
            "mosquitto": mosquitto,
            "vehicles": fleet,
            "topside": topside,
            "recorder": self.recorder.program,
            "dashboard": self.server.program,
        }
        self._at: tuple[float, int, Mapping[str, float]] | None = None

    def since(self, browser: Browser) -> tuple[Mapping[str, float], float]:
        """Each program's share of a core in %, and exchanges a second, since this was asked last."""
        used = {name: program.cpu_ns() / 1e7 for name, program in self.programs.items()}
        used["Chromium"] = cpu_s(browser) * 100
        before, self._at = self._at, (time.monotonic(), answered(self.counter), used)
        if before is None:
            return {}, float("nan")
        seconds = self._at[0] - before[0]
        shares = {name: (each - before[2][name]) / seconds for name, each in used.items()}
        return shares, (self._at[1] - before[1]) / seconds


def measure_whole(vehicles: int, seconds: float, load_before: float) -> Whole:
    """Record a session of so long while a browser shows the fleet and a vehicle."""
    with tempfile.TemporaryDirectory(prefix="bench-whole-") as made, Programs(Path(made)) as programs:
        scene = _Scene(programs, vehicles)
        wait_until(lambda: headline(scene.server.vehicles()).locked == vehicles, "the fleet", _LOCKED_S)
        scene.recorder.session("start", "--mission", MISSION, "--name", SESSION)
        with chromium() as browser:
            written, began_s = scene.recorder.written(), time.monotonic()
            samples = _samples(scene, browser, vehicles, seconds)
            gb_h = (scene.recorder.written() - written) / 1e9 * 3600 / (time.monotonic() - began_s)
            pages = {name: opened_again(browser, scene.server, size) for name, size in SIZES.items()}
        memory_mb = {name: program.memory_mb() for name, program in scene.programs.items()}
        _, answered_s, closed_s, missing = ended(scene.recorder)
        if dead := programs.dead():
            raise NotReadyError(f"{', '.join(dead)} ended")
        lines = counted(scene.recorder.folder)
        ending = Ending(answered_s, closed_s, missing, lines.recorded, lines.skipped, lines.gaps)
        verdicts = _verdicts(vehicles, samples, pages, gb_h, ending)
        about = (machine(), load_before, vehicles, seconds)
        return Whole(*about, samples, memory_mb, pages, gb_h, ending, verdicts)


def _samples(scene: _Scene, browser: Browser, vehicles: int, seconds: float) -> list[Sample]:
    fleet = Watcher(browser, f"{scene.server.url}#/", "tbody .name", SIZES["laptop"])
    vehicle = Watcher(browser, f"{scene.server.url}#/vehicle/rov0/topside", ".graph .js-line")
    fleet.page.wait_for_timeout(_WARM_UP_S * 1000)
    scene.since(browser)
    samples: list[Sample] = []
    began_s = time.monotonic()
    while not samples or samples[-1].at_s < seconds:
        until_s = began_s + EVERY_S * (len(samples) + 1)
        fleet.page.wait_for_timeout(max(0.0, until_s - time.monotonic()) * 1000)
        cpu, made_hz = scene.since(browser)
        shown, rows = fleet.headline() or [0, 0], scene.server.vehicles()
        differs = abs(headline(rows).locked - shown[1])
        at_s, missing = time.monotonic() - began_s, vehicles - shown[0]
        samples.append(Sample(at_s, cpu, made_hz, missing, differs, oldest_s(rows)))
        click.echo(f"{at_s:5.0f} s  recorder {cpu['recorder']:.1f} %", err=True)
    fleet.page.close()
    vehicle.page.close()
    return samples


def _verdicts(
    vehicles: int, samples: Sequence[Sample], pages: Mapping[str, Page], gb_h: float, ending: Ending
) -> list[Verdict]:
    def usual(name: str) -> float:
        return median(one.cpu[name] for one in samples)

    shown = pages.values()
    unmeasured = 1 - median(one.exchanges_hz for one in samples) / (vehicles * _RATE_HZ)
    return [
        Verdict("recorder: processor, % of a core", usual("recorder"), MOST_CPU),
        Verdict("recorder: written, GB an hour", gb_h, MOST_GB_H),
        Verdict("recorder: exchanges missing, by its own count", ending.missing, 0),
        Verdict("recorder: numbers that no line has", ending.skipped, 0),
        Verdict("recorder: gaps", ending.gaps, 0),
        Verdict("recorder: stop answered after, s", ending.answered_s, ANSWERED_S),
        Verdict("dashboard: processor, % of a core", usual("dashboard"), SERVER_CPU),
        Verdict("dashboard: loaded, MB", max(one.fleet_bytes for one in shown) / 1e6, LOADED_MB),
        Verdict("a frame while scrolling, ms", max(1000 / one.frames.per_s for one in shown), FRAME_MS),
        Verdict("vehicle's page, s", max(one.vehicle_s for one in shown), VEHICLE_S),
        Verdict("headline: vehicles missing, at most", max(one.missing for one in samples), 0),
        Verdict("headline: locked ones differ by, at most", max(one.differs for one in samples), DIFFERS),
        Verdict("dashboard: oldest result, s", median(one.oldest_s for one in samples), BEHIND_S),
        Verdict("exchanges not made, share of 1/s", unmeasured, 0.02),
    ]


def whole_document(figures: Whole) -> str:
    """As Markdown."""
    names = list(figures.memory_mb)
    head = [
        "s",
        *(f"{name} %" for name in [*names, "Chromium"]),
        "exchanges/s",
        "missing",
        "differs",
        "oldest s",
    ]
    body = [
        [
            f"{one.at_s:.0f}",
            *(number(one.cpu[name]) for name in [*names, "Chromium"]),
            number(one.exchanges_hz),
            str(one.missing),
            str(one.differs),
            number(one.oldest_s),
        ]
        for one in figures.samples
    ]
    programs = [
        [name, number(median(one.cpu[name] for one in figures.samples)), number(figures.memory_mb.get(name))]
        for name in [*names, "Chromium"]
    ]
    return _PAGE.format(
        machine=figures.machine,
        load=figures.load_before,
        vehicles=figures.vehicles,
        seconds=figures.seconds,
        verdicts=verdict_table(figures.verdicts),
        programs=markdown_table(["program", "% of a core, median", "MB at the end"], programs),
        recorded=figures.ending.recorded,
        closed=number(figures.ending.closed_s),
        samples=markdown_table(head, body),
    )


_PAGE = """# Everything together, with a thousand vehicles

Made by `make bench-whole` on {machine}, whose load was {load:.1f} before.
One mosquitto, one process that answers the pings of {vehicles} vehicles, one topside that measures each once
a second, one recorder, one dashboard with a reader of its stream, and one Chromium with the fleet in one page
and a vehicle's curves in another, for {seconds:g} s of a session, all on this machine. Chromium draws in
software. Figures of the processor are a share of one core.

## What it must show

{verdicts}

{recorded} exchanges were recorded. All was written {closed} s after the stop. The page's and the server's
counts are asked one after the other, and a vehicle may change its state between. `numbers that no line has`
are counted in the journal, apart from the recorder's own count.

## What each takes

{programs}

## Over time

{samples}
"""
