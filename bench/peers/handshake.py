"""The original handshake: one GET of /api/sync/time by whole milliseconds; and the same with nanoseconds.

Answered by this repository's own router under uvicorn, which serves what the original serves; the answer in
nanoseconds stands beside it at another path. Each handshake has a connection of its own, as it has when it is
made once a recording.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.peers.exchanges import Log, Stamps
from bench.peers.interleaving import slots
from bench.peers.processes import LOOPBACK, exit_on_terminate

if TYPE_CHECKING:
    from collections.abc import Iterable

PATHS = {"ms": "/api/sync/time", "ns": "/time_ns"}
_TIMEOUT_S = 5.0


def answer(port: int) -> None:
    """Serve until stopped."""
    import uvicorn  # noqa: PLC0415 - the asking side's memory is measured without it
    from fastapi import FastAPI  # noqa: PLC0415

    from pi_agent.http import router  # noqa: PLC0415

    app = FastAPI()
    app.include_router(router)

    @app.get(PATHS["ns"])
    async def time_ns() -> dict[str, int]:
        return {"pi_unix_ns": time.time_ns()}

    uvicorn.run(app, host=LOOPBACK, port=port, log_level="warning", access_log=False)


def ask(port: int, unit: str, when: Iterable[int], results: Path) -> None:
    """Make handshakes in turn; leave them in `results` at the end."""
    handshake = _in_ms if unit == "ms" else _in_ns
    with Log(results) as log:
        for _ in when:
            log.add(handshake(port))


def _in_ms(port: int) -> Stamps:
    """As the original: whole milliseconds on both sides."""
    origin_ms = time.time_ns() // 1_000_000
    pi_ms = _get(port, PATHS["ms"])["pi_unix_ms"]
    destination_ms = time.time_ns() // 1_000_000
    return Stamps(*(ms * 1_000_000 for ms in (origin_ms, pi_ms, pi_ms, destination_ms)))


def _in_ns(port: int) -> Stamps:
    origin_ns = time.time_ns()
    pi_ns = _get(port, PATHS["ns"])["pi_unix_ns"]
    return Stamps(origin_ns, pi_ns, pi_ns, time.time_ns())


def _get(port: int, path: str) -> dict[str, int]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        answered: dict[str, int] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answered


def main() -> None:
    """`… answer PORT` or `… ask PORT UNIT RATE PLACE SECONDS FILE`."""
    exit_on_terminate()
    what, port, *rest = sys.argv[1:]
    if what == "answer":
        answer(int(port))
    else:
        unit, rate_hz, place, seconds, results = rest
        ask(int(port), unit, slots(float(rate_hz), float(place), float(seconds)), Path(results))


if __name__ == "__main__":
    main()
