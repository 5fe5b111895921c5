"""Proof that two topsides run on one kernel and in one time namespace, so that they read the same RAW clock.

Equal boot ids are not enough: a copy of a virtual machine has the same one, and Linux can give a container a
RAW clock of its own. So each process listens on an abstract socket (`unix(7)`) whose name holds its topside's
name, its instance id and its time namespace: only a process of the same kernel can connect to it. Containers
with networks of their own cannot, so they count as other machines; so does every process where there is no
such socket.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

_UCRED = struct.Struct("3i")
_NAMESPACES = Path("/proc/self/ns")
_MOST = 1000


def socket_name(topside: str, instance_id: str, suffix: str = "") -> str | None:
    """The name of a process's socket in this time namespace; None where that cannot be known."""
    try:
        namespace = str(_NAMESPACES.joinpath("time").readlink())
    except FileNotFoundError:
        namespace = "only" if _NAMESPACES.exists() else ""  # a kernel that has none
    except OSError:
        namespace = ""
    name = f"\0tidesync/{namespace}/{topside}/{instance_id}{suffix}"
    return name if namespace and len(name.encode()) <= 107 else None  # noqa: PLR2004 - sun_path


def _listening(name: str) -> socket.socket | None:
    """An abstract socket of this name; None where there is none to be had."""
    if sys.platform == "linux":
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(name)
            listener.listen(16)
            listener.setblocking(False)
        except OSError:
            listener.close()
        else:
            return listener
    return None


def _answers(name: str) -> bool:
    """Whether a process of this user listens under that name."""
    if sys.platform == "linux":
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked, suppress(OSError):
            asked.setblocking(False)
            asked.connect(name)
            peer = asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            return bool(_UCRED.unpack(peer)[1] == os.getuid())
    return False


class ClockProof:
    """This process's socket, and which others were found; it is closed with the process."""

    def __init__(self, topside: str, instance_id: str) -> None:
        name = socket_name(topside, instance_id)
        self._listener = None if name is None else _listening(name)
        self._found: dict[tuple[str, str], bool] = {}

    def same(self, topside: str, instance_id: str) -> bool:
        """Whether that process of `topside` was proved to read this process's RAW clock; it is asked once."""
        known = self._found.get((topside, instance_id))
        if known is None and self._listener is not None and len(self._found) < _MOST:
            name = socket_name(topside, instance_id)
            known = self._found[topside, instance_id] = name is not None and _answers(name)
        return bool(known)

    def accept(self) -> None:
        """Take the connections of others, which have what they want by then."""
        with suppress(OSError):
            while self._listener is not None:
                self._listener.accept()[0].close()

    def close(self) -> None:
        """Listen no longer."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
