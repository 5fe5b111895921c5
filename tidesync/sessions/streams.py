"""A journal's exchanges by stream, compressed: read once, and unpacked one stream at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidesync.sessions.journal import LineCounts, Stream, each_exchange
from topside_agent.estimator import Exchanges, PackedExchanges

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from schemas.exchange import Exchange
    from topside_agent.estimator import Labels


@dataclass(frozen=True, slots=True, eq=False)
class Streams(Mapping[Stream, Exchanges]):
    """Each stream's exchanges in the order of the file, by the streams' names in order.

    A stream is unpacked each time it is asked for: hold one no longer than it is needed.
    """

    packed: Mapping[Stream, PackedExchanges] = field(default_factory=dict)
    admits: Callable[[Labels], bool] | None = None
    """Which exchanges are meant; None: all."""

    def __getitem__(self, stream: Stream) -> Exchanges:
        exchanges = self.packed[stream].unpacked()
        return exchanges if self.admits is None else exchanges.at(exchanges.labelled(self.admits))

    def __iter__(self) -> Iterator[Stream]:
        return (stream for stream in sorted(self.packed) if self.labels(stream))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def labels(self, stream: Stream) -> list[Labels]:
        """What its exchanges carry, each once."""
        return [labels for labels in self.packed[stream].labels if self.admits is None or self.admits(labels)]

    def without(self, streams: Collection[Stream]) -> Streams:
        """All but these."""
        return Streams({name: each for name, each in self.packed.items() if name not in streams}, self.admits)

    def admitting(self, admits: Callable[[Labels], bool]) -> Streams:
        """Those of the exchanges that are meant."""
        return Streams(self.packed, admits)


def read_streams(
    lines: Iterable[bytes], counts: LineCounts, wanted: Callable[[Exchange], bool] = lambda _: True
) -> Streams:
    """Decode line by line, and keep what is `wanted`; `counts` counts all lines that are not empty."""
    packed: dict[Stream, PackedExchanges] = {}
    for exchange in each_exchange(lines, counts):
        if not wanted(exchange):
            continue
        stream = exchange.vehicle, exchange.topside
        if stream not in packed:
            packed[stream] = PackedExchanges()
        packed[stream].add(exchange)
    return Streams(packed)
