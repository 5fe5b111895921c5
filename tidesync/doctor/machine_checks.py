"""Checks of this computer: ports, disk, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.interface_stamps import interface_stamps
from runtime.realtime_rate import rate_source
from runtime.stamped_socket import StampedSocket
from runtime.version import VERSION
from tidesync.doctor.finding import fail, ok, skipped, warn
from tidesync.doctor.hardware_checks import hardware_stamps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.interface_stamps import InterfaceStamps
    from runtime.realtime_rate import RateState
    from tidesync.doctor.finding import Finding
    from tidesync.doctor.settings import DoctorSettings

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_LITTLE_BYTES, _TOO_LITTLE_BYTES = 2 * 10**9, 100 * 10**6
_HOUR_BYTES = 4 * 3600 * 470
"""One vehicle for an hour, at four exchanges a second and the usual length of a line."""
_LIBRARIES = {"paho-mqtt": (2, 2), "pydantic": (2, 10)}
"""The least version needed; with another major version of paho, stamps may be taken in user space."""


def machine_checks(settings: DoctorSettings, *, reached: bool) -> Iterator[Finding]:
    """Every check of this computer except its clocks."""
    yield http_port(settings.http_port)
    yield broker_port(settings, reached=reached)
    yield datagram_stamps()
    yield hardware_stamps(wanted=settings.hardware_stamps)
    yield disk(settings.root)
    yield from versions()


def http_port(port: int) -> Finding:
    """Whether the Pi agent's port is free; if not, what answers on it."""
    check = f"port {port} (HTTP)"
    if _free(port):
        return ok(check, "free, for an agent that would serve GET /api/sync/time here")
    server = _server_on(port)
    if server:
        return ok(check, server)
    return warn(
        check,
        "taken by another program, which does not serve GET /api/sync/time",
        "`tidesync pi` then uses MQTT alone; give it another --http-port, or mount our router there",
    )


def _free(port: int) -> bool:
    try:
        with socket.create_server(("", port)):
            return True
    except OSError:
        return False


def _server_on(port: int) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/sync/time", timeout=2) as reply:
            return "serves GET /api/sync/time" if b'"pi_unix_ms"' in reply.read(4096) else None
    except (OSError, ValueError):
        return None


def datagram_stamps(
    state: Callable[[], RateState | None] = lambda: rate_source().state(),
    interfaces: Callable[[], list[InterfaceStamps]] = interface_stamps,
) -> Finding:
    """Whether exchanges over UDP can have the kernel's stamps here, and what the interfaces can."""
    check = "stamps of datagrams"
    if platform.system() != "Linux":
        return skipped(check, "only Linux stamps them: exchanges over UDP have the programs' own stamps here")
    refused = StampedSocket.refusal()
    if refused is not None:
        return warn(
            check, refused, "exchanges over UDP then have the programs' own stamps: docs/datagrams.md"
        )
    if state() is None:
        return warn(
            check,
            "adjtimex(2) cannot be read, so the kernel's stamps cannot be related to RAW",
            "allow adjtimex and timerfd_create, which here only read: docs/datagrams.md",
        )
    seen = "; ".join(map(str, interfaces())) or "no interface that is a device is seen"
    return ok(check, f"by the kernel, in software. {seen}")


def broker_port(settings: DoctorSettings, *, reached: bool) -> Finding:
    """Where the broker should run on this computer and does not: whether its port is free."""
    address = settings.address
    check = f"port {address.port} (broker)"
    if address.host not in _LOOPBACK:
        return skipped(check, f"the broker is at {address.host}, not here")
    if reached:
        return ok(check, "the broker listens on it")
    if _free(address.port):
        return ok(check, "free, for a broker that would be started here")
    return fail(
        check,
        "taken by a program that is not a broker, or does not accept us",
        f"see `ss -ltnp 'sport = {address.port}'`",
    )


def disk(root: Path | None) -> Finding:
    """Whether the recorder could write, and for how long."""
    check = "recorder's folder"
    if root is None:
        return skipped(check, "none was given", "name it with --root, or in tidesync.toml: [record] root")
    there = next((folder for folder in (root, *root.absolute().parents) if folder.exists()), root)
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".tidesync-doctor-") as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return fail(
            check,
            f"{root} cannot be written: {error.strerror}",
            "choose a folder that this user may write, on a disk with room",
        )
    free_bytes = shutil.disk_usage(there).free
    hours = free_bytes / _HOUR_BYTES
    room = f"{there}: {free_bytes / 1e9:.1f} GB free, some {hours:,.0f} hours of one vehicle"
    if free_bytes < _TOO_LITTLE_BYTES:
        return fail(
            check, room, "make room, or choose another disk: on a full one, a session is kept in memory only"
        )
    if free_bytes < _LITTLE_BYTES:
        return warn(check, room, "make room before the dive")
    return ok(check, room)


def versions() -> Iterator[Finding]:
    """Our version, and those of the libraries for which it matters."""
    yield ok(
        "tidesync", f"{VERSION}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    )
    for name, least in _LIBRARIES.items():
        yield _library(name, least)


def _library(name: str, least: tuple[int, int]) -> Finding:
    version = importlib.metadata.version(name)
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) < least or major > least[0]:
        wanted = ".".join(map(str, least))
        return warn(name, f"{version}, made for {wanted}", f"`pip install '{name}~={wanted}'`")
    return ok(name, version)
