"""Delaying proxies on loopback, one process for all: TCP keeps its order, UDP need not."""

from __future__ import annotations

import asyncio
import contextlib
import random
import selectors
import socket
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from bench.peers.laws import Law
from bench.peers.processes import LOOPBACK, exit_on_terminate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHUNK = 65536
_MOST_CLIENTS = 64
"""UDP clients kept; the one silent longest gives its place."""

Kind = Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True)
class Route:
    """Listens on `port`, passes on to `target` (both of loopback); `there` delays what the client sends."""

    kind: Kind
    port: int
    target: int
    there: Law
    back: Law

    @classmethod
    def parse(cls, text: str) -> Route:
        """The inverse of `str`."""
        kind, port, target, there, back = text.split(":")
        return cls(
            "tcp" if kind == "tcp" else "udp", int(port), int(target), Law.parse(there), Law.parse(back)
        )

    def __str__(self) -> str:
        return f"{self.kind}:{self.port}:{self.target}:{self.there}:{self.back}"


class Line:
    """One direction: delivers each piece after its delay; with `ordered`, never before an earlier one."""

    def __init__(
        self, law: Law, rng: random.Random, deliver: Callable[[bytes], object], *, ordered: bool
    ) -> None:
        self._law = law
        self._rng = rng
        self._deliver = deliver
        self._ordered = ordered
        self._last_s = 0.0
        self._loop = asyncio.get_running_loop()

    def carry(self, piece: bytes) -> None:
        due_s = self._loop.time() + self._law.draw(self._rng)
        if self._ordered:
            # Timers of one instant fire in any order, so that equal instants are set apart.
            due_s = max(due_s, self._last_s + 1e-7)
            self._last_s = due_s
        self._loop.call_at(due_s, self._deliver, piece)


async def serve(routes: Sequence[Route], rng: random.Random) -> None:
    """Run until cancelled."""
    async with contextlib.AsyncExitStack() as stack:
        for route in routes:
            if route.kind == "tcp":
                await stack.enter_async_context(await _serve_tcp(route, rng))
            else:
                stack.callback((await _serve_udp(route, rng)).close)
        await asyncio.Event().wait()


async def _serve_tcp(route: Route, rng: random.Random) -> asyncio.Server:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, route.target)
        except OSError:
            writer.close()
            return
        for end in (writer, far_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(
            _pump(reader, far_writer, route.there, rng), _pump(far_reader, writer, route.back, rng)
        )

    return await asyncio.start_server(connected, LOOPBACK, route.port)


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, law: Law, rng: random.Random
) -> None:
    """Carry pieces until the sender closes; the close takes its turn behind them."""

    def deliver(piece: bytes) -> None:
        if piece and not writer.is_closing():
            writer.write(piece)
        elif not piece:
            writer.close()

    line = Line(law, rng, deliver, ordered=True)
    with contextlib.suppress(OSError):
        while piece := await reader.read(_CHUNK):
            line.carry(piece)
    line.carry(b"")


class _UdpFront(asyncio.DatagramProtocol):
    """The listening socket: gives each client a socket of its own towards the target."""

    def __init__(self, route: Route, rng: random.Random) -> None:
        self._route = route
        self._rng = rng
        self._clients: OrderedDict[tuple[str, int], tuple[socket.socket, Line]] = OrderedDict()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        while self._clients:
            self._forget()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr not in self._clients:
            self._clients[addr] = self._admit(addr)
        self._clients.move_to_end(addr)
        self._clients[addr][1].carry(data)

    def _admit(self, client: tuple[str, int]) -> tuple[socket.socket, Line]:
        if len(self._clients) >= _MOST_CLIENTS:
            self._forget()
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far.setblocking(False)
        far.connect((LOOPBACK, self._route.target))
        back = Line(self._route.back, self._rng, lambda data: self._return(data, client), ordered=False)
        self._loop.add_reader(far, _relay, far, back)
        return far, Line(self._route.there, self._rng, lambda data: _send(far, data), ordered=False)

    def _forget(self) -> None:
        far, _ = self._clients.popitem(last=False)[1]
        self._loop.remove_reader(far)
        far.close()

    def _return(self, data: bytes, client: tuple[str, int]) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(data, client)


def _relay(far: socket.socket, line: Line) -> None:
    with contextlib.suppress(OSError):  # refused: the target is not there yet
        line.carry(far.recv(_CHUNK))


def _send(far: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # closed or refused: datagrams get lost
        far.send(data)


async def _serve_udp(route: Route, rng: random.Random) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _UdpFront(route, rng), local_addr=(LOOPBACK, route.port)
    )
    return transport


def exact_loop() -> asyncio.AbstractEventLoop:
    """A loop whose timers fire to some tens of us: epoll's are rounded up to whole milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main() -> None:
    """`python -m bench.peers.proxy SEED ROUTE…`, until it is stopped."""
    exit_on_terminate()
    routes = [Route.parse(text) for text in sys.argv[2:]]
    with asyncio.Runner(loop_factory=exact_loop) as runner:
        runner.run(serve(routes, random.Random(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
