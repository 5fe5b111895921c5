"""All that runs: broker, vehicles, an observer, and topsides of one group, each on a link of its own."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from bench.peers.processes import Programs, installed, wait_until_listening
from bench.soak_fleet.links import Link, Links
from bench.soak_fleet.plan import HOST
from bench.soak_fleet.programs import Program
from bench.soak_group.observer import Observer
from runtime.listener import free_port

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "fleet"
WEIGHTS = {"bridge": 1.0, "lab": 1.0, "shore": 1.0}
_MOSQUITTO = """set_tcp_nodelay true
max_queued_messages 0
listener {port} 127.0.0.1
allow_anonymous true
user root
"""


class Plan(NamedTuple):
    """What is to be done."""

    faults: int = 100
    vehicles: int = 300
    rate_hz: float = 1.0
    seed: int = 1
    patience: float = 1.0
    """So many times the promised times a busy machine may take."""


class Setup:
    """Everything is stopped by `stop`."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.difference_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        self._programs = Programs(folder)
        port = free_port(HOST)
        settings = folder / "mosquitto.conf"
        settings.write_text(_MOSQUITTO.format(port=port), encoding="utf-8")
        self._programs.start("mosquitto", [installed("mosquitto") or "mosquitto", "-c", str(settings)])
        wait_until_listening(port, "mosquitto")
        self.observer = Observer(port, self.difference_ns)
        self._programs.python(
            "vehicles", "bench.soak_group.vehicles", port, plan.vehicles, self.difference_ns
        )
        links = Links(port)
        self.links: dict[str, Link] = {name: links.link() for name in WEIGHTS}
        self.topsides = {name: self._topside(name) for name in WEIGHTS}

    def _topside(self, name: str) -> Program:
        options = {
            "--broker": self.links[name].url,
            "--topside": name,
            "--group": GROUP,
            "--weight": WEIGHTS[name],
            "--rate": self.plan.rate_hz,
            "--burst": 8,
            "--shared-state": "off",
            "--clock-journal": "none",
        }
        command = [sys.executable, "-m", "tidesync", "topside"]
        command += [str(each) for pair in options.items() for each in pair]
        os.environ.setdefault("PYTHONPATH", os.getcwd())  # noqa: PTH109 - of the process
        return Program(name, self.folder, lambda _: command)

    def stop(self) -> None:
        for name, topside in self.topsides.items():
            self.links[name].cut.clear()
            topside.stop()
        self.observer.stop()
        self._programs.__exit__()
