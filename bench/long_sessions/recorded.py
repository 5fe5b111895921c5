"""A session of any length, as a recorder would have left it: 4 exchanges a second with each vehicle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from topside_agent.estimator.exchanges import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from topside_agent.estimator.blocks import Integers

RATE_HZ = 4.0
_BEGAN_RAW_NS = 36_800 * 10**9
_REALTIME_MINUS_RAW_NS = 1_777_600_000 * 10**9
_LEAST_NS = 300_000
_QUEUE_NS = 200_000
_OWN_NS = 100_000
_WAVE_NS, _WAVE_S = 2e6, 3000.0
_CHUNK = 20_000


def write_session(folder: Path, vehicles: int, each: int) -> None:
    """Write the exchanges of so many vehicles, `each` so many, in the order of time."""
    (folder / "time_sync").mkdir(parents=True)
    (folder / "sync_metadata.json").write_text(json.dumps({"mission": "bench", "timeSync": {}}))
    with (folder / "time_sync" / "exchanges.jsonl").open("w") as journal:
        for begin in range(0, each, _CHUNK):
            seqs = np.arange(begin, min(begin + _CHUNK, each))
            of_vehicles = [_lines(number, vehicles, seqs) for number in range(vehicles)]
            for lines in zip(*of_vehicles, strict=True):
                journal.writelines(lines)


def _lines(number: int, vehicles: int, seqs: Integers) -> Iterator[str]:
    """The lines of one vehicle: queues are exponential, clocks drift, and realtime is slewed slowly."""
    rng = np.random.default_rng([number, int(seqs[0])])
    drift, name = (number - vehicles / 2) * 5e-6, f"rov{number + 1}"
    origin = ((seqs + number / vehicles) / RATE_HZ * 1e9).astype(np.int64)
    origin += rng.integers(0, 10**6, seqs.size)
    there, back = (_LEAST_NS + rng.exponential(_QUEUE_NS, seqs.size).astype(np.int64) for _ in range(2))
    receive, transmit = origin + there, origin + there + _OWN_NS
    destination = transmit + back
    ahead = [((stamp * drift) + number * 10**9).astype(np.int64) for stamp in (receive, transmit)]
    slewed = [(_WAVE_NS * np.sin(origin * 1e-9 / _WAVE_S + of)).astype(np.int64) for of in (0, number + 1)]
    topside, pi = (_REALTIME_MINUS_RAW_NS + wave + rng.integers(-150, 150, seqs.size) for wave in slewed)
    stamps = (origin + topside, receive + ahead[0] + pi, transmit + ahead[1] + pi, destination + topside)
    columns = (seqs, *(stamp + _BEGAN_RAW_NS for stamp in stamps), pi, topside)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return (_line(name, dict(zip(NUMBERS, row, strict=True))) for row in rows)


def _line(vehicle: str, numbers: dict[str, int]) -> str:
    named = {
        "vehicle": vehicle,
        "topside": "topside",
        "method": "mqtt_exchange_v1",
        "boot_id": f"b-{vehicle}",
    }
    labels = {"topside_boot_id": "b-topside", "instance_id": "i-topside", "receive_stamp": "kernel"}
    return json.dumps({**named, **numbers, **labels, "transmit_stamp": "write"}, separators=(",", ":")) + "\n"
