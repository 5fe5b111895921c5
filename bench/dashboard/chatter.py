"""`python -m bench.dashboard.chatter PORT COUNT RATE`: results of many vehicles at QoS 1, as of a topside.

It writes packets itself, many at a time: so that a thousand results a second take little of the machine.
"""

from __future__ import annotations

import random
import socket
import sys
import time
from datetime import datetime
from itertools import count as counted

from bench.peers.processes import LOOPBACK, exit_on_terminate
from broker.client.packets import publish_packet
from schemas.compat import UTC

_CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench"
_TICK_S = 0.02
_READ = 1 << 16
_ODD = ("acquiring", "holdover", "stale", "unsynced")
_PAYLOAD = (
    '{"schema_version":1,"vehicle":"%s","topside":"bench","method":"mqtt_exchange_v1","state":"%s",'
    '"offset_ms":%.6f,"lower_ms":%.6f,"upper_ms":%.6f,"max_error_ms":%.6f,"u95_ms":0.05,"precision_ms":0.03,'
    '"drift_ppm":%.4f,"drift_error_ppm":0.8,"delay_min_ms":%.6f,"exchanges":240,"rejected":2,"segment":0,'
    '"steps":0,"boot_id":"bench","measured_at":"%s","measured_unix_ms":%d,"age_s":0.0,"conditional":false,'
    '"interval_s":%.1f,"rate":1.0,"instance_id":"bench","duplicates":null,"error":null}'
)


def name(number: int) -> str:
    return f"rov{number:04d}"


class Topside:
    """Publishes; the acknowledgements are read and not waited for."""

    def __init__(self, port: int) -> None:
        self._tcp = socket.create_connection((LOOPBACK, port))
        self._tcp.sendall(_CONNECT)
        self._tcp.recv(4)
        self._mids = counted(1)

    def publish(self, messages: list[tuple[str, str]]) -> None:
        self._tcp.sendall(
            b"".join(
                publish_packet(
                    f"tidesync/v1/{topic}".encode(),
                    payload.encode(),
                    retain=True,
                    mid=next(self._mids) % 65535 + 1,
                )
                for topic, payload in messages
            )
        )
        self._tcp.setblocking(False)
        try:
            while self._tcp.recv(_READ):
                pass
        except BlockingIOError:
            self._tcp.setblocking(True)


class Vehicles:
    """Nine of ten are locked; now and then one changes its state."""

    def __init__(self, count: int, rate_hz: float, *, changes: float = 0.001) -> None:
        """`changes`: the probability that a result has another state than the one before it."""
        self._chance = random.Random(1)
        self._interval_s = max(0.01, 1 / rate_hz)
        self._changes = changes
        self.states = [
            "locked" if self._chance.random() < 0.9 else self._chance.choice(_ODD) for _ in range(count)
        ]

    def result(self, number: int, elapsed_s: float, at: datetime) -> tuple[str, str]:
        """Its topic and payload: every number differs from the last ones."""
        chance, vehicle = self._chance, name(number)
        if chance.random() < self._changes:
            self.states[number] = chance.choice(("locked", *_ODD))
        error_ms = 0.2 + chance.random()
        offset_ms = 7.0 * number + 0.02 * elapsed_s + chance.gauss(0, 0.05)
        numbers = (offset_ms, offset_ms - error_ms, offset_ms + error_ms, error_ms, chance.gauss(20, 1))
        when = (at.isoformat(timespec="microseconds").replace("+00:00", "Z"), int(at.timestamp() * 1000))
        delay_ms = 0.5 + chance.random() / 10
        values = (vehicle, self.states[number], *numbers, delay_ms, *when, self._interval_s)
        return f"vehicle/{vehicle}/offset/bench", _PAYLOAD % values


def main() -> None:
    exit_on_terminate()
    port, count, rate = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    topside, vehicles = Topside(port), Vehicles(count, rate)
    topside.publish(
        [("topside/bench/status", "online"), *((f"vehicle/{name(n)}/status", "online") for n in range(count))]
    )
    began_s, sent = time.monotonic(), 0
    while True:
        elapsed_s, at = time.monotonic() - began_s, datetime.now(UTC)
        due = int(elapsed_s * count * rate)
        topside.publish([vehicles.result(number % count, elapsed_s, at) for number in range(sent, due)])
        sent = due
        time.sleep(_TICK_S)


if __name__ == "__main__":
    main()
