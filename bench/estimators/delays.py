"""Delay laws: how long a message takes out and back, drawn for a whole trace at once, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Delays(NamedTuple):
    """One-way delays in seconds, never negative, one pair per exchange."""

    out_s: Floats
    back_s: Floats


DelayLaw = Callable[[np.random.Generator, Floats], Delays]
"""Takes the generator and the instants of sending (s since the trace's start)."""

BASE_S = 1e-3
"""The least delay of every symmetric path."""


def exponential(
    out_s: float = 5e-4, back_s: float = 5e-4, *, base_out_s: float = BASE_S, base_back_s: float = BASE_S
) -> DelayLaw:
    """A least delay plus exponential queueing of the given means."""

    def draw(rng: np.random.Generator, at_s: Floats) -> Delays:
        out = base_out_s + rng.exponential(out_s, at_s.size)
        return Delays(out, base_back_s + rng.exponential(back_s, at_s.size))

    return draw


def lognormal(median_s: float = 2e-3, sigma: float = 1.2) -> DelayLaw:
    """1 ms plus a lognormal of that median: tails of tens of milliseconds, few messages near the least."""

    def draw(rng: np.random.Generator, at_s: Floats) -> Delays:
        size = at_s.size
        return Delays(
            BASE_S + median_s * rng.lognormal(0.0, sigma, size),
            BASE_S + median_s * rng.lognormal(0.0, sigma, size),
        )

    return draw


QUIET_S = 3e-4
"""The exponential part of a path that is only sometimes loaded."""


def bursts(
    *, quiet_s: float = 20.0, burst_s: float = 10.0, low_s: float = 5e-3, high_s: float = 0.15
) -> DelayLaw:
    """Bursts of exponential lengths, a third of the time, in which each answer waits 5 to 150 ms more.

    A camera's uplink shares the way back. Lengths and side are the reading that gives the peers' published
    figures: PX4's lag needs bursts of irregular length, liblsl's share of spoilt waves a mean near 10 s, and
    pyxdf's bias one direction only.
    """
    path = exponential(QUIET_S, QUIET_S)

    def draw(rng: np.random.Generator, at_s: Floats) -> Delays:
        out, back = path(rng, at_s)
        extra = rng.uniform(low_s, high_s, at_s.size)
        return Delays(out, back + extra * _loaded(rng, at_s, quiet_s, burst_s))

    return draw


def _loaded(rng: np.random.Generator, at_s: Floats, quiet_s: float, burst_s: float) -> NDArray[np.bool_]:
    """Whether each instant is loaded: quiet and loaded times alternate, both of exponential length."""
    cycles = int(4 * at_s[-1] / (quiet_s + burst_s)) + 64
    lengths = np.column_stack([rng.exponential(quiet_s, cycles), rng.exponential(burst_s, cycles)])
    changes = np.cumsum(lengths.ravel())
    loaded: NDArray[np.bool_] = np.searchsorted(changes, at_s, side="right") % 2 == 1
    return loaded


def held_answers(*, hold_s: float = 0.04, share: float = 0.7) -> DelayLaw:
    """A delayed-acknowledgement timer holds back most answers (Nagle's algorithm without TCP_NODELAY)."""
    path = exponential(QUIET_S, QUIET_S)

    def draw(rng: np.random.Generator, at_s: Floats) -> Delays:
        out, back = path(rng, at_s)
        return Delays(out, back + hold_s * (rng.random(at_s.size) < share))

    return draw


def route_change(
    *, first_s: float, second_s: float, last_out_s: float = 2e-3, last_back_s: float = 3e-3
) -> DelayLaw:
    """The path grows to 5 ms at `first_s`, and at `second_s` becomes 2 ms out and 3 ms back, or as given."""
    quiet = exponential(base_out_s=0.0, base_back_s=0.0)

    def draw(rng: np.random.Generator, at_s: Floats) -> Delays:
        out, back = quiet(rng, at_s)
        legs = [at_s < first_s, at_s < second_s]
        return Delays(
            out + np.select(legs, [BASE_S, 5e-3], last_out_s),
            back + np.select(legs, [BASE_S, 5e-3], last_back_s),
        )

    return draw


def constant(out_s: float = BASE_S, back_s: float = BASE_S) -> DelayLaw:
    """No noise at all: what a test of the peers' arithmetic needs."""

    def draw(_rng: np.random.Generator, at_s: Floats) -> Delays:
        return Delays(np.full(at_s.size, out_s), np.full(at_s.size, back_s))

    return draw
