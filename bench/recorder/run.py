"""One recorder with one fleet: a session of so many seconds, its cost, and its end."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.cost.fleet import answered, new_counter
from bench.peers.processes import (
    NotReadyError,
    Programs,
    free_port,
    installed,
    wait_until,
    wait_until_listening,
)

if TYPE_CHECKING:
    from bench.peers.processes import Program

SESSION, MISSION = "2026-05-01T12-00-00Z", "bench"
_WARM_UP_S = 10.0
_LONGEST_STOP_S = 240.0
_MOSQUITTO = """set_tcp_nodelay true
listener {port} 127.0.0.1
allow_anonymous true
user root
max_inflight_messages 100
max_queued_messages 20000
max_queued_bytes 67108864
"""
_ROOT = Path(__file__).parents[2]


class Load(NamedTuple):
    """A fleet, and for how long it is recorded."""

    vehicles: int
    rate_hz: float
    result_s: float
    """Seconds between a vehicle's results."""
    seconds: float


class Cost(NamedTuple):
    """What a recorder took for it."""

    recorded_hz: float
    cpu: float
    """Share of a core."""
    cpu_us: float
    """For each exchange."""
    written_gb_h: float
    """What the recorder had written to files, by the kernel's count."""
    memory_mb: float
    files_b: float
    """The size of the session's files for each exchange."""
    answered_s: float
    """From the command to stop to its answer; NaN: it was not answered."""
    closed_s: float
    """From the command to stop until `offsets.csv` was there."""
    missing: int
    """Exchanges that are not recorded at the end, of those before the stop."""


def measure(load: Load, source: Path = _ROOT) -> Cost:
    """Record a session with the recorder of `source`, another checkout perhaps."""
    with tempfile.TemporaryDirectory(prefix="bench-recorder-") as made, Programs(Path(made)) as programs:
        _, port = started_broker(programs)
        recorder = Recorder(programs, programs.folder, port, source)
        counter = new_counter(programs.folder / "published")
        fleet = (port, load.vehicles, load.rate_hz, load.result_s, counter)
        programs.python("fleet", "bench.recorder.fleet", *fleet)
        wait_until(lambda: answered(counter) > load.vehicles, "the fleet")
        recorder.session("start", "--mission", MISSION, "--name", SESSION)
        time.sleep(_WARM_UP_S)
        used = _used(recorder, counter, load.seconds)
        ending = ended(recorder)
        if dead := programs.dead():
            raise NotReadyError(f"{', '.join(dead)} ended")
        return Cost(*used, *ending)


def started_broker(programs: Programs) -> tuple[Program, int]:
    """A mosquitto and its port, that keeps as much for a recorder as ours do (broker/mosquitto.conf)."""
    port, settings = free_port(), programs.folder / "mosquitto.conf"
    settings.write_text(_MOSQUITTO.format(port=port))
    program = programs.start("mosquitto", [installed("mosquitto") or "mosquitto", "-c", str(settings)])
    wait_until_listening(port, "mosquitto")
    return program, port


class Recorder:
    """The program, and the session that is recorded in `folder`."""

    def __init__(self, programs: Programs, folder: Path, port: int, source: Path) -> None:
        self._url = f"mqtt://127.0.0.1:{port}"
        self.folder = folder / "root" / MISSION / f"session_{SESSION}"
        options = ("--broker", self._url, "--root", str(folder / "root"))
        there = ["env", "-u", "PYTHONPATH", "-C", str(source)]
        command = [*there, sys.executable, "-m", "tidesync", "-q", "record", *options]
        self.program: Program = programs.start("recorder", command)

    def session(self, *arguments: str) -> None:
        """The command of that name."""
        command = [sys.executable, "-m", "tidesync", "session", *arguments, "--broker", self._url]
        command += ["--timeout", str(_LONGEST_STOP_S)]
        subprocess.run(command, capture_output=True, cwd=_ROOT, check=True)

    def written(self) -> int:
        """Bytes that the kernel wrote to files for it, or will."""
        lines = Path(f"/proc/{self.program.pid}/io").read_text().splitlines()
        return int(dict(line.split(": ") for line in lines)["write_bytes"])

    def block(self) -> dict[str, object]:
        """Ours in the metadata."""
        found: dict[str, object] = json.loads((self.folder / "sync_metadata.json").read_bytes())
        return found["timeSync"]["tidesync"]  # type: ignore[index,no-any-return]


def _used(recorder: Recorder, counter: Path, seconds: float) -> tuple[float, float, float, float, float]:
    program = recorder.program
    began_s, made = time.monotonic(), answered(counter)
    cpu_ns, written = program.cpu_ns(), recorder.written()
    time.sleep(seconds)
    cpu_ns, written = program.cpu_ns() - cpu_ns, recorder.written() - written
    took_s, made = time.monotonic() - began_s, answered(counter) - made
    per_s = (made / took_s, cpu_ns / 1e9 / took_s, cpu_ns / 1e3 / made, written / 1e9 * 3600 / took_s)
    return *per_s, program.memory_mb()


def ended(recorder: Recorder) -> tuple[float, float, float, int]:
    """Stop the session: bytes of its files for each exchange, and the last three of `Cost`."""
    began_s, answered_s, closed_s = time.monotonic(), nan, nan
    with suppress(subprocess.CalledProcessError):  # it was silent for too long
        recorder.session("stop", SESSION)
        answered_s = time.monotonic() - began_s
    with suppress(NotReadyError):
        wait_until(lambda: recorder.block()["state"] == "stopped", "the end", _LONGEST_STOP_S)
        closed_s = time.monotonic() - began_s
    vehicles = list(recorder.block()["vehicles"].values())  # type: ignore[attr-defined]
    files = sum(path.stat().st_size for path in (recorder.folder / "time_sync").glob("*.jsonl*"))
    each = files / sum(vehicle["exchanges"] for vehicle in vehicles)
    return each, answered_s, closed_s, sum(vehicle["missing"] for vehicle in vehicles)
