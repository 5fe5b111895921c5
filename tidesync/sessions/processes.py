"""Processes of one topside's name in a session, pure: which ran at the same time, and which one is meant."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from schemas.instants import iso_from_ns
from tidesync.sessions.errors import ConcurrentTopsidesError, UnknownTopsideError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.exchange import Exchange
    from tidesync.sessions.journal import Stream
    from tidesync.sessions.streams import Streams
    from topside_agent.estimator import Labels

UNKNOWN = "unknown"
"""In place of the instance id where an earlier version recorded none."""

Span = tuple[int, int]


class Process(NamedTuple):
    """What one process has measured of one vehicle; instants are of its own realtime."""

    instance_id: str
    exchanges: int
    first_ns: int
    last_ns: int

    def __str__(self) -> str:
        span = f"{iso_from_ns(self.first_ns)[:19]}Z to {iso_from_ns(self.last_ns)[:19]}Z"
        return f"--instance {self.instance_id} ({self.exchanges} exchanges, {span})"


@dataclass(frozen=True, slots=True)
class Choice:
    """The topside and the processes whose exchanges are meant; by default all."""

    topside: str | None = None
    instances: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.topside is not None or bool(self.instances)

    def admits(self, labels: Labels) -> bool:
        """Whether exchanges with these labels are meant."""
        if self.topside not in {None, labels.topside}:
            return False
        return not self.instances or instance_of(labels) in self.instances


def instance_of(exchange: Exchange | Labels) -> str:
    """The process that made it."""
    return exchange.instance_id or UNKNOWN


def chosen(streams: Streams, choice: Choice) -> Streams:
    """Each stream's exchanges, as far as they are meant.

    ConcurrentTopsidesError where several processes of one name were active at the same time: their clocks
    must not be mixed. UnknownTopsideError where `choice` names none that is there.
    """
    meant = streams.admitting(choice.admits) if choice else streams
    if streams and not meant:
        there = {(each.topside, instance_of(each)) for stream in streams for each in streams.labels(stream)}
        listed = ", ".join(f"--topside {name} --instance {instance}" for name, instance in sorted(there))
        asked = f"topside {choice.topside or 'any'}, instance {', '.join(choice.instances) or 'any'}"
        raise UnknownTopsideError(f"no exchange of {asked}; there are those of {listed}")
    for stream in meant:
        if processes := concurrent_in(meant, stream):
            raise ConcurrentTopsidesError(sentence(*stream, processes))
    return meant


def concurrent_in(streams: Streams, stream: Stream) -> list[Process]:
    """As `concurrent`, of one of `streams`, which is unpacked only where several processes measured."""
    several = len({instance_of(labels) for labels in streams.labels(stream)}) > 1
    return concurrent(streams[stream]) if several else []


def sentence(vehicle: str, topside: str, processes: Sequence[Process]) -> str:
    """Who measured at the same time, and the options that choose one."""
    return (
        f"{vehicle} was measured by {len(processes)} topsides named {topside!r} at the same time, each by its"
        f" own clock; choose one with --topside {topside} and {' or '.join(map(str, processes))}"
    )


def concurrent(exchanges: Sequence[Exchange]) -> list[Process]:
    """The processes of one stream that were active while another one was; none if each followed the other.

    Decided by the vehicle's RAW clock, which all of them read, within a boot of it; where exchanges do not
    carry that, by their order in the journal, which is the order in which they came.
    """
    if len({exchange.instance_id for exchange in exchanges}) <= 1:
        return []
    spans: dict[str, dict[str | None, Span]] = {}
    totals: dict[str, Process] = {}
    for place, exchange in enumerate(exchanges):
        name = instance_of(exchange)
        boot, at = _vehicle_time(exchange, place)
        of_process = spans.setdefault(name, {})
        of_process[boot] = _including(of_process.get(boot), at)
        before = totals.get(name)
        seen = _including((before.first_ns, before.last_ns) if before else None, exchange.destination_ns)
        totals[name] = Process(name, (before.exchanges if before else 0) + 1, *seen)
    active = {
        name
        for one, other in combinations(spans, 2)
        if _overlap(spans[one], spans[other])
        for name in (one, other)
    }
    return [totals[name] for name in totals if name in active]


def _vehicle_time(exchange: Exchange, place: int) -> tuple[str | None, int]:
    difference_ns = exchange.pi_realtime_minus_raw_ns
    if exchange.boot_id is None or difference_ns is None:
        return None, place
    return exchange.boot_id, exchange.receive_ns - difference_ns


def _including(span: Span | None, at: int) -> Span:
    return (at, at) if span is None else (min(span[0], at), max(span[1], at))


def _overlap(one: Mapping[str | None, Span], other: Mapping[str | None, Span]) -> bool:
    return any(
        one[boot][0] < other[boot][1] and other[boot][0] < one[boot][1] for boot in one.keys() & other.keys()
    )
