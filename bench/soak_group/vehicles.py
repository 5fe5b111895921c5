"""`python -m bench.soak_group.vehicles PORT COUNT DIFFERENCE_NS`: many vehicles in one process.

Their clocks are this machine's RAW plus DIFFERENCE_NS, each a second more than the one before, so that the
truth is known, and that no vehicle can be taken for another.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from bench.peers.interleaving import raw_ns
from bench.peers.plain_paho import connected_client
from bench.peers.processes import exit_on_terminate
from schemas import topics
from schemas.messages import Ping, Pong

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

ROOT = "tidesync"
APART_NS = 1_000_000_000


def name_of(number: int) -> str:
    return f"rov{number}"


def number_of(vehicle: str) -> int:
    return int(vehicle.removeprefix("rov"))


class Vehicles:
    """Answers for all of them."""

    def __init__(self, difference_ns: int) -> None:
        self._difference_ns = difference_ns

    def on_message(self, client: Client, _data: object, message: MQTTMessage) -> None:
        received_ns = raw_ns()
        topic, ping = topics.parse(ROOT, message.topic), Ping.decode(bytes(message.payload))
        vehicle, topside = topic.vehicle or "", topic.topside or ""
        difference_ns = self._difference_ns + number_of(vehicle) * APART_NS
        pong = Pong(
            seq=ping.seq,
            nonce=ping.nonce,
            receive_ns=received_ns + difference_ns,
            transmit_ns=raw_ns() + difference_ns,
            realtime_minus_raw_ns=difference_ns,
            boot_id=f"boot-{vehicle}",
            instance_id=f"instance-{vehicle}",
            receive_stamp="user",
            transmit_stamp="user",
            resolution_ns=1,
        )
        client.publish(topics.build(ROOT, topics.PONG, vehicle=vehicle, topside=topside), pong.encode())


def main() -> None:
    exit_on_terminate()
    port, count, difference_ns = map(int, sys.argv[1:])
    client = connected_client(port)
    client.on_message = Vehicles(difference_ns).on_message
    client.subscribe(topics.subscription(ROOT, topics.PING), 0)
    for number in range(count):
        status = topics.build(ROOT, topics.STATUS, vehicle=name_of(number))
        client.publish(status, "online", qos=1, retain=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
