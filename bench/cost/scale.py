"""One topside process against ever more vehicles: its processor time per exchange, its memory, its pace."""

from __future__ import annotations

import tempfile
import time
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.cost.fleet import answered, new_counter
from bench.peers.conditions import CONDITIONS
from bench.peers.processes import Programs
from bench.peers.setup import Setup

if TYPE_CHECKING:
    from bench.peers.processes import Program

_STEADY = 0.03
"""The bursts of the beginning are over once a second's exchanges are as many as wanted, to this share."""
_LONGEST_WARM_UP_S = 60.0
_FEWEST_BURST = 8


class Size(NamedTuple):
    """A fleet: how many vehicles, how many exchanges a second with each."""

    vehicles: int
    rate_hz: float

    @property
    def wanted_hz(self) -> float:
        return self.vehicles * self.rate_hz


class Load(NamedTuple):
    """What it took: us of CPU per exchange of topside, of the broker and of the vehicles' stand-in."""

    vehicles: int
    rate_hz: float
    achieved_hz: float
    topside_us: float
    broker_us: float
    fleet_us: float
    topside_mb: float

    @property
    def pace(self) -> float:
        """Share of the wanted exchanges that were made."""
        return self.achieved_hz / (self.vehicles * self.rate_hz)


def load(size: Size, seconds: float, warm_up_s: float = 0.0) -> Load:
    """Start broker, fleet and topside; measure for so long, `warm_up_s` after the first bursts."""
    with tempfile.TemporaryDirectory(prefix="bench-cost-") as made, Programs(Path(made)) as programs:
        setup = Setup(programs, CONDITIONS["idle"], seconds, seed=0)
        port = setup.mosquitto_port
        setup.open_links()
        counter = new_counter(setup.folder / "answered", size.vehicles)
        fleet = programs.python("fleet", "bench.cost.fleet", port, size.vehicles, counter)
        options = ("--broker", f"mqtt://127.0.0.1:{port}", "--rate", size.rate_hz, "--burst", _FEWEST_BURST)
        topside = programs.python("topside", "tidesync", "-q", "topside", "--topside", "topside", *options)
        _wait_until_steady(counter, size)
        time.sleep(warm_up_s)
        measured = _measured((topside, setup.broker, fleet), counter, size, seconds)
        setup.check()
        return measured


def _wait_until_steady(counter: Path, size: Size) -> None:
    """Every vehicle has had its burst, and two seconds in a row brought what they should."""
    deadline_s, steady = time.monotonic() + _LONGEST_WARM_UP_S, 0
    while steady < 2 and time.monotonic() < deadline_s:
        before = answered(counter)
        time.sleep(1.0)
        now = answered(counter)
        as_wanted = abs(now - before - size.wanted_hz) <= _STEADY * size.wanted_hz + 2
        steady = steady + 1 if as_wanted and now >= _FEWEST_BURST * size.vehicles else 0


def _measured(programs: tuple[Program, Program, Program], counter: Path, size: Size, seconds: float) -> Load:
    began_s, made = time.monotonic(), answered(counter)
    before = [program.cpu_ns() for program in programs]
    time.sleep(seconds)
    after = [program.cpu_ns() for program in programs]
    took_s, made = time.monotonic() - began_s, answered(counter) - made
    used_ns = [end - begin for begin, end in zip(before, after, strict=True)]
    topside_us, broker_us, fleet_us = (ns / 1e3 / made if made else nan for ns in used_ns)
    memory_mb = programs[0].memory_mb()
    return Load(size.vehicles, size.rate_hz, made / took_s, topside_us, broker_us, fleet_us, memory_mb)
