"""chrony: a server and an interleaved client of our own on loopback; neither steers this machine's clock.

With -x the client keeps its corrections to itself, so that `System time` of `chronyc tracking` is its whole
estimate of the system clock's error, here the error of the estimate itself.
"""

from __future__ import annotations

import csv
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from bench.peers.processes import installed

if TYPE_CHECKING:
    from pathlib import Path

FASTEST_POLL = -7
"""chrony's own limit, 128 a second; it goes back to one a second by itself where the delay exceeds 10 ms."""

_SERVER = """port {port}
bindaddress 127.0.0.1
allow 127.0.0.1
local stratum 1
"""
_CLIENT = """server 127.0.0.1 port {port} minpoll {poll} maxpoll {poll} xleave iburst
port 0
acquisitionport {own_port}
"""
_BOTH = """cmdport 0
bindcmdaddress {folder}/{name}.sock
pidfile {folder}/{name}.pid
user root
"""


class Reading(NamedTuple):
    """What chrony says at an instant; `stated_ns` is its documented bound, root delay / 2 + dispersion."""

    at_ns: int
    offset_ns: float
    stated_ns: float
    delay_ns: float
    samples: int
    """In its regression."""
    received: int
    """Answers since the start."""


def missing() -> str | None:
    """Why there can be no chrony here."""
    absent = [name for name in ("chronyd", "chronyc") if installed(name) is None]
    return f"{' and '.join(absent)} not installed" if absent else None


def server_command(folder: Path, port: int) -> list[str]:
    return _command(folder, "server", _SERVER.format(port=port))


def client_command(folder: Path, port: int, own_port: int) -> list[str]:
    text = _CLIENT.format(port=port, own_port=own_port, poll=FASTEST_POLL)
    return _command(folder, "client", text)


def _command(folder: Path, name: str, text: str) -> list[str]:
    folder.mkdir(mode=0o700, exist_ok=True)  # chronyd insists on a private folder for its socket
    configuration = folder / f"{name}.conf"
    configuration.write_text(text + _BOTH.format(folder=folder, name=name))
    chronyd = installed("chronyd")
    assert chronyd
    return [chronyd, "-U", "-x", "-d", "-f", str(configuration)]


def ask(folder: Path, at_ns: int) -> Reading | None:
    """The client's estimate now; None while it has none."""
    tracking, statistics, data = (_chronyc(folder, what) for what in ("tracking", "sourcestats", "ntpdata"))
    if not (tracking and statistics and data) or tracking[-1] != "Normal" or int(statistics[1]) < 1:
        return None
    system_s, root_delay_s, root_dispersion_s = (float(tracking[at]) for at in (4, 10, 11))
    return Reading(
        at_ns=at_ns,
        offset_ns=system_s * 1e9,
        stated_ns=(root_delay_s / 2 + root_dispersion_s) * 1e9,
        delay_ns=float(data[19]) * 1e9,
        samples=int(statistics[1]),
        received=int(data[-2]),
    )


def _chronyc(folder: Path, what: str) -> list[str]:
    chronyc = installed("chronyc")
    assert chronyc
    command = [chronyc, "-n", "-c", "-h", str(folder / "client.sock"), what]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    return next(csv.reader(done.stdout.splitlines()), [])
