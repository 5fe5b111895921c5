"""A program measured from outside: when it is online, its memory, its processor time idle and asked."""

from __future__ import annotations

import json
import queue
import secrets
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from bench.footprint.echo import ROOT
from schemas.messages import Ping

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RATE_HZ = 50.0
_SETTLE_S = 4.0
"""After being online: the web service is loaded behind it."""
_TIMEOUT_S = 30.0
_LATE_S = 10.0
"""Answers of a busy machine come by then."""


class Footprint(NamedTuple):
    """One run. Memory is what is resident (RSS), processor time that of all threads."""

    online_s: float
    memory_mb: float
    idle_cpu_percent: float
    ping_us: float
    pings: int


class Requester:
    """Asks like topside does, but only counts the answers."""

    def __init__(self, port: int) -> None:
        self.status: queue.Queue[str] = queue.Queue()
        self.pongs = 0
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="bench")
        self._client.on_message = self._heard
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([(f"{ROOT}/status", 1), (f"{ROOT}/pong/bench", 0)])
        self._client.loop_start()

    def forget(self) -> None:
        """Take the last program's status away."""
        self._client.publish(f"{ROOT}/status", b"", 1, retain=True).wait_for_publish(_TIMEOUT_S)
        while not self.status.empty():
            self.status.get()

    def ping(self, seconds: float) -> None:
        """Ask at `RATE_HZ`."""
        begun = time.monotonic()
        for seq in range(round(seconds * RATE_HZ)):
            time.sleep(max(0.0, begun + seq / RATE_HZ - time.monotonic()))
            ping = Ping(seq=seq, nonce=secrets.token_hex(8), origin_ns=time.time_ns())
            self._client.publish(f"{ROOT}/ping/bench", ping.encode())

    def wait(self, pongs: int) -> None:
        """Until so many have come, up to `_LATE_S`."""
        until = time.monotonic() + _LATE_S
        while self.pongs < pongs and time.monotonic() < until:
            time.sleep(0.01)

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _heard(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic.endswith("/status"):
            self.status.put(message.payload.decode())
        else:
            json.loads(message.payload)
            self.pongs += 1


def run(command: Sequence[str], requester: Requester, seconds: float) -> Footprint:
    """Start `command`, measure it idle and asked, end it."""
    requester.forget()
    begun = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while requester.status.get(timeout=_TIMEOUT_S) != "online":
                pass
            online_s = time.monotonic() - begun
            time.sleep(_SETTLE_S)
            idle = _cpu_share(process.pid, lambda: time.sleep(seconds))
            memory_mb = _memory_mb(process.pid)
            requester.pongs = 0
            busy = _cpu_share(process.pid, lambda: requester.ping(seconds))
            requester.wait(round(seconds * RATE_HZ))
            pings = requester.pongs
            ping_us = (busy - idle) * 1e6 / (pings / seconds) if pings else float("nan")
        finally:
            process.terminate()
    return Footprint(online_s, memory_mb, idle * 100, ping_us, pings)


def _cpu_share(pid: int, during: Callable[[], None]) -> float:
    begun, before = time.monotonic(), _cpu_ns(pid)
    during()
    return (_cpu_ns(pid) - before) / 1e9 / (time.monotonic() - begun)


def _cpu_ns(pid: int) -> int:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


def _memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise ValueError(f"no VmRSS of process {pid}")
