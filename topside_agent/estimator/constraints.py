"""Exchanges in the order of their instants, and what each one proves about the offset.

The offset of the estimation clocks is θ = Pi − topside. An exchange is not a noisy sample of θ. It is two
inequalities that hold whatever the network did (docs/mathematics.md §1).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas.exchange import MAX_ROUND_TRIP_NS, MQTT, UDP, method_named
from topside_agent.estimator.exchanges import NULL, Exchanges

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from schemas.exchange import Exchange
    from topside_agent.estimator.blocks import Integers

READ_WITHIN_NS = 20_000
"""Readings of realtime − RAW that are known to this are taken as they are, unless exchanges came directly: to
wake up the programs takes longer."""
_MOST_NS = 2**63 - 1
SAME_BOOT_NS = 5_000_000_000
"""A boot moves topside's realtime − RAW by at least its uptime; slewing moves it by 0.9 s in half an hour."""


class Constraint(NamedTuple):
    """Two inequalities for θ = Pi − topside on the estimation clocks, all in integer ns.

    θ(origin_ns) ≤ upper_ns: at the origin the Pi's clock had not yet reached the receive stamp.
    θ(destination_ns) ≥ lower_ns: at the destination it had passed the transmit stamp.
    RFC 5905 §8 calls their mean the offset and their difference the delay.

    The estimation clocks are CLOCK_MONOTONIC_RAW on both sides (`raw`), or realtime on both sides where one
    `realtime − raw` is unknown. The two differences are realtime − RAW of each side, 0 on realtime.
    `standalone` is the method's property (`schemas.exchange.Method`) where a difference is unknown: a step
    between two such exchanges would go unseen, so no bound is carried from one to the next.
    """

    origin_ns: int
    upper_ns: int
    destination_ns: int
    lower_ns: int
    receive_ns: int
    transmit_ns: int
    pi_difference_ns: int
    topside_difference_ns: int
    resolution_ns: int
    raw: bool
    standalone: bool = False
    path: str = MQTT.name
    """The method's name: exchanges of one have delays of one kind."""
    even_ns: int = 0
    even_within_ns: int = 0
    """Both as in `Exchange`."""

    @property
    def delay_ns(self) -> int:
        """Round trip less the Pi's own time, ns (RFC 5905 §8)."""
        return self.upper_ns - self.lower_ns - 2 * self.resolution_ns

    @property
    def realtime_offset_ns(self) -> int:
        """What to add to θ to get Pi realtime − topside realtime, ns."""
        return self.pi_difference_ns - self.topside_difference_ns

    def differences_within_ns(self, *, directly: bool) -> int:
        """How far `realtime_offset_ns` may be off, ns; the bound of θ, which other exchanges narrow, is not.

        A program that was slow to handle an arrival read realtime − RAW later, when it had moved; one with a
        coarse clock reads it as coarsely. Where exchanges came `directly`, with stamps that wait for no
        program, the bound of θ may be narrower than any reading.
        """
        return self.resolution_ns if self.raw and (directly or self.resolution_ns > READ_WITHIN_NS) else 0


def constraint_of(exchange: Exchange) -> Constraint:
    """The constraint from `exchange`, widened by its resolution: a stamp may lie anywhere in its unit."""
    pi, topside = exchange.pi_realtime_minus_raw_ns, exchange.topside_realtime_minus_raw_ns
    raw = pi is not None and topside is not None
    if pi is None or topside is None:
        pi = topside = 0
    origin = exchange.origin_ns - topside
    destination = exchange.destination_ns - topside
    receive = exchange.receive_ns - pi
    transmit = exchange.transmit_ns - pi
    width = exchange.resolution_ns
    return Constraint(
        origin,
        receive - origin + width,
        destination,
        transmit - destination - width,
        receive,
        transmit,
        pi,
        topside,
        width,
        raw,
        standalone=not raw and method_named(exchange.method).standalone,
        path=exchange.method,
        even_ns=exchange.even_ns if raw else 0,
        even_within_ns=exchange.even_within_ns,
    )


def impossible(constraint: Constraint, rate_limit: float) -> str | None:
    """Why two clocks within `rate_limit` (a fraction) cannot have made these stamps; None if they can.

    "clock_stepped": one side's own two stamps run backwards. "round_trip": nobody waits so long for an
    answer. "negative_delay": the answer arrived earlier than the question allows.
    """
    trip = constraint.destination_ns - constraint.origin_ns
    turnaround = constraint.transmit_ns - constraint.receive_ns
    if trip < 0 or turnaround < 0:
        return "clock_stepped"
    if max(trip, turnaround) > MAX_ROUND_TRIP_NS:
        return "round_trip"
    if constraint.upper_ns - constraint.lower_ns + rate_limit * trip < 0:
        return "negative_delay"
    return None


def on_raw(exchanges: Exchanges) -> NDArray[np.bool_]:
    """Which of them have RAW as their estimation clocks."""
    return exchanges.known("pi_realtime_minus_raw_ns") & exchanges.known("topside_realtime_minus_raw_ns")


def estimation_ns(exchanges: Exchanges) -> Integers:
    """`Constraint.destination_ns` of each."""
    topside = np.where(on_raw(exchanges), exchanges.column("topside_realtime_minus_raw_ns"), 0)
    return exchanges.column("destination_ns") - topside


def realtime_offsets_ns(exchanges: Exchanges) -> list[int]:
    """`Constraint.realtime_offset_ns` of each."""
    differences = exchanges.numbers("pi_realtime_minus_raw_ns", "topside_realtime_minus_raw_ns")
    return [0 if NULL in (pi, topside) else pi - topside for pi, topside in differences]


def delays_ns(exchanges: Exchanges) -> Integers:
    """`Constraint.delay_ns` of each: the differences of realtime and RAW cancel out."""
    origin, receive, transmit, destination = (
        exchanges.column(f"{name}_ns") for name in ("origin", "receive", "transmit", "destination")
    )
    return (destination - origin) - (transmit - receive)


def came_directly(exchanges: Exchanges) -> bool:
    """Whether any of them did."""
    return bool(exchanges.labelled(lambda labels: labels.method == UDP.name).any())


def differences_within_ns(exchanges: Exchanges, *, directly: bool) -> Integers:
    """`Constraint.differences_within_ns` of each."""
    resolution = exchanges.column("resolution_ns")
    counts = directly | (resolution > READ_WITHIN_NS)
    return np.where(on_raw(exchanges) & counts, resolution, 0)


class _Boot:
    """The exchanges of one boot of topside's computer. RAW orders them, even if realtime was set."""

    def __init__(self) -> None:
        self.differences: list[int] = []
        self.places, self.raw_ns = array("I"), array("q")
        self.newest_raw_ns = 0

    def admits(self, raw_ns: int, difference_ns: int) -> bool:
        """Whether an exchange belongs to this boot: newer than all, or late with a known difference."""
        if not self.places or raw_ns >= self.newest_raw_ns:
            return True
        return any(abs(difference_ns - known) <= SAME_BOOT_NS for known in reversed(self.differences))

    def add(self, raw_ns: int, difference_ns: int, place: int) -> None:
        """Add the exchange at this place of the journal."""
        if not self.differences or abs(difference_ns - self.differences[-1]) > SAME_BOOT_NS // 5:
            self.differences.append(difference_ns)
        self.places.append(place)
        self.raw_ns.append(min(raw_ns, _MOST_NS))
        self.newest_raw_ns = max(self.newest_raw_ns, raw_ns)

    def in_order(self) -> Integers:
        """The places by RAW."""
        return np.array(self.places, dtype=np.int64)[np.argsort(self.raw_ns, kind="stable")]


def in_order(exchanges: Iterable[Exchange]) -> Exchanges:
    """The exchanges of one vehicle and topside, as a journal lists them, sorted by destination.

    Topside's RAW clock decides, because its realtime may have been set back and forth. RAW restarts when
    topside boots: then RAW is lower and the difference realtime − RAW is a new one. Where RAW is unknown
    (another tool's log), the last known difference applies.
    """
    columns = Exchanges.of(exchanges)
    boots = [_Boot()]
    difference_ns = 0
    numbers = columns.numbers("destination_ns", "topside_realtime_minus_raw_ns")
    for place, (destination_ns, stated_ns) in enumerate(numbers):
        difference_ns = difference_ns if stated_ns == NULL else stated_ns
        raw_ns = destination_ns - difference_ns
        for boot in reversed(boots):
            if boot.admits(raw_ns, difference_ns):
                break
        else:
            boot = _Boot()
            boots.append(boot)
        boot.add(raw_ns, difference_ns, place)
    return columns.at(np.concatenate([boot.in_order() for boot in boots]))
