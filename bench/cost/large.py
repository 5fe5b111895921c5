"""Fleets of thousands: what an exchange costs topside at age, and whether it measures as often as it says.

The vehicles come online once every topside is connected and its memory was read. Then they age; then costs
are taken from the kernel's accounts; then, in a window of its own, the exchanges of each vehicle are counted
beside the rate that its results say.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from bench.cost.fleet import answered, answered_by_each, new_counter
from bench.cost.reported import Reported
from bench.peers.conditions import CONDITIONS
from bench.peers.processes import LOOPBACK, NotReadyError, Programs, free_port, wait_until
from bench.peers.setup import Setup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.peers.processes import Program

_COST_S, _REPORTED_S = 60.0, 30.0
_QUIET_S = 4.0
_BURST = 8
_ALL_ONLINE_S = 300.0
_KEPT_BYTES = 80
"""Of an exchange in the backlog."""
_KEPT_S = 600.0
"""For so long."""
_APART, _FEW = 0.1, 2.0
"""A vehicle is measured as often as it says if its count differs by no more than this share, or so many."""
_CONNECTED = re.compile(r"^tidesync_broker_connected(\{.*\})? 1", re.MULTILINE)
_TIMEOUTS = re.compile(r"^tidesync_timeouts_total\{.*\} (\d+)", re.MULTILINE)


class Case(NamedTuple):
    """So many vehicles, measured once a second by so many topsides of one group; how old they get before."""

    vehicles: int
    topsides: int
    age_s: float


CASES = {"1000": Case(1000, 1, 600.0), "3000": Case(3000, 1, 90.0), "group": Case(3000, 3, 300.0)}
"""By what `--only` takes; about 23 minutes in all."""


class Large(NamedTuple):
    """What one took: us of CPU per exchange of all topsides, the broker and the stand-in."""

    name: str
    vehicles: int
    topsides: int
    age_s: float
    load_before: float
    achieved_hz: float
    topside_us: float
    broker_us: float
    fleet_us: float
    most_busy: float
    """The share of a processor that the busiest topside took."""
    vehicle_mb: float
    """Resident memory above that before any was online, less the backlog's exchanges."""
    reported_hz: float
    """The mean of the rates that results reported."""
    as_reported: float
    """The share of the vehicles that were measured as often as that."""
    timeouts: int
    """From the end of the ageing on."""


def large(name: str, case: Case, cost_s: float = _COST_S, reported_s: float = _REPORTED_S) -> Large:
    """Run one."""
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-cost-") as made, Programs(Path(made)) as programs:
        setup = Setup(programs, CONDITIONS["idle"], case.age_s, seed=0)
        port = setup.mosquitto_port
        setup.open_links()
        ports = [free_port() for _ in range(case.topsides)]
        topsides = [_topside(programs, case, port, number, ports[number]) for number in range(case.topsides)]
        wait_until(lambda: all(map(_is_connected, ports)), "the topsides", 120.0)
        time.sleep(_QUIET_S)
        empty_mb = sum(topside.memory_mb() for topside in topsides)
        counter = new_counter(setup.folder / "answered", case.vehicles)
        fleet = programs.python("fleet", "bench.cost.fleet", port, case.vehicles, counter)
        wait_until(lambda: min(answered_by_each(counter)) >= _BURST, "every vehicle's burst", _ALL_ONLINE_S)
        time.sleep(case.age_s)
        setup.check()
        timed_out = sum(map(_timeouts, ports))
        taken = _cost((*topsides, setup.broker, fleet), counter, cost_s)
        kept = (
            min(_KEPT_S, time.monotonic() - taken.began_s + case.age_s) * taken.achieved_hz
            + _BURST * case.vehicles
        )
        grown_mb = sum(topside.memory_mb() for topside in topsides) - empty_mb
        reported, exchanges = _reported(port, counter, reported_s)
        setup.check()
        timed_out = sum(map(_timeouts, ports)) - timed_out
        each_us = taken.each_us
        rates = [rate for rate in reported.values() if rate]
        return Large(
            name=name,
            vehicles=case.vehicles,
            topsides=case.topsides,
            age_s=case.age_s,
            load_before=load_before,
            achieved_hz=taken.achieved_hz,
            topside_us=sum(each_us[: case.topsides]),
            broker_us=each_us[-2],
            fleet_us=each_us[-1],
            most_busy=max(each_us[: case.topsides]) * taken.achieved_hz / 1e6,
            vehicle_mb=(grown_mb - kept * _KEPT_BYTES / 1e6) / case.vehicles,
            reported_hz=fmean(rates) if rates else float("nan"),
            as_reported=as_reported(reported, exchanges, reported_s),
            timeouts=timed_out,
        )


def as_reported(reported: Mapping[int, float | None], exchanges: Sequence[int], seconds: float) -> float:
    """The share of the vehicles whose `exchanges` in so many `seconds` are what the rates `reported` make."""
    kept = 0
    for number, count in enumerate(exchanges):
        wanted = (reported.get(number) or 0.0) * seconds
        kept += wanted > 0 and abs(count - wanted) <= max(_FEW, _APART * wanted)
    return kept / len(exchanges)


class _Cost(NamedTuple):
    began_s: float
    achieved_hz: float
    each_us: Sequence[float]


def _cost(programs: Sequence[Program], counter: Path, seconds: float) -> _Cost:
    began_s, made = time.monotonic(), answered(counter)
    before = [program.cpu_ns() for program in programs]
    time.sleep(seconds)
    after = [program.cpu_ns() for program in programs]
    took_s, made = time.monotonic() - began_s, answered(counter) - made
    used_us = [(end - begin) / 1e3 / max(made, 1) for begin, end in zip(before, after, strict=True)]
    return _Cost(began_s, made / took_s, used_us)


def _reported(port: int, counter: Path, seconds: float) -> tuple[Mapping[int, float | None], Sequence[int]]:
    """The mean of the rates that each vehicle's results reported meanwhile, and its exchanges."""
    with Reported(port) as reported:
        before = answered_by_each(counter)
        time.sleep(seconds)
        after = answered_by_each(counter)
        return reported.rates(), [end - begin for begin, end in zip(before, after, strict=True)]


def _topside(programs: Programs, case: Case, port: int, number: int, metrics_port: int) -> Program:
    options = ["--broker", f"mqtt://{LOOPBACK}:{port}", "--rate", 1, "--burst", _BURST]
    options += ["--metrics-port", metrics_port, "--clock-journal", "none"]
    options += ["--group", "bench"] if case.topsides > 1 else []
    name = f"topside{number}"
    return programs.python(name, "tidesync", "-q", "topside", "--topside", name, *options)


def _metrics(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=30) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _is_connected(port: int) -> bool:
    return _CONNECTED.search(_metrics(port)) is not None


def _timeouts(port: int) -> int:
    text = _metrics(port)
    if not text:
        raise NotReadyError(f"a topside gives no metrics on port {port}")
    return sum(map(int, _TIMEOUTS.findall(text)))
