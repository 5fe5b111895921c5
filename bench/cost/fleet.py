"""`python -m bench.cost.fleet PORT COUNT FILE`: many vehicles in one process, as cheaply as Python allows.

They speak the messages' text without the models, over a socket: of each read all pings are answered in one
write. FILE holds how many were answered, as 8 bytes that others may read at any time, then the same of each
vehicle.
"""

from __future__ import annotations

import mmap
import re
import socket
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.peers.interleaving import raw_ns
from bench.peers.processes import LOOPBACK, exit_on_terminate
from broker.client.packets import KIND, PUBLISH, PacketReader, publish_packet, read_publish

if TYPE_CHECKING:
    from collections.abc import Sequence

_COUNT = struct.Struct("<q")
_READ = 1 << 18
_CONNECT = b"\x00\x04MQTT\x04\x02\x00\x00\x00\x05fleet"
_SUBSCRIBE = b"\x00\x01\x00\x1ctidesync/v1/vehicle/+/ping/+\x00"
_PING = re.compile(rb'"seq":(\d+),"nonce":"(\w+)"')
_TOPIC = re.compile(rb"(.*/rov)(\d+)/ping/(.*)")
_PONG = (
    b'{"v":1,"seq":%b,"nonce":"%b","receive_ns":%d,"transmit_ns":%d,"realtime_minus_raw_ns":%d,'
    b'"boot_id":"bench","instance_id":"bench","receive_stamp":"user","transmit_stamp":"user",'
    b'"resolution_ns":1}'
)


def answered(path: Path) -> int:
    """How many pings the fleet whose counter is `path` has answered."""
    return int(_COUNT.unpack_from(path.read_bytes())[0])


def answered_by_each(path: Path) -> Sequence[int]:
    """The same of each vehicle, by its number."""
    return memoryview(path.read_bytes()).cast("q").tolist()[1:]


def new_counter(path: Path, vehicles: int = 0) -> Path:
    path.write_bytes(bytes(_COUNT.size * (1 + vehicles)))
    return path


class Fleet:
    """Answers for every vehicle; all share one clock, this machine's."""

    def __init__(self, counts: memoryview) -> None:
        self._counts = counts
        self._reader = PacketReader()
        self._realtime_minus_raw_ns = time.time_ns() - raw_ns()

    def answers(self, data: bytes) -> bytes:
        """What to send after this was read: all of it had arrived by now, and nothing has been sent yet."""
        difference_ns, pongs = self._realtime_minus_raw_ns, []
        received_ns = raw_ns() + difference_ns
        for packet in self._reader.feed(data):
            if packet.command & KIND != PUBLISH:
                continue
            message = read_publish(packet)
            ping, topic = _PING.search(message.payload), _TOPIC.fullmatch(message.topic)
            assert ping, message
            assert topic, message
            stem, number, topside = topic.groups()
            pong = _PONG % (*ping.groups(), received_ns, raw_ns() + difference_ns, difference_ns)
            pongs.append(publish_packet(b"%b%b/pong/%b" % (stem, number, topside), pong))
            self._counts[1 + int(number)] += 1
        self._counts[0] += len(pongs)
        return b"".join(pongs)


def main() -> None:
    exit_on_terminate()
    port, count, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    online = [
        publish_packet(b"tidesync/v1/vehicle/rov%d/status" % number, b"online", retain=True)
        for number in range(count)
    ]
    with (
        path.open("r+b") as file,
        mmap.mmap(file.fileno(), _COUNT.size * (1 + count)) as counter,
        socket.create_connection((LOOPBACK, port)) as connection,
    ):
        fleet = Fleet(memoryview(counter).cast("q"))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"\x10%c" % len(_CONNECT) + _CONNECT)
        connection.sendall(b"\x82%c" % len(_SUBSCRIBE) + _SUBSCRIBE + b"".join(online))
        while data := connection.recv(_READ):
            if pongs := fleet.answers(data):
                connection.sendall(pongs)


if __name__ == "__main__":
    main()
