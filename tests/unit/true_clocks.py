"""A clock whose truth is known at every instant, and a watch that samples it at chosen times."""

import random
from bisect import bisect_right

from runtime.clock_pieces import PieceBuilder
from runtime.clock_samples import Sample, half_width_ns
from runtime.clock_watch import MOVING_POLL_S, POLL_S, ClockWatch
from runtime.kernel_clock import KernelState
from tests.unit.clock_lookup import ClockHistory

MS = 1_000_000
S = 1_000_000_000
AHEAD_NS = 1_777_636_800 * S
PLL, UNSYNC = 0x0001, 0x0040


def state_of(ppm):
    """The kernel's state for a rate set by tick and frequency."""
    ticks = round(ppm / 100)
    return KernelState(10_000 + ticks, round((ppm - ticks * 100) * 65_536), status=UNSYNC)


class TrueClock:
    """Realtime against RAW: rates from given instants on, steps, suspends; what its kernel reports."""

    def __init__(self, rates=(), steps=(), sleeps=(), states=None):
        self.rates = sorted([(0, 0.0), *rates])  # (from_ns, ppm)
        self.steps = steps  # (at_ns, step_ns)
        self.sleeps = sleeps  # (at_ns, ns): RAW stands still
        self.states = states or [(at, state_of(ppm)) for at, ppm in self.rates]
        self.moved = [0]
        for (start, ppm), (end, _) in zip(self.rates, self.rates[1:], strict=False):
            self.moved.append(self.moved[-1] + (end - start) * ppm / 1e6)
        self.starts = [start for start, _ in self.rates]
        self.state_starts = [start for start, _ in self.states]

    def difference(self, raw_ns):
        """Realtime minus RAW."""
        index = bisect_right(self.starts, raw_ns) - 1
        slewed = self.moved[index] + (raw_ns - self.starts[index]) * self.rates[index][1] / 1e6
        jumps = sum(step for at, step in (*self.steps, *self.sleeps) if at <= raw_ns)
        return AHEAD_NS + round(slewed) + jumps

    def realtime(self, raw_ns):
        return raw_ns + self.difference(raw_ns)

    def state(self, raw_ns):
        return self.states[bisect_right(self.state_starts, raw_ns) - 1][1]

    def suspended(self, raw_ns):
        return sum(slept for at, slept in self.sleeps if at <= raw_ns)


def pll(size_ns, constant, begins_ns, first_second_ns=700 * MS):
    """Rates and states of the kernel's loop that slews an offset away, from the next full second on."""
    share = 2.0 ** -(2 + constant)
    rates, states = (
        [],
        [(0, KernelState(status=PLL)), (begins_ns, KernelState(10_000, 0, size_ns, constant, PLL))],
    )
    at, left = begins_ns + first_second_ns, float(size_ns)
    while abs(left) > 100:
        rates.append((at, left * share / 1000))
        left *= 1 - share
        states.append((at, KernelState(10_000, 0, round(left), constant, PLL)))
        at += S
    rates.append((at, 0.0))
    states.append((at, KernelState(status=PLL)))
    return rates, states


def watched(clock, until_ns, seed, *, starved=(), known=True, lag_ns=0, capacity=10_000):
    """A watch that has sampled the clock until then; what it reported. `starved`: spans without samples."""
    chance = random.Random(seed)
    watch, reported = ClockWatch(PieceBuilder(capacity=capacity)), []
    raw_ns = round(chance.uniform(0, POLL_S * S))
    while raw_ns < until_ns:
        bracket = (
            round(chance.uniform(60, 400)) if chance.random() < 0.98 else round(chance.uniform(400, 60_000))
        )
        at = raw_ns - round(bracket * chance.uniform(-0.5, 0.5))
        state = clock.state(raw_ns + lag_ns) if known else None
        sample = Sample(
            raw_ns,
            clock.realtime(at) - raw_ns,
            half_width_ns(bracket, 1),
            state,
            clock.suspended(raw_ns),
        )
        reported += watch.observe(sample)
        pause_s = (MOVING_POLL_S if watch.is_moving else POLL_S) * (1 + abs(chance.gauss(0, 0.05)))
        if chance.random() < 0.01:
            pause_s += chance.uniform(0, 0.05)
        raw_ns += round(pause_s * S)
        for start, end in starved:
            raw_ns = end if start <= raw_ns < end else raw_ns
    watch.builder.close()
    return watch, reported


def history(watch):
    pieces = watch.builder.pieces(0, watch.builder.number)
    return ClockHistory.from_pieces([piece for _, piece in pieces])


def errors(clock, looked_up, until_ns, every_ns=11_700_001):
    """Of instants all over: (distance of the truth from the history, its half-width); None: not covered."""
    found = []
    for raw_ns in range(S, until_ns, every_ns):
        instant = looked_up.realtime_at(raw_ns)
        truth = clock.realtime(raw_ns)
        found.append(None if instant is None else (abs(instant.ns - truth), instant.half_width_ns))
    return found
