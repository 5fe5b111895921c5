"""The machine that a process runs on: its name, and whether it is a container."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import sys
from pathlib import Path

from runtime.system_modules import fcntl

_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_CGROUP = Path("/proc/1/cgroup")
_IN_CGROUP = ("docker", "containerd", "kubepods", "libpod", "lxc")


def host_name() -> str:
    """The machine's name without its domain."""
    return socket.gethostname().partition(".")[0]


def in_container() -> bool:
    """Whether this is a container, as Docker, Podman, Kubernetes and LXC mark theirs."""
    if any(mark.exists() for mark in _MARKS):
        return True
    try:
        cgroup = _CGROUP.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(word in cgroup for word in _IN_CGROUP)


_SIOCGIFADDR = 0x8915
_NAME_BYTES = 256
_THERE = ("192.168.2.2", "192.0.2.1")
"""Of a BlueROV2's computer; of no computer, but of the internet (RFC 5737)."""
_ANY_PORT = 9
_OF_CONTAINERS = ("docker", "br-", "veth", "virbr", "cni", "podman")


def addresses() -> list[str]:
    """This machine's IPv4 addresses on its networks, but not among its containers."""
    has_interfaces = sys.platform == "linux" and fcntl is not None
    found = _of_interfaces() if has_interfaces else [*_of_routes(), *_of_name()]
    return [address for address in dict.fromkeys(found) if not ipaddress.ip_address(address).is_loopback]


def _of_interfaces() -> list[str]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            if not name.startswith(_OF_CONTAINERS):
                with contextlib.suppress(OSError):  # an interface without an address
                    request = struct.pack(f"{_NAME_BYTES}s", name.encode()[:15])
                    found.append(socket.inet_ntoa(fcntl.ioctl(asked, _SIOCGIFADDR, request)[20:24]))
    return found


def _of_routes() -> list[str]:
    """Those that packets to a vehicle's usual address and to the internet would leave from; none is sent."""
    found = []
    for there in _THERE:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.connect((there, _ANY_PORT))
            found.append(str(asked.getsockname()[0]))
    return found


def _of_name() -> list[str]:
    with contextlib.suppress(OSError):
        return [str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    return []
