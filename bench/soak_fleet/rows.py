"""Rows that each vehicle stamped all along, corrected afterwards and held against the truth."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from bench.soak_fleet.clocks import S, asleep_until_ns
from bench.soak_fleet.plan import TOPSIDES, VEHICLES
from schemas.instants import iso_from_ns, ns_from_utc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.soak_fleet.fleet import Fleet
    from bench.soak_recorder.verdict import Verdict

_EVERY_NS = 20_000_000
_ANSWERED = ("ok", "holdover")
_DOUBTS = ("two vehicles were named ", "no row could be corrected while the clocks were measured")
"""A clock that shows most of the session's times twice leaves every row of its table ambiguous."""


def check_rows(verdict: Verdict, fleet: Fleet) -> None:
    """By `starboard`, which was one process all along, against the truth of its clock."""
    instance = fleet.observer.instance_of(fleet.programs[TOPSIDES[1]].lives[0].pid)
    for vehicle in VEHICLES:
        table = fleet.folder / f"{vehicle}.csv"
        rows = (f"{iso_from_ns(pi_ns)},{topside_ns}\n" for pi_ns, topside_ns in _stamped(fleet, vehicle))
        table.write_text("timestamp,base\n" + "".join(rows))
        answer = fleet.folder / "corrected" / vehicle
        command = [
            sys.executable,
            "-m",
            "tidesync",
            "correct",
            str(fleet.recorded.path),
            "--file",
            str(table),
        ]
        command += [
            "--vehicle",
            vehicle,
            "--topside",
            TOPSIDES[1],
            "--instance",
            instance,
            "--output",
            str(answer),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode and not (done.returncode == 1 and _is_named(done.stderr)):
            verdict.failures.append(f"correct, {vehicle}: {done.stderr[-500:]}")
        else:
            _check(verdict, vehicle, next(answer.rglob(f"{vehicle}.topside.csv")))
    answered = sum(verdict.figures.get(f"{vehicle}: rows answered", 0) for vehicle in VEHICLES)
    verdict.note("rows answered, of all vehicles", answered, at_least=1)


def _is_named(complaints: str) -> bool:
    """Whether `correct` complains only of a doubt that it names: whose rows they are, or of what time."""
    lines = [line for line in complaints.splitlines() if line.startswith("tidesync: ")]
    return bool(lines) and all(any(doubt in line for doubt in _DOUBTS) for line in lines)


def _stamped(fleet: Fleet, vehicle: str) -> Iterator[tuple[int, int]]:
    """(the vehicle's stamp, topside's realtime) while a process of the vehicle was alive and awake."""
    topside = fleet.programs[TOPSIDES[1]].lives[0].clock
    assert topside is not None
    for life in fleet.programs[vehicle].lives:
        if (clock := life.clock) is None:
            continue  # it was killed before it ran
        for at_ns in range(clock.started_raw_ns + S, life.ended_raw_ns or fleet.ended_raw_ns, _EVERY_NS):
            if not asleep_until_ns(clock, at_ns):
                yield clock.realtime_at(at_ns), topside.realtime_at(at_ns)


def _check(verdict: Verdict, vehicle: str, path: Path) -> None:
    states: Counter[str] = Counter()
    wrong = 0
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            states[row["time_state"]] += 1
            if row["time_state"] in _ANSWERED:
                error_ns = abs(
                    ns_from_utc(datetime.fromisoformat(row["timestamp_topside"])) - int(row["base"])
                )
                wrong += error_ns > float(row["time_max_error_ms"]) * 1e6 + 1000
    for state, count in sorted(states.items()):
        verdict.note(f"{vehicle}: rows {state}", count)
    verdict.note(f"{vehicle}: rows answered", sum(states[state] for state in _ANSWERED))
    verdict.note(f"{vehicle}: rows wrong", wrong, wanted=0)
