"""Readings of a machine's clock, and what is known of realtime between two of them.

The assumption that every guarantee of a clock history rests on: between two samples at most `STARVED_NS`
apart realtime went from the one rate to the other without leaving the range between them, and while adjtimex
reads the same at both (tick, frequency, offset, constant, status) nothing moved and came back. What it reads
was so before the reading and after it (`runtime.clock_sampler`). The assumption holds for the known daemons:
chrony's slews last a second at least, the kernel's loop and adjtime change their rate at full seconds. It is
broken by a program that sets a rate and takes it back in between. Over longer intervals only this is assumed:
Linux moves realtime by at most ±10 % (tick) ± 500 ppm (frequency) against RAW, unless the clock is set. A
clock that is set is noticed at once through the kernel's timer; without that (`notified`), a step that falls
into one interval with a change of rate may be taken for it, and the interval is then too narrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.clock import FASTEST_SLEW_PPM, Reading

if TYPE_CHECKING:
    from runtime.clock import Clock
    from runtime.kernel_clock import KernelState

STARVED_NS = 500_000_000
"""Between samples further apart a rate may have been set and taken back."""
SHARP_NS = 2_000
"""A sample with this half-width is as good as any: two clocks are read within a microsecond."""
ADJTIME_PPM = 500
"""adjtime(3) slews at this rate, which adjtimex does not show."""
_PPM = 1_000_000


class Sample(NamedTuple):
    """Realtime minus RAW at an instant of RAW, within ± `half_ns`; what the kernel reports with it."""

    raw_ns: int
    realtime_minus_raw_ns: int
    half_ns: int
    state: KernelState | None = None
    """Null: the system does not report it."""
    suspended_ns: int = 0
    """The machine's time in suspend since boot, ns."""
    notified: bool = False
    """Whether the kernel reported since the sample before that the clock was set."""


def read_middle(clock: Clock, attempts: int = 4, narrow_ns: int = 1_000) -> Reading:
    """RAW, realtime, RAW: the narrowest of some brackets, dated by its own middle.

    So a thread that is preempted between two brackets does not date the difference too early, which matters
    while realtime is slewed.
    """
    best: Reading | None = None
    for _ in range(attempts):
        before, realtime, after = clock.raw_ns(), clock.realtime_ns(), clock.raw_ns()
        width, middle = after - before, (before + after) // 2
        if best is None or width < best.width_ns:
            best = Reading(middle, realtime - middle, width)
        if width <= narrow_ns:
            break
    assert best is not None
    return best


def half_width_ns(bracket_ns: int, resolution_ns: int) -> int:
    """What realtime minus RAW may be wrong by, either way, for a bracket of RAW readings, ns.

    Realtime was read somewhere in the bracket, and runs at most 10.05 % fast or slow; both clocks round down.
    """
    return bracket_ns * (_PPM + FASTEST_SLEW_PPM) // (2 * _PPM) + resolution_ns + 1


class Interval:
    """Two successive samples without a step or a suspend between; what follows from them is computed once."""

    __slots__ = ("blur_ns", "end", "is_steady", "noise_ppm", "rate_ppm", "span_ns", "start")

    def __init__(self, start: Sample, end: Sample) -> None:
        self.start, self.end = start, end
        span_ns = self.span_ns = end.raw_ns - start.raw_ns
        """Its length on RAW."""
        self.rate_ppm = (end.realtime_minus_raw_ns - start.realtime_minus_raw_ns) * _PPM / span_ns
        """The mean rate of realtime against RAW."""
        self.noise_ppm = (start.half_ns + end.half_ns) * _PPM / span_ns
        """What `rate_ppm` may be wrong by, either way."""
        self.blur_ns = max(start.half_ns, end.half_ns)
        """The larger half-width of the two samples."""
        self.is_steady = start.state is not None and start.state == end.state
        """Whether the kernel reports the same at both ends."""


def bend_ns(interval: Interval, before: Interval | None, after: Interval | None) -> int:
    """The largest distance of realtime, within the interval, from the line between its ends; ns.

    `before` and `after` are the adjoining intervals, if they are known. It does not count the samples' own
    half-widths. One change of rate at an unknown instant bends the line by a quarter of change × span; a move
    that the kernel's state does not explain by all of it; a starved interval by half of 10.05 % × span.
    """
    span_ns = interval.span_ns
    if span_ns > STARVED_NS:  # or it was set, unseen, and not slewed
        return _bend(span_ns, max(FASTEST_SLEW_PPM / 2, abs(interval.rate_ppm) + interval.noise_ppm))
    if interval.is_steady and before is not None and before.is_steady:
        apart_ppm = abs(interval.rate_ppm - before.rate_ppm)
        if apart_ppm - before.noise_ppm <= interval.noise_ppm:
            return 0  # as nearly always
    return _bend_between(interval, [*_rates(interval.start, before), *_rates(interval.end, after)])


def _bend_between(interval: Interval, ends: list[tuple[float, float]]) -> int:
    """Where realtime may have had these rates, each with its error, at the ends."""
    span_ns, rate_ppm, noise_ppm = interval.span_ns, interval.rate_ppm, interval.noise_ppm
    if not ends:
        return _bend(span_ns, FASTEST_SLEW_PPM / 2)
    if interval.start.state is None or interval.end.state is None:
        return _bend(span_ns, max(abs(rate_ppm - end) + noise for end, noise in ends) + noise_ppm)
    if interval.is_steady:
        apart = [(abs(rate_ppm - end) - noise, noise) for end, noise in ends]
        if all(apart_ppm <= noise_ppm for apart_ppm, _ in apart):
            return 0
        # That one of them agrees proves only what it resolves.
        return _bend(span_ns, min(max(apart_ppm, 0) + 2 * noise for apart_ppm, noise in apart) + noise_ppm)
    low, high = min(end - noise for end, noise in ends), max(end + noise for end, noise in ends)
    if not low - noise_ppm <= rate_ppm <= high + noise_ppm:
        return _bend(span_ns, FASTEST_SLEW_PPM / 2)
    return _bend(span_ns, (high - low) / 4)


def _bend(span_ns: int, ppm: float) -> int:
    return int(span_ns * ppm / _PPM) + (ppm > 0)


def _rates(sample: Sample, neighbour: Interval | None) -> list[tuple[float, float]]:
    """The rates that realtime may have had at a sample, each with its error: the steady neighbour's."""
    if neighbour is not None and (neighbour.is_steady or sample.state is None):
        return [(neighbour.rate_ppm, neighbour.noise_ppm)]
    return [] if sample.state is None else [(rate, 0.0) for rate in sample.state.rates_ppm]


def is_step(interval: Interval, before: Interval | None) -> bool:
    """Whether realtime was set between the two samples: no slewing explains its move.

    Slewing explains up to 10.05 % where the kernel's state is unknown, or the samples are far apart; else the
    rates of its state now and at the two samples before, the rate just seen, and adjtime's 500 ppm. A smaller
    step is taken for slewing: its interval says so by its width.
    """
    noise_ppm, rate_ppm = interval.noise_ppm, interval.rate_ppm
    if abs(rate_ppm) > FASTEST_SLEW_PPM + noise_ppm:
        return True
    now = interval.end.state
    if interval.is_steady and now is not None and abs(rate_ppm - now.rates_ppm[0]) <= ADJTIME_PPM:
        return False  # as nearly always
    states = [interval.start.state, interval.end.state, before.start.state if before else None]
    known = [state for state in states if state is not None]
    if interval.start.state is None or interval.end.state is None:
        known = []
    if not interval.end.notified and (interval.span_ns > STARVED_NS or not known):
        return False
    rates = [rate for state in known for rate in state.rates_ppm]
    if before is not None:
        rates.append(before.rate_ppm)
    low, high = min(rates, default=0.0), max(rates, default=0.0)
    return not low - ADJTIME_PPM - noise_ppm <= rate_ppm <= high + ADJTIME_PPM + noise_ppm
