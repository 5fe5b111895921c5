"""`python -m bench.peers.ntp_client PORT RATE PLACE SECONDS FILE`: ntplib asks an NTP server in turn."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import ntplib

from bench.peers.exchanges import Log, Stamps
from bench.peers.interleaving import slots
from bench.peers.processes import LOOPBACK, exit_on_terminate

_TIMEOUT_S = 1.0


def ask(port: int, rate_hz: float, place: float, seconds: float, results: Path) -> None:
    """Its stamps are floats of seconds since 1900: half a microsecond is the finest that they tell."""
    client = ntplib.NTPClient()
    with Log(results) as log:
        for _ in slots(rate_hz, place, seconds):
            with suppress(ntplib.NTPException):  # no answer in time
                reply = client.request(LOOPBACK, version=4, port=port, timeout=_TIMEOUT_S)
                stamps = (reply.orig_time, reply.recv_time, reply.tx_time, reply.dest_time)
                log.add(Stamps(*(round(stamp * 1e9) for stamp in stamps)))


def main() -> None:
    exit_on_terminate()
    port, rate_hz, place, seconds, results = sys.argv[1:]
    ask(int(port), float(rate_hz), float(place), float(seconds), Path(results))


if __name__ == "__main__":
    main()
