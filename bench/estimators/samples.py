"""What the peers see of a trace: times, upper and lower bounds as floats relative to the first exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.estimators.clocks import Floats, Integers

if TYPE_CHECKING:
    from bench.estimators.traces import Trace
    from schemas.exchange import Exchange


@dataclass(frozen=True)
class Samples:
    """One entry per exchange, in ns. `origin_ns` and `destination_ns` count from the first origin stamp.

    `upper_ns` is receive - origin and `lower_ns` transmit - destination, both less `reference_ns`, so that
    floats hold them to a fraction of a nanosecond however far the clocks are apart.
    """

    origin_ns: Floats
    destination_ns: Floats
    upper_ns: Floats
    lower_ns: Floats
    round_trip_ns: Floats
    reference_ns: int

    @property
    def middle_ns(self) -> Floats:
        """NTP's offset (RFC 5905 §8)."""
        return (self.upper_ns + self.lower_ns) / 2

    @property
    def delay_ns(self) -> Floats:
        """NTP's round-trip delay (RFC 5905 §8)."""
        return self.upper_ns - self.lower_ns


class PeerAnswers(NamedTuple):
    """A peer's answer at each exchange's destination; NaN where it has or states none."""

    offset_ns: Floats
    lower_ns: Floats
    upper_ns: Floats


def samples_of(exchanges: list[Exchange]) -> Samples:
    """The stamps are subtracted as integers, and only differences become floats."""
    first = exchanges[0]
    reference = first.receive_ns - first.origin_ns
    columns = [
        (
            e.origin_ns - first.origin_ns,
            e.destination_ns - first.origin_ns,
            e.receive_ns - e.origin_ns - reference,
            e.transmit_ns - e.destination_ns - reference,
            e.destination_ns - e.origin_ns,
        )
        for e in exchanges
    ]
    origin, destination, upper, lower, trip = np.array(columns, dtype=np.float64).T
    return Samples(origin, destination, upper, lower, trip, reference)


def truth_of(trace: Trace, samples: Samples) -> Floats:
    """The truth on the samples' own scale."""
    relative: Floats = (trace.truth_ns - samples.reference_ns).astype(np.float64)
    return relative


def held(size: int, chosen: Integers, value_ns: Floats, half_ns: Floats | None) -> PeerAnswers:
    """Each value stands from exchange `chosen` on until the next one: how a rare measurement is used."""
    which = np.searchsorted(chosen, np.arange(size), side="right") - 1
    known = which >= 0
    offset = np.where(known, value_ns[which], np.nan)
    half = np.full(size, np.nan) if half_ns is None else np.where(known, half_ns[which], np.nan)
    return PeerAnswers(offset, offset - half, offset + half)
