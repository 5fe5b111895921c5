"""`python -m bench.dashboard.chatter PORT COUNT RATE`: results of many vehicles, as of a topside."""

from __future__ import annotations

import json
import random
import sys
import time
from datetime import datetime

from bench.peers.plain_paho import connected_client
from bench.peers.processes import exit_on_terminate
from schemas.compat import UTC

_STATES = ("locked",) * 40 + ("acquiring", "holdover")


def result(number: int, chance: random.Random, began_s: float) -> dict[str, object]:
    """A result that differs from the last one in every number."""
    at = datetime.now(UTC)
    error_ms = 0.2 + chance.random()
    offset_ms = number * 1000.0 + 0.02 * (time.monotonic() - began_s) + chance.gauss(0, 0.05)
    return {
        "schema_version": 1,
        "vehicle": f"rov{number:02d}",
        "topside": "bench",
        "method": "mqtt_exchange_v1",
        "state": chance.choice(_STATES),
        "offset_ms": round(offset_ms, 6),
        "lower_ms": round(offset_ms - error_ms, 6),
        "upper_ms": round(offset_ms + error_ms, 6),
        "max_error_ms": round(error_ms, 6),
        "u95_ms": 0.05,
        "drift_ppm": round(chance.gauss(20, 1), 4),
        "drift_error_ppm": 0.8,
        "delay_min_ms": round(0.5 + chance.random() / 10, 6),
        "exchanges": 240,
        "rejected": 2,
        "segment": 0,
        "steps": 0,
        "boot_id": "bench",
        "measured_at": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "measured_unix_ms": int(at.timestamp() * 1000),
        "age_s": 0.0,
        "error": None,
    }


def main() -> None:
    exit_on_terminate()
    port, count, rate = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    client = connected_client(port)
    client.publish("tidesync/v1/topside/bench/status", "online", qos=1, retain=True)
    chance, began_s, sent = random.Random(1), time.monotonic(), 0
    while True:
        number = sent % count
        payload = json.dumps(result(number, chance, began_s))
        client.publish(f"tidesync/v1/vehicle/rov{number:02d}/offset/bench", payload, qos=1, retain=True)
        sent += 1
        time.sleep(max(0.0, began_s + sent / (count * rate) - time.monotonic()))


if __name__ == "__main__":
    main()
