"""The command: a fleet that talks, the dashboard, a browser with its pages; figures printed and written."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import click

from bench.dashboard.browser import Watcher, chromium, cpu_s
from bench.dashboard.document import Figures, Page, Sample, document, verdicts
from bench.dashboard.server import Server, headline, oldest_s
from bench.peers.conditions import CONDITIONS
from bench.peers.processes import Programs
from bench.peers.run import machine
from bench.peers.setup import Setup
from bench.tables import tell

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SECONDS, QUICK_SECONDS = 600.0, 40.0
WARM_UP_S, QUICK_WARM_UP_S = 330.0, 20.0
"""The minutes that the server and a vehicle's page keep by the second are full by then."""
EVERY_S = 10.0
SIZES = {"laptop": (1366, 768), "phone": (390, 844)}
_SCROLL_S = 5.0
_HERE = Path(__file__).parents[2]
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


class Plan(NamedTuple):
    """How many vehicles, how often each has a result, for how long."""

    vehicles: int
    rate_hz: float
    seconds: float
    warm_up_s: float


@click.command()
@click.option("--quick", is_flag=True, help="About a minute.")
@click.option("--vehicles", default=1000, show_default=True)
@click.option("--rate", default=1.0, show_default=True, help="Results a second of each vehicle.")
@click.option("--base", type=_FOLDER, help="A checkout of an earlier version, measured beside it.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the tables here.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here.")
def main(
    *,
    quick: bool,
    vehicles: int,
    rate: float,
    base: Path | None,
    markdown: Path | None,
    json_path: Path | None,
) -> None:
    """Measure what the dashboard takes of memory and processor; exits with 1 where a limit is not kept."""
    times = (QUICK_SECONDS, QUICK_WARM_UP_S) if quick else (SECONDS, WARM_UP_S)
    figures = measure(Plan(vehicles, rate, *times), base)
    tell(figures, document(figures), markdown, json_path)
    sys.exit(0 if all(verdict.kept for verdict in figures.verdicts) else 1)


def measure(plan: Plan, base: Path | None) -> Figures:
    """Start everything, let it warm up, measure every ten seconds, then open the pages again."""
    with tempfile.TemporaryDirectory(prefix="bench-dashboard-") as made, Programs(Path(made)) as programs:
        setup = Setup(programs, CONDITIONS["idle"], plan.seconds, seed=0)
        broker = setup.mosquitto_port
        setup.open_links()
        server = Server(programs, "dashboard", broker, _HERE, "api/events?deltas=true")
        before = Server(programs, "base", broker, base, "api/events") if base else None
        programs.python("chatter", "bench.dashboard.chatter", broker, plan.vehicles, plan.rate_hz)
        with chromium() as browser:
            samples = _samples(browser, server, before, plan)
            pages = {name: _page(browser, server, size) for name, size in SIZES.items()}
        setup.check()
    rest = median(one.base_cpu[0] for one in samples) if before else None
    return Figures(machine(), *plan, samples, pages, rest, verdicts(samples, pages))


def _samples(browser: Browser, server: Server, before: Server | None, plan: Plan) -> list[Sample]:
    fleet = Watcher(browser, f"{server.url}#/", "tbody .name", SIZES["laptop"])
    vehicle = Watcher(browser, f"{server.url}#/vehicle/rov0000/bench", ".graph .js-line")
    fleet.page.wait_for_timeout(plan.warm_up_s * 1000)
    samples: list[Sample] = []
    began_s, browser_s = time.monotonic(), cpu_s(browser)
    for one in filter(None, (server, before)):
        one.since(began_s)
    while not samples or samples[-1].at_s < plan.seconds:
        until_s = began_s + EVERY_S * (len(samples) + 1)
        fleet.page.wait_for_timeout(max(0.0, until_s - time.monotonic()) * 1000)
        now_s, used_s = time.monotonic(), cpu_s(browser)
        cpu, bytes_s = server.since(now_s)
        base_cpu = () if before is None else before.since(now_s)[:1]
        shown, rows = fleet.headline(), server.vehicles()
        wanted = headline(rows)
        since_s = now_s - began_s - (samples[-1].at_s if samples else 0.0)
        samples.append(
            Sample(
                at_s=now_s - began_s,
                server_mb=server.memory_mb,
                server_cpu=cpu,
                base_cpu=base_cpu,
                stream_kb_s=bytes_s / 1e3,
                fleet=fleet.heap(),
                vehicle=vehicle.heap(),
                browser_cpu=(used_s - browser_s) * 100 / since_s,
                oldest_s=oldest_s(rows),
                missing=plan.vehicles - (shown[0] if shown else 0),
                differs=abs(wanted.locked - shown[1]) if shown else plan.vehicles,
            )
        )
        browser_s = used_s
        click.echo(f"{samples[-1].at_s:5.0f} s  server {cpu:.2f} %", err=True)
    fleet.page.close()
    vehicle.page.close()
    return samples


def _page(browser: Browser, server: Server, size: tuple[int, int]) -> Page:
    began_s = time.monotonic()
    page = Watcher(browser, f"{server.url}#/", "tbody .name", size)
    shown_s = time.monotonic() - began_s
    fleet_bytes = page.loaded_bytes()
    page.page.wait_for_timeout(2000)
    frames = page.frames(_SCROLL_S)
    rows = page.page.locator("tbody .name").count()
    vehicle_s = page.look_at_worst()
    both_bytes = page.loaded_bytes()
    page.page.close()
    return Page(shown_s, fleet_bytes, frames, rows, vehicle_s, both_bytes)
