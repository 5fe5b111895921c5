"""Ours, straight: the UDP transport's both ends as processes of their own, without agents or a broker.

What the agreement over MQTT would give, session and key, both ends have from the start.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from bench.peers.processes import LOOPBACK, exit_on_terminate
from pi_agent.udp.interface import SessionTerms
from pi_agent.udp.service import UdpService
from runtime.clock import SystemClock
from schemas.exchange import Exchange
from topside_agent.udp.exchange import exchange_of
from topside_agent.udp.interface import Address, DirectExchange, PathTerms
from topside_agent.udp.service import UdpTransport

if TYPE_CHECKING:
    from topside_agent.udp.interface import PathState

_SESSION, _KEY = 1, bytes(32)
_TRAIN = 3
_TIMEOUT_S = 1.0
_LONG_NS = 10**15


def answer(port: int, rate_hz: float) -> None:
    """Answer until stopped."""
    clock = SystemClock()
    service = UdpService(clock, host=LOOPBACK, port=port)
    service.open(SessionTerms(_SESSION, _KEY, "topside", clock.raw_ns() + _LONG_NS, rate_hz))
    service.start()
    threading.Event().wait()


class _File:
    """Keeps exchanges in memory; their file appears with the first one and is filled at the end."""

    def __init__(self, path: Path, boot_id: str) -> None:
        self._path, self._boot_id = path, boot_id
        self._done: list[DirectExchange] = []

    def take(self, reported: list[DirectExchange | PathState]) -> None:
        new = [each for each in reported if isinstance(each, DirectExchange)]
        if new and not self._done:
            self._path.touch()
        self._done += new

    def write(self) -> None:
        with self._path.open("wb") as file:
            for seq, direct in enumerate(self._done):
                exchange = exchange_of(
                    direct, topside="topside", seq=seq, boot_id=self._boot_id, topside_boot_id=self._boot_id
                )
                if exchange is not None:
                    file.write(exchange.encode() + b"\n")


def ask(port: int, rate_hz: float, vehicle: str, seconds: float, results: Path) -> None:
    """Ask in trains, as topside does for `vehicle`; leave the exchanges in `results` at the end."""
    clock = SystemClock()
    file = _File(results, clock.boot_id)
    transport = UdpTransport(clock, file.take)
    transport.start()
    transport.measure(
        vehicle, PathTerms(_SESSION, _KEY, (Address(LOOPBACK, port),), rate_hz, _TRAIN, _TIMEOUT_S)
    )
    try:
        threading.Event().wait(seconds)
    finally:
        transport.stop()
        file.write()


def read(path: Path) -> list[Exchange]:
    """What was left there; nothing when the process left nothing."""
    return [Exchange.decode(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def main() -> None:
    """`… answer PORT RATE` or `… ask PORT RATE VEHICLE SECONDS FILE`."""
    exit_on_terminate()
    what, port, rate_hz, *rest = sys.argv[1:]
    if what == "answer":
        answer(int(port), float(rate_hz))
    else:
        ask(int(port), float(rate_hz), rest[0], float(rest[1]), Path(rest[2]))


if __name__ == "__main__":
    main()
