"""What a soak is judged by: who measured which vehicle when, and every result beside the truth."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple

from bench.peers.plain_paho import connected_client, subscribe
from bench.soak_group.vehicles import APART_NS, ROOT, number_of
from runtime.clock import SystemClock, read
from schemas import topics

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

_REMEMBERED_S = 30.0
"""A result is dated by a clock as it was at the most so long ago."""
_READ_EVERY_S = 0.2


class Bound(NamedTuple):
    """A locked result that rests on a fresh exchange."""

    at_s: float
    topside: str
    max_error_ms: float
    width_ms: float


class Observer:
    """Times are this machine's RAW, in s. Its lists grow while others read them."""

    def __init__(self, port: int, difference_ns: int) -> None:
        self.pongs: dict[str, list[tuple[float, str]]] = defaultdict(list)
        """By vehicle: when a topside was answered, and which."""
        self.bounds: dict[str, list[Bound]] = defaultdict(list)
        self.first_beat_s: dict[str, float] = {}
        self.results = 0
        self.wrong: list[str] = []
        self._difference_ns = difference_ns
        self._clock = SystemClock()
        self._readings: deque[tuple[float, int]] = deque()
        self._ended = threading.Event()
        self._client = connected_client(port)
        self._client.on_message = self._on_message
        for kind in (topics.PONG, topics.OFFSET, topics.TOPSIDE_HEARTBEAT):
            subscribe(self._client, topics.subscription(ROOT, kind))
        threading.Thread(target=self._read_clock, name="clock", daemon=True).start()

    @property
    def now_s(self) -> float:
        return self._clock.raw_ns() / 1e9

    def stop(self) -> None:
        self._ended.set()
        self._client.disconnect()
        self._client.loop_stop()

    def measured(self, vehicle: str, since_s: float, but: str | None = None) -> tuple[float, str] | None:
        """The first answer after that, to any topside but one."""
        first = None
        for at_s, topside in reversed(list(self.pongs[vehicle])):
            if at_s <= since_s:
                break
            first = (at_s, topside) if topside != but else first
        return first

    def owners(self, vehicle: str, since_s: float) -> set[str]:
        """Those that were answered after that."""
        found = set()
        for at_s, topside in reversed(list(self.pongs[vehicle])):
            if at_s <= since_s:
                break
            found.add(topside)
        return found

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        topic, now_s = topics.parse(ROOT, message.topic), self.now_s
        vehicle, topside = topic.vehicle or "", topic.topside or ""
        if topic.kind is topics.PONG:
            self.pongs[vehicle].append((now_s, topside))
        elif topic.kind is topics.TOPSIDE_HEARTBEAT:
            self.first_beat_s.setdefault(topside, now_s)
        elif message.payload and not message.retain:
            self._on_result(vehicle, topside, bytes(message.payload), now_s)

    def _on_result(self, vehicle: str, topside: str, payload: bytes, now_s: float) -> None:
        result = topics.OFFSET.decode(payload)
        assert not isinstance(result, str)
        values = result.model_dump()
        if values["lower_ms"] is None:
            return
        self.results += 1
        difference_ns, width_ns = self._realtime_minus_raw()
        true_ms = (self._difference_ns + number_of(vehicle) * APART_NS - difference_ns) / 1e6
        width_ms = width_ns / 1e6
        if not values["lower_ms"] - width_ms <= true_ms <= values["upper_ms"] + width_ms:
            self.wrong.append(
                f"{vehicle} by {topside}, {values['state']}: {values['lower_ms']} to {values['upper_ms']} ms,"
                f" in truth {true_ms} ± {width_ms}"
            )
        if values["state"] == "locked" and not values["age_s"]:
            self.bounds[vehicle].append(
                Bound(now_s, topside, values["max_error_ms"], values["upper_ms"] - values["lower_ms"])
            )

    def _read_clock(self) -> None:
        while not self._ended.wait(_READ_EVERY_S):
            reading = read(self._clock)
            self._readings.append((reading.raw_ns / 1e9, reading.realtime_minus_raw_ns))
            while self._readings[0][0] < self.now_s - _REMEMBERED_S:
                self._readings.popleft()

    def _realtime_minus_raw(self) -> tuple[int, int]:
        """The machine's, now, and how far it has moved of late, with the reading's own width."""
        reading = read(self._clock)
        known = [difference for _, difference in list(self._readings)] + [reading.realtime_minus_raw_ns]
        return reading.realtime_minus_raw_ns, max(known) - min(known) + reading.width_ns
