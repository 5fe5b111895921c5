"""What an agent counts, as families of samples: plain values, made when somebody asks for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from broker.interface import MqttConnection

Kind = Literal["counter", "gauge", "histogram"]
Role = Literal["pi", "topside", "recorder", "dashboard"]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values were at most each of `bounds`, and how many were above the last; sum in base units."""

    bounds: Sequence[float]
    counts: Sequence[int]
    """One more than bounds; not cumulative."""
    total: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One value, told apart from its family's others by its labels."""

    labels: tuple[str, ...]
    value: float | Histogram


@dataclass(slots=True)
class Family:
    """Samples of one name; `labels` are the names of theirs."""

    kind: Kind
    name: str
    about: str
    labels: tuple[str, ...]
    samples: list[Sample] = field(default_factory=list)


class Families:
    """Families in the making. A value of None makes no sample: missing never becomes 0."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}

    def __iter__(self) -> Iterator[Family]:
        return iter(self._families.values())

    def counter(self, name: str, about: str, value: float | None, **labels: str) -> None:
        """A number that only grows, until its process ends; `name` without `_total`."""
        self._add("counter", name, about, value, labels)

    def gauge(self, name: str, about: str, value: float | None, **labels: str) -> None:
        """A number that goes up and down; a truth is 1 or 0."""
        self._add("gauge", name, about, value, labels)

    def histogram(self, name: str, about: str, value: Histogram, **labels: str) -> None:
        """How values are spread."""
        self._add("histogram", name, about, value, labels)

    def counters(self, name: str, about: str, label: str, values: Mapping[str, int], **labels: str) -> None:
        """One counter for each key of `values`, which stands in `label`."""
        for key, value in sorted(values.items()):
            self.counter(name, about, value, **labels, **{label: key})

    def one_of(
        self, name: str, about: str, label: str, words: Sequence[str], is_: str, **labels: str
    ) -> None:
        """A gauge for each word that could be: 1 for the one that is, 0 for the others."""
        for word in words:
            self.gauge(name, about, float(word == is_), **labels, **{label: word})

    def _add(
        self, kind: Kind, name: str, about: str, value: float | Histogram | None, labels: Mapping[str, str]
    ) -> None:
        if value is None:
            return
        family = self._families.setdefault(name, Family(kind, name, about, tuple(labels)))
        family.samples.append(Sample(tuple(labels.values()), value))


@dataclass(frozen=True, slots=True)
class AgentCounts:
    """What every agent knows of itself."""

    role: Role
    broker_connected: bool
    reconnects: int
    dropped: Mapping[str, int]
    """Messages by the reason for which they were dropped; the reasons are words of the program."""


def counts_of(role: Role, connection: MqttConnection, dropped: Mapping[str, int]) -> AgentCounts:
    """What is known of an agent with that connection; `dropped` is copied, its owner counts on."""
    return AgentCounts(role, connection.up, connection.reconnects, dict(dropped))


def agent_families(counts: AgentCounts) -> Families:
    """What all agents tell."""
    families = Families()
    families.gauge(
        "tidesync_build_info",
        "Always 1; the labels say which agent this is.",
        1,
        role=counts.role,
        version=VERSION,
    )
    families.gauge(
        "tidesync_broker_connected",
        "Whether the agent is connected to its MQTT broker.",
        float(counts.broker_connected),
    )
    families.counter(
        "tidesync_reconnects", "Times the connection to the broker came back.", counts.reconnects
    )
    families.counters(
        "tidesync_messages_dropped",
        "Messages that arrived and were not used, by reason.",
        "reason",
        counts.dropped,
    )
    return families
