"""Topside's UDP sockets, one for each address family, opened when first needed."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
from typing import TYPE_CHECKING, Any

from runtime.logs import PeerLog
from runtime.stamped_socket import StampedSocket

if TYPE_CHECKING:
    from runtime.clock import Clock
    from runtime.stamped_socket import SocketAddress
    from topside_agent.udp.interface import Address

_log = logging.getLogger(__name__)

_MOST_KNOWN = 4096
_READABLE = getattr(select, "POLLIN", 1)


class Sockets:
    """Sends to addresses, and waits for datagrams; `wake` may be called from any thread."""

    def __init__(self, clock: Clock, make: type[StampedSocket] = StampedSocket) -> None:
        self._clock, self._make = clock, make
        self._families: dict[int, StampedSocket] = {}
        self._known: dict[Address, tuple[int, SocketAddress]] = {}
        self._faults = PeerLog(_log)
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._poll = _Poll()
        self._poll.add(self._wake_read.fileno())
        self._sources: dict[int, StampedSocket] = {}

    def send(self, data: bytes, address: Address) -> tuple[StampedSocket, int] | None:
        """The socket that sent it and the datagram's number there; None: it could not be sent."""
        try:
            family, to = self._known.get(address) or self._resolve(address)
            used = self._families.get(family) or self._open(family)
        except OSError as error:
            self._faults.info(
                address, f"{address}: no datagram can be sent there: {error}", self._clock.raw_ns()
            )
            return None
        number = used.send(data, to)
        if number is None:
            self._known.pop(address, None)  # its interface may have another number now
            return None
        return used, number

    def wait(self, seconds: float) -> list[StampedSocket]:
        """Those sockets that have something, after `seconds` at the most."""
        readable = []
        for source in self._poll.wait(seconds):
            if used := self._sources.get(source):
                readable.append(used)
            else:
                self._wake_read.recv(4096)
        return readable

    def wake(self) -> None:
        """End the wait."""
        with contextlib.suppress(OSError):  # it is full, or closed: either way the wait ends
            self._wake_write.send(b"x")

    def close(self) -> None:
        """Close all."""
        for used in self._families.values():
            used.close()
        self._wake_read.close()
        self._wake_write.close()

    def _resolve(self, address: Address) -> tuple[int, SocketAddress]:
        """Numeric only: no name server is asked, which might take seconds."""
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM, flags=flags)
        family, _, _, _, to = found[0]
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[address] = int(family), to  # type: ignore[assignment]
        return self._known[address]

    def _open(self, family: int) -> StampedSocket:
        used = self._families[family] = self._make(family)
        if used.refused:
            _log.info("datagrams are stamped in user space: %s", used.refused)
        self._sources[used.socket.fileno()] = used
        self._poll.add(used.socket.fileno())
        return used


class _Poll:
    """poll(2), where the system has it; select(2) takes no descriptor above 1023."""

    def __init__(self) -> None:
        self._poll: Any = getattr(select, "poll", list)()
        self._sources: list[int] = []

    def add(self, source: int) -> None:
        self._sources.append(source)
        if hasattr(self._poll, "register"):
            self._poll.register(source, _READABLE)

    def wait(self, seconds: float) -> list[int]:
        if hasattr(self._poll, "register"):
            return [source for source, _ in self._poll.poll(seconds * 1000)]
        return select.select(self._sources, [], [], seconds)[0]
