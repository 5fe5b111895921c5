"""The network loop of one client: waits for its socket or another thread, then reads and writes."""

from __future__ import annotations

import contextlib
import select
import socket
import sys
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from runtime.memory import note

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import SocketLike

    from broker.client.plain import PlainClient


READABLE, WRITABLE, WOKEN = 1, 2, 4
MOST_HELD_BACK = 5
"""Half of what the most cautious broker, RabbitMQ, sends at QoS 1 before it waits for acknowledgements."""
_FAREWELL_NS = 400_000_000
_MOST_READS = 16
"""In a row: what has arrived goes before what is due, which makes more arrive; but not for long."""
_UPKEEP_S = 0.25
"""Between checks whether a PINGREQ is due, or the broker has been silent for too long."""


class SocketLoop:
    """Waits for one connected client's socket, and reads and writes it."""

    def __init__(self, client: PlainClient, wakeup: Wakeup, gather_s: float = 0.0) -> None:
        """With `gather_s` messages gather for so long after each read: together they cost less.

        Not after a read of `MOST_HELD_BACK` at QoS 1: a broker that waits for acknowledgements has more. The
        kernel's stamp of the last message dates all of one read; without one they are dated by the read.
        """
        self._client = client
        self._wakeup = wakeup
        self._gather_s = gather_s
        self._acknowledged = 0
        if gather_s:
            client.read_together()
        self._has_read = False
        self._ready = readiness(wakeup)
        self._upkeep_due_s = 0.0

    def run_once(self, pause_s: float) -> bool:
        """Wait up to `pause_s` seconds; then read and write what there is, and keep the connection alive.

        True a few times a second: what else is due so often may be looked at.
        """
        self._wait(pause_s)
        now_s = monotonic()
        if now_s < self._upkeep_due_s:
            return False
        self._upkeep_due_s = now_s + _UPKEEP_S
        self._client.loop_misc()
        return True

    def leave(self, raw_ns: Callable[[], int]) -> None:
        """Wait a moment for acknowledgements of what was published, then disconnect."""
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
        if self._has_read:
            self._has_read = False
            if not client.more and client.acknowledged - self._acknowledged < MOST_HELD_BACK:
                self._wakeup.pause(self._gather_s)
                pause_s = 0.0  # it may have been woken
            self._acknowledged = client.acknowledged
        has_more = client.pending()  # it has read ahead
        try:
            ready = self._ready.wait(tcp, 0.0 if has_more else pause_s, writes=client.wants_to_write)
        except (OSError, ValueError):  # closed meanwhile; the next iteration returns
            return
        if ready & WOKEN:
            self._wakeup.drain()
        try:
            if ready & WRITABLE:
                client.flush()
                client.loop_write()
            if ready & READABLE or has_more:
                self._has_read = client.gathers
                self._read_all()
        except MemoryError:  # half of a packet may be lost: begin again
            note("connection", "the connection to the broker")
            tcp.close()
            client.loop_read()  # finds the end

    def _read_all(self) -> None:
        for _ in range(_MOST_READS):
            self._client.loop_read()
            if self._client.gathers or not self._client.more:
                break


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
        """End the current wait, or the next one."""
        with contextlib.suppress(BlockingIOError):  # it is awake already
            self._write.send(b"\0")

    def drain(self) -> None:
        """Consume all wake-ups, so that the next wait is not ended by them."""
        with contextlib.suppress(BlockingIOError):
            while self._read.recv(4096):
                pass

    def pause(self, seconds: float) -> None:
        """Wait for `wake`, up to `seconds`."""
        select.select([self._read], [], [], seconds)
        self.drain()


class Readiness(Protocol):
    """Waits for one socket at a time."""

    def wait(self, tcp: SocketLike, pause_s: float, *, writes: bool) -> int:
        """What is ready, waiting up to `pause_s`; OSError or ValueError when `tcp` is closed."""


class SelectReadiness:
    """By select, which every system has."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup

    def wait(self, tcp: SocketLike, pause_s: float, *, writes: bool) -> int:
        """What is ready, waiting up to `pause_s`."""
        readers: list[SocketLike | Wakeup] = [tcp, self._wakeup]
        readable, writable, _ = select.select(readers, [tcp] if writes else [], [], pause_s)
        return (
            (READABLE if tcp in readable else 0)
            | (WRITABLE if writable else 0)
            | (WOKEN if self._wakeup in readable else 0)
        )


if sys.platform != "win32":

    class PollReadiness:
        """By poll: the socket is registered once; waits are whole milliseconds, rounded up."""

        def __init__(self, wakeup: Wakeup) -> None:
            self._poll = select.poll()
            self._poll.register(wakeup, select.POLLIN)
            self._fd = -1
            self._writes = False

        def wait(self, tcp: SocketLike, pause_s: float, *, writes: bool) -> int:
            """What is ready, waiting up to `pause_s`."""
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
            self._fd = -1  # until `fd` is registered
            self._poll.register(fd, select.POLLIN | select.POLLOUT if writes else select.POLLIN)
            self._fd, self._writes = fd, writes


def readiness(wakeup: Wakeup) -> Readiness:
    """Poll where the system has it, else select."""
    if sys.platform != "win32" and hasattr(select, "poll"):
        return PollReadiness(wakeup)
    return SelectReadiness(wakeup)
