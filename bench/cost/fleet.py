"""`python -m bench.cost.fleet PORT COUNT FILE`: many vehicles in one process, as cheaply as paho allows.

They speak the messages' text without the models. FILE holds how many pings were answered, as 8 bytes that
others may read at any time.
"""

from __future__ import annotations

import json
import mmap
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.peers.interleaving import raw_ns
from bench.peers.plain_paho import connected_client
from bench.peers.processes import exit_on_terminate

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

_COUNT = struct.Struct("<q")
_PONG = (
    '{"v":1,"seq":%d,"nonce":"%s","receive_ns":%d,"transmit_ns":%d,"realtime_minus_raw_ns":%d,'
    '"boot_id":"bench","instance_id":"bench","receive_stamp":"user","transmit_stamp":"user",'
    '"resolution_ns":1}'
)


def answered(path: Path) -> int:
    """How many pings the fleet whose counter is `path` has answered."""
    return int(_COUNT.unpack(path.read_bytes())[0])


def new_counter(path: Path) -> Path:
    path.write_bytes(_COUNT.pack(0))
    return path


class Fleet:
    """Answers for every vehicle; all share one clock, this machine's."""

    def __init__(self, counter: mmap.mmap) -> None:
        self._counter = counter
        self._answered = 0
        self._realtime_minus_raw_ns = time.time_ns() - raw_ns()

    def on_message(self, client: Client, _data: object, message: MQTTMessage) -> None:
        received_ns = raw_ns() + self._realtime_minus_raw_ns
        ping = json.loads(message.payload)
        pong_topic = message.topic.replace("/ping/", "/pong/")
        transmit_ns = raw_ns() + self._realtime_minus_raw_ns
        stamps = (received_ns, transmit_ns, self._realtime_minus_raw_ns)
        client.publish(pong_topic, _PONG % (ping["seq"], ping["nonce"], *stamps))
        self._answered += 1
        _COUNT.pack_into(self._counter, 0, self._answered)


def main() -> None:
    exit_on_terminate()
    port, count, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    with path.open("r+b") as file, mmap.mmap(file.fileno(), _COUNT.size) as counter:
        client = connected_client(port)
        client.on_message = Fleet(counter).on_message
        client.subscribe("tidesync/v1/vehicle/+/ping/+", 0)
        for number in range(count):
            client.publish(f"tidesync/v1/vehicle/rov{number}/status", "online", qos=1, retain=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
