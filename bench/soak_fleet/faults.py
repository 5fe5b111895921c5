"""The faults: each begins, lasts, and ends; what it does to whom is drawn."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.peers.plain_paho import connected_client
from bench.soak_fleet.plan import (
    BROKER,
    DASHBOARD,
    HOST,
    NAMED_TWICE,
    RECORDER,
    ROOT,
    SESSION,
    TOPSIDES,
    VEHICLES,
)
from schemas import topics
from schemas.instants import utc_from_ns
from schemas.messages import Event

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from paho.mqtt.client import Client

    from bench.soak_fleet.fleet import Fleet

_LOOK_S = 0.1
_HELD_CONNECTIONS = 300
_FLOOD_EVENTS = 300
_RUBBISH = 300
_HTTP_BEGUN = b"GET /api/sync/time HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """It is there within `context`, whose value is called again and again meanwhile."""

    described: str
    lasts_s: float
    context: AbstractContextManager[Callable[[], object]]

    def run(self) -> None:
        """Begin it, let it last, end it."""
        with self.context as again:
            until_s = time.monotonic() + self.lasts_s
            while time.monotonic() < until_s:
                again()
                time.sleep(_LOOK_S)


def kinds(fleet: Fleet) -> dict[str, Callable[[random.Random], Fault]]:
    """Every kind of fault that is possible here, by name; clocks have their own plan (`clocks.draw`)."""
    made = {
        "kill": lambda chance: _kill(fleet, chance),
        "pause": lambda chance: _pause(fleet, chance),
        "cut": lambda chance: _cut(fleet, chance),
        "namesake": lambda chance: _namesake(fleet, chance),
        "rubbish": lambda chance: _rubbish(fleet, chance),
        "event flood": lambda chance: _flood(fleet, chance),
        "HTTP hold": lambda chance: _hold(fleet, chance),
    }
    if fleet.has_own_disk:
        made["full disk"] = lambda chance: _full_disk(fleet, chance)
    return made


def _kill(fleet: Fleet, chance: random.Random) -> Fault:
    name = chance.choice((*VEHICLES, TOPSIDES[0], RECORDER, DASHBOARD, BROKER))
    program = fleet.programs[name]
    return Fault(name, chance.uniform(0.0, 2.0), _between(program.kill, program.start))


def _pause(fleet: Fleet, chance: random.Random) -> Fault:
    name = chance.choice((*VEHICLES, *TOPSIDES, RECORDER, DASHBOARD, BROKER))
    program = fleet.programs[name]
    return Fault(name, chance.uniform(0.2, 4.0), _between(program.pause, program.resume))


def _cut(fleet: Fleet, chance: random.Random) -> Fault:
    name = chance.choice((*VEHICLES, *TOPSIDES, RECORDER, DASHBOARD))
    cut = fleet.link[name].cut
    return Fault(name, chance.uniform(0.2, 4.0), _between(cut.set, cut.clear))


def _namesake(fleet: Fleet, chance: random.Random) -> Fault:
    name = chance.choice((NAMED_TWICE, *TOPSIDES))
    namesake = fleet.namesake(name)
    return Fault(name, chance.uniform(2.0, 5.0), _between(namesake.start, namesake.stop))


@contextmanager
def _between(begin: Callable[[], None], end: Callable[[], None]) -> Iterator[Callable[[], object]]:
    begin()
    try:
        yield _nothing
    finally:
        end()


def _nothing() -> None:
    pass


def _full_disk(fleet: Fleet, chance: random.Random) -> Fault:
    return Fault(RECORDER, chance.uniform(1.0, 4.0), _filled(fleet.root / "ballast"))


@contextmanager
def _filled(ballast: Path) -> Iterator[Callable[[], object]]:
    def fill() -> None:
        with suppress(OSError):
            while True:
                file.write(bytes(4096))

    with ballast.open("wb", buffering=0) as file:
        try:
            yield fill
        finally:
            ballast.unlink()


def _rubbish(fleet: Fleet, chance: random.Random) -> Fault:
    """Bytes that are no message, on every topic of ours, not retained."""

    def publish(client: Client) -> None:
        for _ in range(_RUBBISH):
            kind = chance.choice(topics.TOPICS)
            names = {"vehicle": VEHICLES, "topside": TOPSIDES, "session": (SESSION,), "recorder": ("main",)}
            wanted = {
                key: chance.choice(each) for key, each in names.items() if f"{{{key}}}" in kind.template
            }
            client.publish(topics.build(ROOT, kind, **wanted), _bytes(chance), qos=0)

    return Fault("all", chance.uniform(0.5, 2.0), _stranger(fleet, publish))


def _bytes(chance: random.Random) -> bytes:
    """Random, or JSON of the wrong kind."""
    if chance.random() < 0.5:
        return chance.randbytes(chance.randrange(2000))
    return chance.choice((b"{}", b"[]", b"null", b"1e999", b'{"v": 1}', b'{"schema_version": 2}', b"[" * 500))


def _flood(fleet: Fleet, chance: random.Random) -> Fault:
    """Valid events of one vehicle, of steps that never happened."""
    name = chance.choice(VEHICLES)
    topic = topics.build(ROOT, topics.EVENT, vehicle=name)

    def publish(client: Client) -> None:
        for _ in range(_FLOOD_EVENTS):
            event = Event(
                vehicle=name,
                kind="step",
                at=utc_from_ns(time.time_ns()),
                at_raw_ns=chance.randrange(2**40),
                step_ms=chance.uniform(-1e4, 1e4),
                boot_id="never-booted",
            )
            client.publish(topic, event.encode(), qos=0)

    return Fault(name, chance.uniform(0.5, 2.0), _stranger(fleet, publish))


@contextmanager
def _stranger(fleet: Fleet, publish: Callable[[Client], None]) -> Iterator[Callable[[], object]]:
    client = connected_client(fleet.broker_port)
    try:
        yield lambda: publish(client)
    finally:
        client.disconnect()
        client.loop_stop()


def _hold(fleet: Fleet, chance: random.Random) -> Fault:
    """Connections whose headers never end."""
    name, port = chance.choice(((VEHICLES[0], fleet.http_port), (DASHBOARD, fleet.dashboard_port)))
    return Fault(name, chance.uniform(1.0, 4.0), _held(port))


@contextmanager
def _held(port: int) -> Iterator[Callable[[], object]]:
    def go_on() -> None:
        for each in held:
            with suppress(OSError):
                each.sendall(b"X-More: and more\r\n")

    held = [socket.socket() for _ in range(_HELD_CONNECTIONS)]
    try:
        for each in held:
            each.settimeout(0.2)
            with suppress(OSError):
                each.connect((HOST, port))
                each.sendall(_HTTP_BEGUN)
        yield go_on
    finally:
        for each in held:
            each.close()
