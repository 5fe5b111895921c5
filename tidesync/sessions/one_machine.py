"""Topsides of one machine, pure: what they measured of a vehicle is one stream, as it is of one clock.

So a vehicle that was handed from one process to another on a machine is corrected throughout, while the
exchanges of different machines are never mixed.

Assumption: processes of one boot read one RAW clock unless one of them runs in a time namespace, whose offset
is more than a millisecond. So both must have read one realtime − RAW wherever one followed the other soon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from topside_agent.estimator import Exchanges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tidesync.sessions.journal import Stream
    from tidesync.sessions.streams import Streams
    from topside_agent.estimator.blocks import Integers

_SOON_NS = 10_000_000_000
"""Two readings further apart say nothing about each other."""
_AGREE_NS = 1_000_000
"""Two readings of one clock at one instant differ by less; both are some µs wide."""
_SLEW = 1e-3
"""How fast a clock may be slewed between two readings that agree."""


@dataclass(frozen=True, slots=True, eq=False)
class JoinedStreams(Mapping["Stream", Exchanges]):
    """Streams by name, of which some are several topsides' of one machine, under the name of the latest."""

    streams: Streams
    parts: Mapping[Stream, Sequence[Stream]]
    """What each stream is made of, at least itself."""

    def __getitem__(self, stream: Stream) -> Exchanges:
        return _joined([self.streams[part] for part in self.parts[stream]])

    def __iter__(self) -> Iterator[Stream]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)


def joined(streams: Streams) -> JoinedStreams:
    """`streams`, with those of one vehicle joined that different topsides of one machine measured."""
    groups = {stream: [stream] for stream in streams}
    for one, other in combinations(list(streams), 2):
        if one[0] == other[0] and groups[one] is not groups[other] and _one_machine(streams, one, other):
            groups[one] += groups[other]
            groups |= dict.fromkeys(groups[other], groups[one])
    parts: dict[Stream, Sequence[Stream]] = {}
    for group in {id(each): each for each in groups.values()}.values():
        several = len(group) > 1
        parts[max(group, key=lambda stream: _last_ns(streams[stream])) if several else group[0]] = group
    return JoinedStreams(streams, dict(sorted(parts.items())))


def _one_machine(streams: Streams, one: Stream, other: Stream) -> bool:
    """Whether both streams are certainly of one clock of topside's."""
    boots = [{labels.topside_boot_id for labels in streams.labels(stream)} for stream in (one, other)]
    if None in boots[0] | boots[1] or not boots[0] & boots[1]:
        return False
    exchanges = streams[one], streams[other]
    if not all(each.known("topside_realtime_minus_raw_ns").all() for each in exchanges):
        return False
    agreed = 0
    for boot in boots[0] & boots[1]:
        apart = _agreeing(*(each.at(_of_boot(each, boot)) for each in exchanges))
        if apart is None:
            return False
        agreed += apart
    return agreed > 0


def _of_boot(exchanges: Exchanges, boot: str | None) -> NDArray[np.bool_]:
    return exchanges.labelled(lambda labels: labels.topside_boot_id == boot)


def _agreeing(one: Exchanges, other: Exchanges) -> int | None:
    """How often a reading of one soon follows one of the other; None where two of them do not agree."""
    read_ns = np.concatenate([each.column("topside_realtime_minus_raw_ns") for each in (one, other)])
    at_ns = np.concatenate([each.column("destination_ns") for each in (one, other)]) - read_ns
    whose = np.repeat([0, 1], [len(one), len(other)])
    order = np.argsort(at_ns, kind="stable")
    gaps_ns, changes_ns = np.diff(at_ns[order]), np.abs(np.diff(read_ns[order]))
    soon = (np.diff(whose[order]) != 0) & (gaps_ns <= _SOON_NS)
    if (changes_ns[soon] > _AGREE_NS + _SLEW * gaps_ns[soon]).any():
        return None
    return int(soon.sum())


def _last_ns(exchanges: Exchanges) -> int:
    return int(exchanges.column("destination_ns").max())


def _joined(parts: Sequence[Exchanges]) -> Exchanges:
    """All: topside's boots in the order of their first exchange, each in that of its RAW clock."""
    if len(parts) == 1:
        return parts[0]
    together = Exchanges.together(parts)
    at_ns = together.column("destination_ns")
    raw_ns = at_ns - together.column("topside_realtime_minus_raw_ns")
    begins = np.empty_like(at_ns)
    for boot in {labels.topside_boot_id for labels in together.labels}:
        here = _of_boot(together, boot)
        begins[here] = at_ns[here].min()
    order: Integers = np.lexsort([raw_ns, begins])
    return together.at(order)
