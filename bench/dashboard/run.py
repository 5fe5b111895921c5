"""The command: a fleet that talks, the dashboard, a browser with two pages; figures printed and written."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from bench.dashboard.browser import Watcher, chromium, cpu_s
from bench.dashboard.document import Figures, Sample, document, verdicts
from bench.peers.conditions import CONDITIONS
from bench.peers.processes import Programs, free_port, wait_until_listening
from bench.peers.run import machine
from bench.peers.setup import Setup
from bench.tables import tell

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from bench.peers.processes import Program

SECONDS, QUICK_SECONDS = 300.0, 40.0
WARM_UP_S, QUICK_WARM_UP_S = 660.0, 10.0
"""The ten minutes that the server and a vehicle's page keep by the second are full by then."""
EVERY_S = 10.0


class Plan(NamedTuple):
    """How many vehicles, how often each has a result, for how long."""

    vehicles: int
    rate_hz: float
    seconds: float
    warm_up_s: float


@click.command()
@click.option("--quick", is_flag=True, help="Less than a minute.")
@click.option("--vehicles", default=50, show_default=True)
@click.option("--rate", default=4.0, show_default=True, help="Results a second of each vehicle.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the tables here.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here.")
def main(*, quick: bool, vehicles: int, rate: float, markdown: Path | None, json_path: Path | None) -> None:
    """Measure what the dashboard takes of memory and processor; exits with 1 where a limit is not kept."""
    times = (QUICK_SECONDS, QUICK_WARM_UP_S) if quick else (SECONDS, WARM_UP_S)
    figures = measure(Plan(vehicles, rate, *times))
    tell(figures, document(figures), markdown, json_path)
    sys.exit(0 if all(verdict.kept for verdict in figures.verdicts) else 1)


def measure(plan: Plan) -> Figures:
    """Start everything, let it warm up, then measure every ten seconds."""
    with tempfile.TemporaryDirectory(prefix="bench-dashboard-") as made, Programs(Path(made)) as programs:
        setup = Setup(programs, CONDITIONS["idle"], plan.seconds, seed=0)
        broker, port = setup.mosquitto_port, free_port()
        setup.open_links()
        options = ("--broker", f"mqtt://127.0.0.1:{broker}", "--port", port)
        server = programs.python("dashboard", "tidesync", "-q", "dashboard", *options)
        programs.python("chatter", "bench.dashboard.chatter", broker, plan.vehicles, plan.rate_hz)
        wait_until_listening(port, "dashboard")
        with chromium() as browser:
            samples = _samples(browser, server, f"http://127.0.0.1:{port}/", plan)
        setup.check()
    return Figures(machine(), *plan, samples, verdicts(samples))


def _samples(browser: Browser, server: Program, url: str, plan: Plan) -> list[Sample]:
    fleet = Watcher(browser, f"{url}#/", f"tbody tr:nth-child({plan.vehicles})")
    vehicle = Watcher(browser, f"{url}#/vehicle/rov00/bench", ".graph .js-line")
    fleet.page.wait_for_timeout(plan.warm_up_s * 1000)
    samples: list[Sample] = []
    began_s, server_ns, browser_s = time.monotonic(), server.cpu_ns(), cpu_s(browser)
    while not samples or samples[-1].at_s < plan.seconds:
        until_s = began_s + EVERY_S * (len(samples) + 1)
        fleet.page.wait_for_timeout(max(0.0, until_s - time.monotonic()) * 1000)
        at_s, used_ns, used_s = time.monotonic() - began_s, server.cpu_ns(), cpu_s(browser)
        since_s = at_s - (samples[-1].at_s if samples else 0.0)
        samples.append(
            Sample(
                at_s,
                server.memory_mb(),
                (used_ns - server_ns) / 1e7 / since_s,
                fleet.heap(),
                vehicle.heap(),
                (used_s - browser_s) * 100 / since_s,
                _oldest_s(url),
            )
        )
        server_ns, browser_s = used_ns, used_s
        click.echo(f"{at_s:5.0f} s  server {samples[-1].server_mb:.1f} MB", err=True)
    return samples


def _oldest_s(url: str) -> float:
    """How old the oldest of all newest results is: the server is not behind."""
    with urllib.request.urlopen(f"{url}api/vehicles", timeout=5) as answer:  # noqa: S310 - our own
        rows = json.load(answer)["vehicles"]
    return max(float(row["result_age_s"]) for row in rows)
