"""Metrics for Prometheus. prometheus_client is loaded where metrics are served, not with this module."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from runtime.faults import faults
from runtime.listener import Refusal, refused
from runtime.memory import Edge, shortages
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

Role = Literal["pi", "topside", "recorder", "dashboard"]


class Distribution(NamedTuple):
    """How many values were at most each of `bounds`, and how many were above the last; sum in base units."""

    bounds: Sequence[float]
    counts: Sequence[int]
    """One more than bounds; not cumulative."""
    total: float


class Families:
    """prometheus_client's metric families. A value of None makes no sample: missing never becomes 0."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._families.values())

    def counter(self, name: str, about: str, value: float | None, **labels: str) -> None:
        """A number that only grows, until its process ends; `name` without `_total`."""
        if value is not None:
            self._family(name, about, "counter").add_sample(f"{name}_total", labels, value)

    def gauge(self, name: str, about: str, value: float | None, **labels: str) -> None:
        """A number that goes up and down; a truth is 1 or 0."""
        if value is not None:
            self._family(name, about, "gauge").add_sample(name, labels, value)

    def histogram(self, name: str, about: str, values: Distribution, **labels: str) -> None:
        """The distribution of values."""
        family = self._family(name, about, "histogram")
        bounds = [*(repr(float(bound)) for bound in values.bounds), "+Inf"]
        cumulative = list(accumulate(values.counts))
        for bound, count in zip(bounds, cumulative, strict=True):
            family.add_sample(f"{name}_bucket", {**labels, "le": bound}, count)
        family.add_sample(f"{name}_count", labels, cumulative[-1])
        family.add_sample(f"{name}_sum", labels, values.total)

    def counters(self, name: str, about: str, label: str, values: Mapping[str, int], **labels: str) -> None:
        """One counter for each key of `values`, with the key as the value of `label`."""
        for key, value in sorted(values.items()):
            self.counter(name, about, value, **labels, **{label: key})

    def one_of(
        self, name: str, about: str, label: str, words: Sequence[str], is_: str, **labels: str
    ) -> None:
        """A gauge for each possible word: 1 for the one that is, 0 for the others."""
        for word in words:
            self.gauge(name, about, float(word == is_), **labels, **{label: word})

    def _family(self, name: str, about: str, kind: str) -> Metric:
        from prometheus_client.core import Metric  # noqa: PLC0415 - see the module

        if name not in self._families:
            self._families[name] = Metric(name, about, kind)
        return self._families[name]


def make_registry(collect: Callable[[], Families]) -> CollectorRegistry:
    """A separate registry, which calls `collect` at each scrape."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - see the module

    class OnDemand:
        def collect(self) -> Iterable[Metric]:
            return collect()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(OnDemand())
    return registry


def exposition(registry: CollectorRegistry, accept: str | None) -> tuple[bytes, str]:
    """The text and its content type, in the format that an `Accept` header asks for."""
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - see the module

    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type


@dataclass(frozen=True, slots=True)
class AgentCounts:
    """What every agent counts of itself."""

    role: Role
    broker_connected: bool
    reconnects: int
    dropped: Mapping[str, int]
    """Messages by the reason for which they were dropped; the reasons are words of the program."""
    refused: int = 0
    """Topics that it may not subscribe to, or of which nothing comes back that it publishes."""
    broker: str = ""
    """Address of the broker that is used, or tried."""


def agent_families(counts: AgentCounts) -> Families:
    """The metrics that all agents have."""
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
    families.gauge(
        "tidesync_broker_info",
        "Always 1; the label says which broker the agent uses, or tries.",
        1,
        address=counts.broker,
    )
    families.gauge(
        "tidesync_broker_refused_topics",
        "Topics that the broker refuses to this agent's account.",
        counts.refused,
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
    families.counters(
        "tidesync_connections_refused",
        "Connections to this agent's web servers that were refused or ended, by reason.",
        "reason",
        dict.fromkeys(get_args(Refusal), 0) | refused,
    )
    families.counters(
        "tidesync_out_of_memory",
        "Times something was given up because the process got no memory, by where.",
        "edge",
        dict.fromkeys(get_args(Edge), 0) | shortages,
    )
    families.counter(
        "tidesync_internal_faults",
        "Times code of this program raised what it should not; the log names the places.",
        sum(list(faults.values())),
    )
    return families
