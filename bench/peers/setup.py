"""What one condition runs on: programs, ports and proxies, shared by all contestants."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bench.peers.lsl import configuration
from bench.peers.processes import (
    NotReadyError,
    Programs,
    free_port,
    free_udp_port,
    installed,
    wait_until_listening,
)
from bench.peers.proxy import Kind, Route

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.peers.conditions import Condition

_MOSQUITTO = """set_tcp_nodelay true
max_queued_messages 20000
max_queued_bytes 67108864
max_inflight_messages 100
listener {port} 127.0.0.1
allow_anonymous true
user root
"""


def lsl_environment(folder: Path) -> Mapping[str, str]:
    """Have liblsl read settings of ours, in `folder`."""
    settings = folder / "lsl_api.cfg"
    settings.write_text(configuration(free_udp_port()))
    return {"LSLAPICFG": str(settings)}


class Setup:
    """Every program is started here, for at most `seconds`, and stopped with `programs`."""

    def __init__(self, programs: Programs, condition: Condition, seconds: float, seed: int) -> None:
        self.programs = programs
        self.folder = programs.folder
        self.condition = condition
        self.seconds = seconds
        self._seed = seed
        self._routes: list[Route] = []
        self._expected: dict[int, str] = {}

    def link(self, kind: Kind, target: int, *, answerer_connects: bool = False) -> int:
        """The port at which the other side of the link finds `target`: behind a proxy if the link delays.

        A vehicle connects to its broker: then what the connection's client sends is the way back.
        """
        if not self.condition.delayed:
            return target
        out, back = self.condition.out, self.condition.back
        there, here = (back, out) if answerer_connects else (out, back)
        port = free_port() if kind == "tcp" else free_udp_port()
        self._routes.append(Route(kind, port, target, there, here))
        return port

    def open_links(self) -> None:
        """Start the proxies of all links asked for; returns once everything listens."""
        if self._routes:
            self.programs.python("proxy", "bench.peers.proxy", self._seed, *self._routes)
            self._expected |= {route.port: "proxy" for route in self._routes if route.kind == "tcp"}
        for port, name in self._expected.items():
            wait_until_listening(port, name)

    def start_hogs(self) -> None:
        for number in range(self.condition.hogs):
            self.programs.python(f"hog{number}", "bench.peers.hog", self.seconds)

    @cached_property
    def mosquitto_port(self) -> int:
        """The port of the one mosquitto, started when first asked for."""
        port = free_port()
        settings = self.folder / "mosquitto.conf"
        settings.write_text(_MOSQUITTO.format(port=port))
        self.broker = self.programs.start(
            "mosquitto", [installed("mosquitto") or "mosquitto", "-c", str(settings)]
        )
        self.expect(port, "mosquitto")
        return port

    def expect(self, port: int, name: str) -> None:
        """Have `open_links` wait until `name` listens on `port` (TCP)."""
        self._expected[port] = name

    def check(self) -> None:
        """NotReadyError when a program has died, with its last line."""
        for name in self.programs.dead():
            lines = (self.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
            raise NotReadyError(f"{name} has ended: {lines[-1] if lines else 'nothing in its log'}")
