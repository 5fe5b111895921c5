"""Links to the broker that can be cut: a proxy for each program, all in one thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

from bench.soak_fleet.plan import HOST

_CHUNK = 65_536
_LOOK_S = 0.02


class Link:
    """While it is `cut`, nothing passes in either direction and no connection is made; none is closed."""

    def __init__(self, links: Links) -> None:
        self.cut = threading.Event()
        self._links = links
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"mqtt://{HOST}:{self.port}"
        asyncio.run_coroutine_threadsafe(self._serve(), links.loop).result()

    async def _serve(self) -> None:
        await asyncio.start_server(self._join, sock=self._listener)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._wait_while_cut()
            broker_reader, broker_writer = await asyncio.open_connection(HOST, self._links.broker_port)
        except OSError:
            writer.close()
            return
        for each in (writer, broker_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(self._pass(reader, broker_writer), self._pass(broker_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._wait_while_cut()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _wait_while_cut(self) -> None:
        while self.cut.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(_LOOK_S)


class Links:
    """Makes links to the broker at `broker_port`."""

    def __init__(self, broker_port: int) -> None:
        self.broker_port = broker_port
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="links", daemon=True).start()

    def link(self) -> Link:
        return Link(self)
