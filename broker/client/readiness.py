"""What a socket and a wake-up are ready for: by poll, or by select where a system has no poll."""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

    from broker.client.wakeup import Wakeup

READABLE, WRITABLE, WOKEN = 1, 2, 4


class Readiness(Protocol):
    """Waits for one socket at a time."""

    def wait(self, tcp: SocketLike, pause_s: float, *, writes: bool) -> int:
        """What is ready after `pause_s` at most; OSError or ValueError when `tcp` is closed."""


class Selecting:
    """By select, which every system has."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup

    def wait(self, tcp: SocketLike, pause_s: float, *, writes: bool) -> int:
        """What is ready after `pause_s` at most."""
        readers: list[SocketLike | Wakeup] = [tcp, self._wakeup]
        readable, writable, _ = select.select(readers, [tcp] if writes else [], [], pause_s)
        return (
            (READABLE if tcp in readable else 0)
            | (WRITABLE if writable else 0)
            | (WOKEN if self._wakeup in readable else 0)
        )


if sys.platform != "win32":

    class Polling:
        """By poll, which is told of the socket once; to the millisecond, rounded up."""

        def __init__(self, wakeup: Wakeup) -> None:
            self._poll = select.poll()
            self._poll.register(wakeup, select.POLLIN)
            self._fd = -1
            self._writes = False

        def wait(self, tcp: SocketLike, pause_s: float, *, writes: bool) -> int:
            """What is ready after `pause_s` at most."""
            fd = tcp.fileno()
            if fd != self._fd or writes != self._writes:
                self._watch(fd, writes=writes)
            ready = 0
            for place, events in self._poll.poll(pause_s * 1e3):
                if place != fd:
                    ready |= WOKEN
                else:
                    ready |= WRITABLE if events & select.POLLOUT else 0
                    ready |= READABLE if events & ~select.POLLOUT else 0  # its end is read too
            return ready

        def _watch(self, fd: int, *, writes: bool) -> None:
            if self._fd >= 0 and fd != self._fd:
                self._poll.unregister(self._fd)
            self._fd = -1  # until it is known that `fd` is one
            self._poll.register(fd, select.POLLIN | select.POLLOUT if writes else select.POLLIN)
            self._fd, self._writes = fd, writes


def readiness(wakeup: Wakeup) -> Readiness:
    """The best that this system has."""
    if sys.platform == "win32" or not hasattr(select, "poll"):
        return Selecting(wakeup)
    return Polling(wakeup)
