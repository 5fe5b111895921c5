"""Ours: the real agents as processes of their own, `tidesync pi` and `tidesync topside`, through mosquitto.

Three rows. Two make each estimate from the exchanges of its own ten seconds, as the peers' are made: as
it is known at their end, and as `tidesync estimate` has it afterwards, at the instant in them where it is
surest. The third is what topside publishes, which remembers all since it started, as chrony does.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from bench.peers.contestant import Contestant, Outcome
from bench.peers.estimates import Estimate
from bench.peers.exchanges import Stamps
from bench.peers.interleaving import name_at
from bench.peers.plain_paho import connected_client
from bench.peers.processes import installed, wait_until
from bench.tables import share
from schemas.messages import ExchangeBatch, OffsetResult
from topside_agent.estimator import OffsetEstimator, smooth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paho.mqtt.client import Client, MQTTMessage

    from bench.peers.estimates import Window
    from bench.peers.setup import Setup
    from schemas.exchange import Exchange

RATE_HZ = 10.0
BATCH_S = 1.6
"""Finished exchanges are published within this."""


class Listener:
    """Keeps what topside publishes of the one vehicle."""

    def __init__(self, port: int) -> None:
        self.exchanges: list[Exchange] = []
        self.results: list[OffsetResult] = []
        self._lock = threading.Lock()
        self._client = connected_client(port)
        self._client.on_message = self._on_message
        self._client.subscribe([(f"tidesync/v1/vehicle/+/{what}", 1) for what in ("exchange/+", "offset/+")])

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        what, payload = message.topic.split("/")[4], bytes(message.payload)
        with self._lock:
            if what == "exchange":
                self.exchanges += ExchangeBatch.decode(payload).exchanges
            else:
                self.results.append(OffsetResult.decode(payload))

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def from_window(exchanges: Sequence[Exchange]) -> Estimate:
    """What the online estimator knows at the end, given nothing but these."""
    estimator = OffsetEstimator()
    for exchange in exchanges:
        estimator.add(exchange)
    found = estimator.estimate()
    assert found is not None  # at least one exchange is in
    return Estimate(found.offset_ns, found.max_error_ns, _median_delay_ns(exchanges), len(exchanges))


def afterwards(exchanges: Sequence[Exchange]) -> Estimate:
    """The smoothed track where its bound is narrowest."""
    row = min(smooth(exchanges).rows, key=lambda row: row.upper_ns - row.lower_ns)
    worst_ns = max(row.upper_ns - row.offset_ns, row.offset_ns - row.lower_ns)
    return Estimate(row.offset_ns, worst_ns, _median_delay_ns(exchanges), len(exchanges))


def _median_delay_ns(exchanges: Sequence[Exchange]) -> int:
    return sorted(e.delay_ns for e in exchanges)[len(exchanges) // 2]


def shown(kinds: Counter[str]) -> str:
    """Where the vehicle's stamps were taken, in shares of the exchanges."""
    return ", ".join(f"{kind} {share(count / kinds.total())}" for kind, count in kinds.most_common())


class Ours(Contestant):
    """The agents' sides, and a listener in this process that takes no part in any exchange."""

    def missing(self) -> str | None:
        return None if installed("mosquitto") else "mosquitto is not installed"

    def serve(self, setup: Setup) -> None:
        self._broker = setup.mosquitto_port
        self._pi_port = setup.link("tcp", self._broker, answerer_connects=True)

    def begin(self, setup: Setup) -> None:
        self._listener = Listener(self._broker)
        name = name_at(0.0, RATE_HZ)
        start = setup.programs.python
        pi_url, topside_url = (f"mqtt://127.0.0.1:{port}" for port in (self._pi_port, self._broker))
        self.answering = [
            start("pi", "tidesync", "-q", "pi", "--broker", pi_url, "--vehicle", name, "--no-http")
        ]
        self.asking = [
            start(
                "topside",
                "tidesync",
                "-q",
                "topside",
                "--topside",
                "topside",
                "--broker",
                topside_url,
                "--rate",
                RATE_HZ,
                "--no-udp",
            )
        ]

    def ready(self, setup: Setup) -> None:  # noqa: ARG002 - the listener has all it needs
        wait_until(lambda: bool(self._listener.exchanges), "ours: the first exchanges")

    def outcome(self, windows: Sequence[Window]) -> Outcome:
        self._listener.stop()
        exchanges = sorted(self._listener.exchanges, key=lambda e: e.destination_ns)
        parts = [[e for e in exchanges if begin <= e.destination_ns < end] for begin, end in windows]
        then = [from_window(part) for part in parts if part]
        live = [estimate for window in windows for estimate in self._published(window)]
        singles = [
            Stamps(e.origin_ns, e.receive_ns, e.transmit_ns, e.destination_ns) for part in parts for e in part
        ]
        kinds = Counter(f"{e.receive_stamp} and {e.transmit_stamp}" for part in parts for e in part)
        later = [afterwards(part) for part in parts if part]
        rows = {"ours": then, "ours, afterwards": later, "ours, live": live}
        return Outcome(rows, singles, len(singles), shown(kinds))

    def _published(self, window: Window) -> list[Estimate]:
        """The last result of the window."""
        begin_ms, end_ms = (at_ns / 1e6 for at_ns in window)
        inside = [r for r in self._listener.results if begin_ms <= (r.measured_unix_ms or 0) < end_ms]
        if not inside or (last := inside[-1]).offset_ms is None:
            return []
        numbers = (last.offset_ms, last.max_error_ms or 0.0, last.delay_min_ms or 0.0)
        offset_ns, max_error_ns, delay_ns = (ms * 1e6 for ms in numbers)
        return [Estimate(offset_ns, max_error_ns, delay_ns, last.exchanges)]
