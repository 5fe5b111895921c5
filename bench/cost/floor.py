"""The floor: the same exchange between two smallest asyncio programs, straight over TCP, no MQTT library."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from pathlib import Path

from bench.peers.exchanges import Log, Stamps
from bench.peers.interleaving import raw_ns
from bench.peers.processes import LOOPBACK, exit_on_terminate

_QUESTION = struct.Struct("<q")
_ANSWER = struct.Struct("<qqq")


class _Answerer(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        receive_ns = time.time_ns()
        for (origin_ns,) in _QUESTION.iter_unpack(data):  # several, where this program was kept waiting
            self._transport.write(_ANSWER.pack(origin_ns, receive_ns, time.time_ns()))


class _Inlet(asyncio.Protocol):
    def __init__(self, log: Log) -> None:
        self._log = log

    def data_received(self, data: bytes) -> None:
        destination_ns = time.time_ns()
        for origin_ns, receive_ns, transmit_ns in _ANSWER.iter_unpack(data):
            self._log.add(Stamps(origin_ns, receive_ns, transmit_ns, destination_ns))


async def answer(port: int) -> None:
    """Answer until stopped."""
    server = await asyncio.get_running_loop().create_server(_Answerer, LOOPBACK, port)
    await server.serve_forever()


async def ask(port: int, rate_hz: float, place: float, seconds: float, results: Path) -> None:
    """Ask in turn; leave the exchanges in `results` at the end."""
    interval_ns = round(1e9 / rate_hz)
    end_ns = raw_ns() + round(seconds * 1e9)
    with Log(results) as log:
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: _Inlet(log), LOOPBACK, port)
        while (now_ns := raw_ns()) < end_ns:
            due_ns = (now_ns // interval_ns + 1) * interval_ns + round(place * interval_ns)
            await asyncio.sleep((due_ns - now_ns) / 1e9)
            transport.write(_QUESTION.pack(time.time_ns()))


def main() -> None:
    """`… answer PORT` or `… ask PORT RATE PLACE SECONDS FILE`."""
    exit_on_terminate()
    what, port, *rest = sys.argv[1:]
    if what == "answer":
        asyncio.run(answer(int(port)))
    else:
        rate_hz, place, seconds = map(float, rest[:3])
        asyncio.run(ask(int(port), rate_hz, place, seconds, Path(rest[3])))


if __name__ == "__main__":
    main()
