"""The vehicle's agent by itself: memory above that of its bare imports, and how soon it is online."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.peers.conditions import CONDITIONS
from bench.peers.plain_paho import connected_client, subscribe
from bench.peers.processes import NotReadyError, Programs
from bench.peers.setup import Setup

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

_SETTLE_S = 4.0
_TIMEOUT_S = 15.0
_IMPORTS = "import tidesync.command_line, tidesync.cli.pi"
_LEAVE = "import os; os._exit(0)"
"""Without the interpreter's clearing up, which is no part of a start."""


class Agent(NamedTuple):
    """Medians, in MB and s. The bare programs import what the agent imports, and do nothing with it."""

    memory_mb: float
    bare_memory_mb: float
    online_s: float
    bare_imports_s: float
    bare_python_s: float


class _Status:
    """Hears the vehicle say online and offline."""

    def __init__(self, port: int) -> None:
        self.words = {word: threading.Event() for word in ("online", "offline")}
        self._client = connected_client(port)
        self._client.on_message = self._on_message
        subscribe(self._client, "tidesync/v1/vehicle/rov1/status")

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.words[bytes(message.payload).decode()].set()

    def wait_for(self, word: str) -> None:
        if not self.words[word].wait(_TIMEOUT_S):
            raise NotReadyError(f"the agent did not say {word}")
        self.words[word].clear()

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def agent(repeats: int) -> Agent:
    """Start it several times beside bare programs."""
    with tempfile.TemporaryDirectory(prefix="bench-cost-") as made, Programs(Path(made)) as programs:
        setup = Setup(programs, CONDITIONS["idle"], seconds=0, seed=0)
        port = setup.mosquitto_port
        setup.open_links()
        status = _Status(port)
        try:
            runs = [_run(programs, status, port) for _ in range(repeats)]
        finally:
            status.stop()
        bare_mb = [_bare_memory_mb(programs) for _ in range(repeats)]
        imports_s = [_until_ended_s(programs, f"{_IMPORTS}; {_LEAVE}") for _ in range(repeats)]
        python_s = [_until_ended_s(programs, _LEAVE) for _ in range(repeats)]
    online_s, memory_mb = zip(*runs, strict=True)
    return Agent(*map(median, (memory_mb, bare_mb, online_s, imports_s, python_s)))


def _run(programs: Programs, status: _Status, port: int) -> tuple[float, float]:
    """Seconds from the start to `online`, and MB a few seconds later."""
    options = ("--broker", f"mqtt://127.0.0.1:{port}", "--vehicle", "rov1", "--no-http")
    began_s = time.monotonic()
    pi = programs.python("pi", "tidesync", "-q", "pi", *options)
    status.wait_for("online")
    online_s = time.monotonic() - began_s
    time.sleep(_SETTLE_S)
    memory_mb = pi.memory_mb()
    programs.stop(pi)
    status.wait_for("offline")
    return online_s, memory_mb


def _bare_memory_mb(programs: Programs) -> float:
    program = programs.start("bare", [sys.executable, "-c", f"{_IMPORTS}; import time; time.sleep(60)"])
    time.sleep(_SETTLE_S)
    memory_mb = program.memory_mb()
    programs.stop(program)
    return memory_mb


def _until_ended_s(programs: Programs, code: str) -> float:
    began_s = time.monotonic()
    program = programs.start("bare", [sys.executable, "-c", code])
    program.wait()
    took_s = time.monotonic() - began_s
    programs.stop(program)
    return took_s
