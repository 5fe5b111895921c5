"""A surface's programs without what only POSIX has, and with a wall clock that moves in steps of 15.6 ms.

The truth comes from outside: this process reads the same clocks as they are.
"""

import csv
import json
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.command_line import PROGRAM, tidesync
from tests.deadline import until
from tests.network.recording import until_written
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
STEP_MS = 15.625
LARGEST_MS = 500
"""Of a max error: a program that has to wait as it looks how its clock moves sees several steps as one."""
WITHOUT = {
    "PYTHONPATH": f"{ROOT / 'tests' / 'without_posix'}{os.pathsep}{ROOT}",
    "PYTHONWARNDEFAULTENCODING": "1",
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes from Linux what Windows does not have")


@contextmanager
def program(log, *arguments):
    with log.open("wb") as stream:
        command = [sys.executable, *PROGRAM, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=os.environ | WITHOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def both_clocks_ns():
    """Realtime and RAW at one instant: no other program ran between the two."""
    while True:
        before_ns, now_ns, after_ns = time.perf_counter_ns(), time.time_ns(), time.perf_counter_ns()
        if after_ns - before_ns < 10_000:
            return now_ns, (before_ns + after_ns) // 2


class Vehicle:
    """The truth of a simulated clock; RAW is the performance counter, the same in every process."""

    def __init__(self, path):
        self.truth = json.loads(until(lambda: path.exists() and path.read_text(encoding="utf-8"), 60))

    def realtime_ns(self, raw_ns):
        ran_ns = raw_ns - self.truth["started_raw_ns"]
        drifted_ns = round(ran_ns * self.truth["drift_ppm"] / 1e6)
        return self.truth["started_realtime_ns"] + self.truth["offset_ns"] + ran_ns + drifted_ns

    def offset_ms(self):
        now_ns, raw_ns = both_clocks_ns()
        return (self.realtime_ns(raw_ns) - now_ns) / 1e6


@pytest.fixture
def surface(tmp_path):
    """The programs, once the vehicle is measured; gives the truth, and a function that runs a command."""
    port = free_port("127.0.0.1")
    url = f"mqtt://127.0.0.1:{port}"
    truth = tmp_path / "truth.json"
    simulated = ("--simulate-offset-s", 2.5, "--simulate-drift-ppm", 20, "--simulate-truth", truth)
    commands = {
        "broker": ("broker", "--port", port),
        "pi": ("pi", "--vehicle", "rov1", "--no-http", "--broker", url, *simulated),
        "topside": ("topside", "--topside", "deck", "--broker", url, "--max-error-ms", LARGEST_MS),
        "record": ("record", "--root", tmp_path / "dives", "--broker", url),
    }

    def run(*arguments):
        return tidesync(*arguments, "--broker", url, **WITHOUT)

    with ExitStack() as stack:
        for name, arguments in commands.items():
            stack.enter_context(program(tmp_path / f"{name}.log", *arguments))
        measured = run("wait", "--vehicle", "rov1", "--max-error-ms", LARGEST_MS, "--timeout", 100)
        assert measured.returncode == 0, measured.stderr
        yield Vehicle(truth), run


def row_now(vehicle):
    """A row as the vehicle stamps it, and when that is on the surface's clock, ns."""
    true_ns, raw_ns = both_clocks_ns()
    stamp_ns = vehicle.realtime_ns(raw_ns)
    shown = datetime.fromtimestamp(stamp_ns // 10**9, timezone.utc)
    return f"{shown:%Y-%m-%dT%H:%M:%S}.{stamp_ns // 1000 % 10**6:06d}Z", true_ns


def measured_now(run):
    [shown] = json.loads(run("status", "--json").stdout)["vehicles"]
    return shown["lower_ms"] is not None and shown["max_error_ms"] <= LARGEST_MS and shown


def written_ns(text):
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round((at - datetime.fromtimestamp(0, timezone.utc)).total_seconds() * 1e6) * 1000


def test_a_session_is_measured_recorded_and_corrected_and_no_bound_leaves_out_the_truth(surface, tmp_path):
    vehicle, run = surface
    taken = tidesync("record", "--root", tmp_path / "dives", "--name", "other", **WITHOUT)
    assert (taken.returncode, "in use by another recorder" in taken.stderr) == (2, True), taken.stderr

    asked = ("--mission", "reef", "--sensor", "inWater=rov1", "--timeout", 60)
    started = run("session", "start", *asked, "--json")
    assert started.returncode == 0, started.stderr
    state = json.loads(started.stdout)
    folder = tmp_path / "dives" / state["path"]
    rows = []
    exchanges = folder / "time_sync" / "exchanges.jsonl"
    while len(rows) < 10 or exchanges.read_bytes().count(b"\n") < 30:
        before = len(rows)
        until(lambda: exchanges.exists() and exchanges.read_bytes().count(b"\n") >= 3 * before, 60)  # noqa: B023
        rows.append(row_now(vehicle))
    shown = until(lambda: measured_now(run), what="an offset in the status")
    assert shown["lower_ms"] <= vehicle.offset_ms() + 0.01
    assert shown["upper_ms"] >= vehicle.offset_ms() - 0.01
    assert shown["max_error_ms"] >= STEP_MS / 2
    assert run("session", "stop", state["session"]).returncode == 0
    until_written(folder)

    table = folder / "in-water_1" / "session.csv"
    table.parent.mkdir()
    table.write_text("timestamp,value\n" + "".join(f"{stamp},1\n" for stamp, _ in rows), encoding="utf-8")
    corrected = tidesync("correct", folder, "--max-error-ms", 2 * LARGEST_MS, **WITHOUT)
    assert corrected.returncode == 0, corrected.stderr
    with (table.parent / "session.topside.csv").open(encoding="utf-8", newline="") as stream:
        written = list(csv.DictReader(stream))
    known = [
        (written_ns(row["timestamp_topside"]) - true_ns, float(row["time_max_error_ms"]))
        for row, (_, true_ns) in zip(written, rows, strict=True)
        if row["timestamp_topside"]
    ]
    assert known
    for wrong_ns, most_ms in known:
        assert abs(wrong_ns) / 1e6 <= most_ms + 0.01
        assert most_ms >= STEP_MS / 2


def test_the_demo_holds_the_truth(tmp_path):
    demo = tidesync("demo", "--duration", 5, "--json", "--root", tmp_path, **WITHOUT)
    assert demo.returncode == 0, demo.stderr
    (step_ms,) = re.findall(r"in steps of ([\d.]+) ms", " ".join(demo.stderr.split()))
    assert 15.6 <= float(step_ms) <= LARGEST_MS
    vehicles = json.loads(demo.stdout)["vehicles"]
    assert [each["vehicle"] for each in vehicles] == ["rov1", "rov2"]
    assert all(each["max_error_ms"] >= STEP_MS / 2 for each in vehicles)


def test_what_a_pipes_encoding_cannot_write_is_written_as_its_number(tmp_path):
    demo = tidesync("demo", "--duration", 3, "--root", tmp_path, PYTHONIOENCODING="ascii")
    assert "Pi \\u2212 topside" in demo.stdout
    assert "UnicodeEncodeError" not in demo.stderr
