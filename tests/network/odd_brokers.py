"""A broker with the ways of RabbitMQ 3.10 or NATS: mosquitto behind a proxy that reads the packets."""

import asyncio
import struct
import threading
from contextlib import suppress

from broker.client.packets import PUBLISH, SUBACK, MalformedPacketError, PacketReader

_SUBSCRIBE = 0x80
_RETAINED, _QOS_1 = 0x01, 0x02


class OddBroker:
    """Sends nothing retained to wildcards (RabbitMQ); ends a connection at a topic with one of `ends_at`.

    As a cluster that has lost its leader, it refuses the first `refusals` subscriptions, and answers none
    while they are held (`hold`), nor sends anything behind that answer.
    """

    def __init__(self, broker_port, *, retained_to_wildcards=True, ends_at=(), refusals=0):
        self._upstream = broker_port
        self._retained_to_wildcards = retained_to_wildcards
        self.ends_at = ends_at
        self.refusals = refusals
        self.closed = False
        """Whether it lets nobody in."""
        self.held = 0
        """Subscriptions whose answer was held back."""
        self._granting, self._storing = asyncio.Event(), asyncio.Event()
        self._granting.set()
        self._storing.set()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def stop(self):
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def stall(self):
        """Read nothing more from a client that sends a message at QoS 1, as NATS without a leader."""
        self._loop.call_soon_threadsafe(self._storing.clear)

    def recover(self):
        """Store them."""
        self._loop.call_soon_threadsafe(self._storing.set)

    async def _end(self):
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _store(self, command, body):
        if command & 0xF0 == PUBLISH and command & _QOS_1:
            await self._storing.wait()
        return body

    def hold(self):
        """Answer no subscription from now on."""
        self._loop.call_soon_threadsafe(self._granting.clear)

    def release(self):
        """Answer them."""
        self._loop.call_soon_threadsafe(self._granting.set)

    async def _answer(self, command, body):
        if command & 0xF0 != SUBACK:
            return body
        if not self._granting.is_set():
            self.held += 1
            await self._granting.wait()
        if self.refusals > 0:
            self.refusals -= 1
            return body[:2] + b"\x80" * len(body[2:])
        return body

    async def _serve(self, from_client, to_client):
        if self.closed:
            to_client.close()
            return
        from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._upstream)
        exact = set()

        def of_client(command, body):
            if command & 0xF0 == _SUBSCRIBE:
                names = list(_filters(body))
                exact.update(name for name in names if not {"+", "#"} & set(name))
            elif command & 0xF0 == PUBLISH:
                names = [_topic(body)]
            else:
                return True
            if any(each in name for name in names for each in self.ends_at):
                raise ConnectionAbortedError
            return True

        def of_broker(command, body):
            retained = command & 0xF0 == PUBLISH and command & _RETAINED
            return self._retained_to_wildcards or not retained or _topic(body) in exact

        tasks = [
            asyncio.create_task(_carry(from_client, to_broker, of_client, self._store)),
            asyncio.create_task(_carry(from_broker, to_client, of_broker, self._answer)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for writer in (to_client, to_broker):
            writer.close()
        for task in tasks:
            task.cancel()


async def _carry(reader, writer, passes, delayed):
    packets = PacketReader()
    with suppress(OSError, MalformedPacketError):
        while data := await reader.read(1 << 16):
            for command, body, _ in packets.feed(data):
                if passes(command, body):
                    await writer.drain()
                    body = await delayed(command, body)  # noqa: PLW2901
                    writer.write(bytes((command,)) + _length(len(body)) + body)
            await writer.drain()


def _length(size):
    made = bytearray()
    while size >= 0x80:
        made.append(size & 0x7F | 0x80)
        size >>= 7
    made.append(size)
    return bytes(made)


def _topic(body):
    (size,) = struct.unpack_from("!H", body)
    return body[2 : 2 + size].decode()


def _filters(body):
    at = 2
    while at < len(body):
        (size,) = struct.unpack_from("!H", body, at)
        yield body[at + 2 : at + 2 + size].decode()
        at += 3 + size
