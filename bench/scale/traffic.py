"""The messages of a fleet at rest, counted: the real agents on simulated clocks, links and broker."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from schemas import topics
from tests.simulation.simulated import Simulation
from tests.simulation.simulated_machines import Link
from tidesync.fleet.model import KINDS
from topside_agent.settings import TopsideSettings

if TYPE_CHECKING:
    from schemas.topic_kind import TopicKind

WARM_UP_S = 60.0
COUNTED_S = 120.0
RECORDED = (topics.EXCHANGE, topics.EVENT, topics.VEHICLE_CLOCK, topics.TOPSIDE_CLOCK)
"""What a recorder takes beside the results, while it records."""
READ_BY = {
    topics.PING: ("vehicle",),
    topics.PONG: ("topside",),
    topics.STATUS: ("vehicle", "topside"),
    topics.INFO: ("topside",),
    topics.EVENT: ("topside",),
    topics.VEHICLE_CLOCK: ("topside",),
}
"""Who takes each message of a vehicle that one topside measures, besides recorders and dashboards."""
_ACK_BYTES = 4


class Kind(NamedTuple):
    """The messages of one topic a second and vehicle, and the bytes of one as MQTT has them on the wire."""

    kind: TopicKind
    per_s: float
    message_bytes: float

    @property
    def by_agents(self) -> int:
        """How many agents take each."""
        return len(READ_BY.get(self.kind, ()))

    @property
    def by_recorder(self) -> bool:
        """Whether a recorder that records takes it."""
        return self.kind in RECORDED or self.kind is topics.OFFSET

    @property
    def by_dashboard(self) -> bool:
        """Whether a dashboard takes it."""
        return self.kind in KINDS or self.kind is topics.EVENT

    def received(self, recorders: int, dashboards: int) -> int:
        """How often the broker sends each on."""
        return self.by_agents + self.by_recorder * recorders + self.by_dashboard * dashboards


class Traffic(NamedTuple):
    """The messages that a vehicle causes, where so many share a topside at so many exchanges a second."""

    vehicles: int
    rate_hz: float
    kinds: list[Kind]

    def messages_per_s(self, recorders: int, dashboards: int) -> float:
        """What the broker receives and sends for one vehicle."""
        return sum(kind.per_s * (1 + kind.received(recorders, dashboards)) for kind in self.kinds)

    def bytes_per_s(self, recorders: int, dashboards: int) -> float:
        """The same in bytes, without those of TCP and IP."""
        return sum(
            kind.per_s * kind.message_bytes * (1 + kind.received(recorders, dashboards))
            for kind in self.kinds
        )


def counted(vehicles: int, rate_hz: float) -> Traffic:
    """Let `vehicles` be measured by one topside, and count what all of them publish once they are locked."""
    simulation = Simulation(settings=TopsideSettings(topside="topside", rate=rate_hz))
    for number in range(vehicles):
        simulation.add_vehicle(f"vehicle-{number:04}", Link(), drift_ppm=(number * 7) % 60 - 30.0)
    simulation.run(WARM_UP_S)
    first = len(simulation.broker.log)
    simulation.run(WARM_UP_S + COUNTED_S)
    numbers: Counter[TopicKind] = Counter()
    sizes: Counter[TopicKind] = Counter()
    for message in simulation.broker.log[first:]:
        kind = message.topic.kind
        numbers[kind] += 1
        sizes[kind] += wire_bytes(len(message.name), len(message.payload), kind.qos)
    kinds = [
        Kind(kind, number / COUNTED_S / vehicles, sizes[kind] / number)
        for kind, number in numbers.most_common()
    ]
    return Traffic(vehicles, rate_hz, kinds)


def wire_bytes(topic: int, payload: int, qos: int) -> int:
    """An MQTT 3.1.1 PUBLISH of a topic and a payload of so many bytes, with its PUBACK at QoS 1."""
    rest = 2 + topic + (2 if qos else 0) + payload
    length = 1 + (rest >= 128) + (rest >= 128**2)
    return 1 + length + rest + (_ACK_BYTES if qos else 0)
