"""What one exchange proves: an upper bound at its origin and a lower bound at its destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from schemas.exchange import method_named

if TYPE_CHECKING:
    from schemas.exchange import Exchange


class Constraint(NamedTuple):
    """Two facts about θ = Pi − topside on the clocks that are estimated on, in integer ns.

    θ(origin_ns) ≤ upper_ns: at that instant the Pi's clock had not yet reached the receive stamp.
    θ(destination_ns) ≥ lower_ns: at that instant it had passed the transmit stamp.
    Both hold whatever the network did (RFC 5905 §8 has their mean as offset and their difference as delay).
    `raw` tells the clocks apart: CLOCK_MONOTONIC_RAW on both sides, or realtime on both where a side's
    `realtime − raw` is not known. Realtime − RAW is `pi_difference_ns`, `topside_difference_ns` (0 on
    realtime). `standalone` exchanges (a property of their method, see `schemas.exchange.Method`) do not show
    a step between two of them, so no bound is carried from one to the next.
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

    @property
    def delay_ns(self) -> int:
        """Round trip less the Pi's own time, ns: what the bounds leave open but for the resolution."""
        return self.upper_ns - self.lower_ns - 2 * self.resolution_ns

    @property
    def realtime_offset_ns(self) -> int:
        """What turns θ into Pi realtime − topside realtime."""
        return self.pi_difference_ns - self.topside_difference_ns


def constraint_of(exchange: Exchange) -> Constraint:
    """The facts of `exchange`, widened by its resolution: a truncated stamp may lie anywhere in its unit."""
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
        standalone=method_named(exchange.method).standalone,
    )


def impossible(constraint: Constraint, rate_limit: float) -> str | None:
    """Why no clocks within `rate_limit` (a fraction) can have given these stamps, or None.

    "clock_stepped" when one side's own two stamps run backwards, "negative_delay" when the answer came before
    the question allows.
    """
    trip = constraint.destination_ns - constraint.origin_ns
    turnaround = constraint.transmit_ns - constraint.receive_ns
    if trip < 0 or turnaround < 0:
        return "clock_stepped"
    if constraint.upper_ns - constraint.lower_ns + rate_limit * trip < 0:
        return "negative_delay"
    return None
