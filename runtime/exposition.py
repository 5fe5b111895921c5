"""Families of samples in the text that Prometheus reads; loaded only where somebody serves it."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from runtime.metrics import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric

    from runtime.metrics import Family, Sample


def make_registry(collect: Callable[[], Iterable[Family]]) -> CollectorRegistry:
    """A registry of its own, that calls `collect` at each scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_OnDemand(collect))
    return registry


def exposition(registry: CollectorRegistry, accept: str | None) -> tuple[bytes, str]:
    """The text and its content type, in the format that an `Accept` header asks for."""
    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type


class _OnDemand(Collector):
    def __init__(self, collect: Callable[[], Iterable[Family]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return map(_metric, self._collect())


def _metric(family: Family) -> Metric:
    if family.kind == "histogram":
        return _histogram(family)
    make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = make(family.name, family.about, labels=family.labels)
    for sample in family.samples:
        assert not isinstance(sample.value, Histogram)
        metric.add_metric(sample.labels, sample.value)
    return metric


def _histogram(family: Family) -> HistogramMetricFamily:
    metric = HistogramMetricFamily(family.name, family.about, labels=family.labels)
    for sample in family.samples:
        assert isinstance(sample.value, Histogram)
        metric.add_metric(sample.labels, _buckets(sample), sample.value.total)
    return metric


def _buckets(sample: Sample) -> list[tuple[str, float]]:
    assert isinstance(sample.value, Histogram)
    names = [*(repr(float(bound)) for bound in sample.value.bounds), "+Inf"]
    return list(zip(names, map(float, accumulate(sample.value.counts)), strict=True))
