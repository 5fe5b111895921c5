"""Messages between the topsides of one machine that were proved to have the same clock, past the broker.

Datagrams on abstract sockets (`unix(7)`), which reach exactly those that `same_clock` finds. The kernel names
the sender's user and address; what another user sends is dropped. Nothing waits: what a receiver has no room
for is not sent, what cannot be sent is lost, as are all messages where there is no such socket.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from typing import NamedTuple

from topside_agent.group.same_clock import socket_name

MOST_BYTES = 131_072
"""Of one message; the kernel's usual limit is 212 992."""
_UCRED = struct.Struct("3i")
_SUFFIX = "/messages"


class LocalMessage(NamedTuple):
    """What process `instance_id` of `topside`, by its socket's name, has sent."""

    topside: str
    instance_id: str
    payload: bytes


class LocalSocket:
    """This process's socket; it is closed with the process."""

    def __init__(self, topside: str, instance_id: str) -> None:
        name = _name(topside, instance_id)
        self._socket = None if name is None else _bound(name)

    def send(self, topside: str, instance_id: str, payload: bytes) -> bool:
        """Send `payload` to a process of `topside`; false if it was not taken."""
        name = _name(topside, instance_id)
        if self._socket is None or name is None or len(payload) > MOST_BYTES:
            return False
        try:
            self._socket.sendto(payload, name)
        except OSError:  # nobody has that name, or its queue is full
            return False
        return True

    def receive(self) -> LocalMessage | None:
        """The next message that a process of this user has sent; None when there is no more."""
        if sys.platform == "linux":
            with suppress(OSError):
                while self._socket is not None:
                    payload, extra, _, address = self._socket.recvmsg(
                        MOST_BYTES, socket.CMSG_SPACE(_UCRED.size)
                    )
                    sender = _sender(address)
                    if sender and any(map(_is_ours, extra)):
                        return LocalMessage(*sender, payload)
        return None

    def close(self) -> None:
        """Receive no more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _name(topside: str, instance_id: str) -> str | None:
    return socket_name(topside, instance_id, _SUFFIX)


def _bound(name: str) -> socket.socket | None:
    if sys.platform == "linux":
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            made.bind(name)
            made.setblocking(False)
        except OSError:
            made.close()
        else:
            return made
    return None


def _sender(address: object) -> tuple[str, str] | None:
    """Topside and instance id in an abstract socket's name."""
    text = address.decode(errors="replace") if isinstance(address, bytes) else ""
    levels = text.removesuffix(_SUFFIX).rsplit("/", 2)
    if len(levels) < 3 or _name(*levels[1:]) != text:  # noqa: PLR2004 - the namespace, and these two
        return None
    return levels[1], levels[2]


def _is_ours(extra: tuple[int, int, bytes]) -> bool:
    """Whether these are the credentials of a process of this user."""
    if sys.platform == "linux":
        level, kind, data = extra
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(data) == _UCRED.size:
            return bool(_UCRED.unpack(data)[1] == os.getuid())
    return False
