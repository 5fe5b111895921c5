"""Traces whose truth is known: a Pi's clock, a path's delays, and the exchanges that they give.

`make_trace("clean", seed=1)` is reproducible: the clock, the delays and the losses each have their own stream
of `numpy.random.default_rng`, so that one family's clock is the same under another's delays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.estimators.clocks import Floats, Integers, PiClock, Step, make_clock
from bench.estimators.families import EXTRA, FAMILIES, TABLE, Family
from schemas.exchange import Exchange

__all__ = ["EXTRA", "FAMILIES", "TABLE", "Family", "Trace", "make_trace"]

START_REALTIME_NS = 1_777_636_800_000_000_000
"""2026-05-01T12:00:00Z on the topside's wall clock."""
TOPSIDE_UPTIME_NS = 86_400_000_000_000
PI_UPTIME_NS = 100_000_000_000_000
TURNAROUND_S = 2e-4
"""What the Pi takes between receive and transmit, plus exponential 0.1 ms."""

TOPSIDE_REALTIME_MINUS_RAW_NS = START_REALTIME_NS - TOPSIDE_UPTIME_NS


@dataclass(frozen=True)
class Trace:
    """Exchanges in the order in which they are finished, and the truth about them."""

    family: str
    seed: int
    rate_hz: float
    exchanges: list[Exchange]
    truth_ns: Integers
    """Pi realtime − topside realtime at each exchange's destination stamp."""
    at_s: Floats
    """Each exchange's destination, s since the start."""
    clock: PiClock
    topside_realtime_minus_raw_ns: int = TOPSIDE_REALTIME_MINUS_RAW_NS

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.clock.steps

    def truth_at(self, topside_realtime_ns: Integers | int) -> Integers:
        """The true offset at topside realtime instants, up to an hour after the last exchange."""
        since_s = (np.asarray(topside_realtime_ns, dtype=np.int64) - START_REALTIME_NS) / 1e9
        return self.clock.realtime_offset_ns(since_s)

    def truth_at_raw(self, topside_raw_ns: Integers | int) -> Integers:
        """The same at topside RAW instants."""
        return self.truth_at(np.asarray(topside_raw_ns, dtype=np.int64) + self.topside_realtime_minus_raw_ns)


def make_trace(family: str, *, seed: int, rate_hz: float = 4.0, duration_s: float = 3600.0) -> Trace:
    """A trace of `family` (see families.py): the same arguments give the same integers."""
    kind = FAMILIES[family]
    clock_rng, delay_rng, fault_rng = (np.random.default_rng([seed, stream]) for stream in range(3))
    clock = make_clock(kind.clock(duration_s), duration_s=duration_s, rng=clock_rng)
    sent_s = _surviving(kind, _send_instants(kind, rate_hz, duration_s), clock.steps, fault_rng, duration_s)
    out_s, back_s = kind.delays(duration_s)(delay_rng, sent_s)
    received_s = sent_s + out_s
    answered_s = received_s + TURNAROUND_S + delay_rng.exponential(1e-4, sent_s.size)
    arrived_s = answered_s + back_s
    exchanges = _exchanges(clock, sent_s, received_s, answered_s, arrived_s)
    order = _order(kind, arrived_s, fault_rng)
    at_s = np.array([(exchanges[i].destination_ns - START_REALTIME_NS) / 1e9 for i in order])
    listed = [exchanges[i] for i in order]
    return Trace(family, seed, rate_hz, listed, clock.realtime_offset_ns(at_s), at_s, clock)


def _send_instants(kind: Family, rate_hz: float, duration_s: float) -> Floats:
    if not kind.burst_of:
        return np.arange(0.0, duration_s, 1.0 / rate_hz)
    starts_s = np.arange(0.0, duration_s, kind.burst_every_s)
    return (starts_s[:, None] + 0.05 * np.arange(kind.burst_of)[None, :]).ravel()


def _surviving(
    kind: Family, sent_s: Floats, steps: tuple[Step, ...], rng: np.random.Generator, duration_s: float
) -> Floats:
    """Without what is lost, falls into an outage, or is in flight when the Pi's clock breaks."""
    alive = rng.random(sent_s.size) >= kind.loss
    for step in steps:
        if step.dead_s:
            alive &= (sent_s < step.at_s - 0.5) | (sent_s >= step.back_s)
    if kind.outage_s:
        begin_s = duration_s / 3
        alive &= (sent_s < begin_s) | (sent_s >= begin_s + kind.outage_s)
    return sent_s[alive]


def _exchanges(
    clock: PiClock, sent_s: Floats, received_s: Floats, answered_s: Floats, arrived_s: Floats
) -> list[Exchange]:
    """Stamps are truncated to a nanosecond, as a clock's reading is: `resolution_ns` is 1."""
    pi_minus_raw = clock.realtime_minus_raw_ns(answered_s, _pi_realtime_minus_raw_ns(clock))
    receive = _pi_realtime_ns(clock, received_s) + _reported_since(clock, received_s, answered_s)
    columns = (
        _topside_ns(sent_s),
        receive,
        _pi_realtime_ns(clock, answered_s),
        _topside_ns(arrived_s),
        pi_minus_raw,
        clock.boot(answered_s),
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [_exchange(seq, row) for seq, row in enumerate(rows)]


def _exchange(seq: int, row: tuple[int, ...]) -> Exchange:
    origin, receive, transmit, destination, pi_minus_raw, boot = row
    return Exchange(
        vehicle="rov1",
        topside="topside",
        seq=seq,
        boot_id=f"boot-{boot}",
        origin_ns=origin,
        receive_ns=receive,
        transmit_ns=transmit,
        destination_ns=destination,
        pi_realtime_minus_raw_ns=pi_minus_raw,
        topside_realtime_minus_raw_ns=TOPSIDE_REALTIME_MINUS_RAW_NS,
        receive_stamp="kernel",
        transmit_stamp="write",
    )


def _topside_ns(at_s: Floats) -> Integers:
    return START_REALTIME_NS + np.floor(at_s * 1e9).astype(np.int64)


def _pi_realtime_ns(clock: PiClock, at_s: Floats) -> Integers:
    """Truncated from the sum, so that the offset's fraction of a nanosecond is not lost twice."""
    elapsed_ns = np.floor(at_s * 1e9 + clock.smooth_ns(at_s)).astype(np.int64)
    breaks = clock.realtime_offset_ns(at_s) - np.rint(clock.smooth_ns(at_s)).astype(np.int64)
    return START_REALTIME_NS + elapsed_ns + breaks


def _pi_realtime_minus_raw_ns(clock: PiClock) -> int:
    return START_REALTIME_NS + clock.offset_ns - PI_UPTIME_NS


def _reported_since(clock: PiClock, received_s: Floats, answered_s: Floats) -> Integers:
    """What a step between receive and transmit adds: both stamps carry the transmit's realtime_minus_raw."""
    start_ns = _pi_realtime_minus_raw_ns(clock)
    after = clock.realtime_minus_raw_ns(answered_s, start_ns)
    return after - clock.realtime_minus_raw_ns(received_s, start_ns)


def _order(kind: Family, arrived_s: Floats, rng: np.random.Generator) -> list[int]:
    """The order of finishing, with neighbours exchanged and lines repeated as the family requires."""
    key = np.where(
        rng.random(arrived_s.size) < kind.reordered,
        arrived_s + rng.uniform(0, 2.0, arrived_s.size),
        arrived_s,
    )
    order: list[int] = []
    for index in np.argsort(key, kind="stable").tolist():
        order += [index] * (2 if rng.random() < kind.duplicated else 1)
    return order
