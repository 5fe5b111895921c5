"""The machine that a process runs on: its name, and whether it is a container."""

from __future__ import annotations

import socket
from pathlib import Path

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
