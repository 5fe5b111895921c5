"""The network loop of one client: waits for its socket or another thread, then reads and writes."""

from __future__ import annotations

import contextlib
import select
import socket
import sys
from time import monotonic
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import SocketLike

    from broker.client.plain import PlainClient


READABLE, WRITABLE, WOKEN = 1, 2, 4
_FAREWELL_NS = 400_000_000
_KEEP_ALIVE_S = 0.25
"""Between two looks whether the connection needs a sign of life, or has been silent for too long."""


class SocketLoop:
    """One connected client's turns on the network."""

    def __init__(self, client: PlainClient, wakeup: Wakeup) -> None:
        self._client = client
        self._wakeup = wakeup
        self._ready = readiness(wakeup)
        self._look_at_s = 0.0

    def turn(self, pause_s: float) -> None:
        """Wait up to `pause_s` seconds; then read and write what is ready, and keep the connection alive."""
        self._wait(pause_s)
        now_s = monotonic()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + _KEEP_ALIVE_S
            self._client.loop_misc()

    def leave(self, raw_ns: Callable[[], int]) -> None:
        """Give what was published a moment to be acknowledged, then disconnect."""
        client, deadline_ns = self._client, raw_ns() + _FAREWELL_NS
        while client.is_connected() and client.unacknowledged and raw_ns() < deadline_ns:
            self._wait(0.05)
        client.disconnect()
        client.loop_write()

    def _wait(self, pause_s: float) -> None:
        client = self._client
        tcp = client.socket()
        if tcp is None:
            return
        has_more = client.pending()  # it has read more than was asked for
        try:
            ready = self._ready.wait(tcp, 0.0 if has_more else pause_s, writes=client.wants_to_write)
        except (OSError, ValueError):  # closed meanwhile; the next turn says so
            return
        if ready & WOKEN:
            self._wakeup.drain()
        if ready & WRITABLE:
            client.flush()
            client.loop_write()
        if ready & READABLE or has_more:
            client.loop_read()


class Wakeup:
    """Select on it beside other sockets; `wake` makes it readable until `drain`."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def fileno(self) -> int:
        """What to select on."""
        return self._read.fileno()

    def wake(self) -> None:
        """End the wait that is under way, or the next one."""
        with contextlib.suppress(BlockingIOError):  # it is awake already
            self._write.send(b"\0")

    def drain(self) -> None:
        """Have the next wait last again."""
        with contextlib.suppress(BlockingIOError):
            while self._read.recv(4096):
                pass

    def pause(self, seconds: float) -> None:
        """Wait for `wake`, so long at most."""
        select.select([self._read], [], [], seconds)
        self.drain()


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
        """By poll, with which the socket is registered once; to the millisecond, rounded up."""

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
