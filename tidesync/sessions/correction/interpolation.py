"""One segment of a track, inverted: the topside instant of a Pi timestamp, and the bound of its error.

Signs and units: offset θ = Pi − topside in ns, so `topside = t − θ`; times are Unix ns as int64, errors ns.

At τ, a seconds after the measured instant T₀ and b before the next one T₁, with g = a + b:

- The offset of two RAW clocks leaves its tangent at τ by at most κ·Δt^1.5. In the sum of both ends'
  distances from that tangent, weighted b/g and a/g, the tangent cancels: θ(τ) is off the chord by at most
  κ·(b·a^1.5 + a·b^1.5)/g.
- A wall clock slewed by at most s is off its own chord by at most 2·s·a·b/g.
- Where realtime − RAW was read at both ends, what the wall clocks may have done between (unexplained.py) is
  added; else a step below the threshold of detection may lie between the two, and what the chord moves by
  beyond ρ·g is added in full.
- The offset stays within the cone of slope ρ + s from either end, and what the wall clocks moved by.

So the bound is the chord of [lower, upper] widened by the first three and limited by the cone. Where nobody
knows what a wall clock did, an instant is undecided; so is one whose error reaches into such a gap, and one
beyond an end where a clock may still be slewing. Beyond an end
the cone holds, and with s = 0 also the extreme tangents: where θ is known D seconds further in, the drift at
the end is at most (upper(end) − lower(in))/D + κ·√D.

The 95 % half-width u95 is that of the track's rows, interpolated between two as if both were off to the same
side, widened by the first three in full; beyond an end by what the bound grows. It is never above the bound.
Assumption: that of the rows (docs/estimator.md): the smallest delays of both directions are alike.

Assumption: a clock that was at rest at an end is not set or slewed by more than s beyond it.

The true instant solves τ + θ(τ) = t, the corrected one is t − θ̂(τ̂); they differ by e = |θ(τ) − θ̂|. The bound
E is known at τ̂, and θ moves by at most (ρ + s)·e from there to τ: e ≤ E + (ρ + s)·e, so e ≤ E/(1 − ρ − s).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from tidesync.sessions.correction.unexplained import (
    FASTEST_SLEW,
    LONGEST_KNOWN_S,
    SETTLED_S,
    movement,
    off_chord_ns,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.clock_limits import ClockLimits
    from tidesync.sessions.correction.unexplained import Flags, Reading
    from topside_agent.estimator.blocks import Floats, Integers

_SLOPE_S = 60.0
"""Beyond an end the offset is extrapolated along its mean slope over this time."""
_LONGEST_HOLDOVER_S = 1e8
_NEAR = 2.0
"""An instant nearer to an end than so many times its error may lie beyond it."""


class Instants(NamedTuple):
    """Topside instants, the bound and the 95 % half-width of each one's error, and whether it is a holdover.

    Where `undecided` the others are void: a wall clock was moved there, and nobody knows when. `u95_ns` is
    NaN where the track has none.
    """

    topside_ns: Integers
    max_error_ns: Floats
    u95_ns: Floats
    held: Flags
    undecided: Flags


class Inverse(Protocol):
    """Corrects the Pi timestamps of one segment; measured ones are from `first_ns` to `last_ns`."""

    first_ns: int
    last_ns: int

    def instants(self, pi_ns: Integers) -> Instants:
        """The topside instants of `pi_ns`."""
        ...


class Knots(NamedTuple):
    """The segment's measured instants, at least one, oldest first; Pi time rises strictly."""

    topside_ns: Integers
    offset_ns: Integers
    lower_ns: Integers
    upper_ns: Integers
    held: Flags
    """Rows that are a holdover of the estimator's."""
    u95_ns: Floats
    """NaN where it is not known."""

    @property
    def pi_ns(self) -> Integers:
        """The Pi's clock at these instants."""
        return self.topside_ns + self.offset_ns


class Interpolation:
    """Corrects Pi timestamps within [first_ns, last_ns], and on both sides of it with a growing error."""

    def __init__(
        self,
        knots: Knots,
        limits: ClockLimits,
        readings: Sequence[Reading | None] | None = None,
        *,
        slewing: tuple[bool, bool] = (False, False),
    ) -> None:
        """`readings` has one of each knot, None where the exchange has none.

        `slewing`: whether a clock may have been slewed just before the first and just after the last knot.
        """
        self._knots, self._limits = knots, limits
        self._pi = knots.pi_ns
        read = readings or [None] * self._pi.size
        read_ns = [getattr(each, "transmit_ns", None) for each in read]
        self._read_ns = np.array(
            [pi if at is None else min(pi, at) for pi, at in zip(self._pi.tolist(), read_ns, strict=True)]
        )
        self.last_ns = int(self._read_ns[-1])  # what the clock did later no reading shows
        self.first_ns = min(int(self._pi[0]), self.last_ns)
        at_s = (knots.topside_ns - knots.topside_ns[0]) * 1e-9
        self._movement = movement(at_s, read)
        gap_s = np.diff(at_s)
        whole_s, (slewed_before, slewed_after) = float(gap_s.sum()), slewing
        self._undecided = self._movement.undecided | _still_slewed(at_s, self._movement.known, slewing)
        self._settled = (
            min(self._movement.settled_s(gap_s, at_end=False), whole_s if slewed_after else np.inf)
            > SETTLED_S,
            min(self._movement.settled_s(gap_s, at_end=True), whole_s if slewed_before else np.inf)
            > SETTLED_S,
        )
        self.before = Extrapolation(knots, limits, forward=False)
        self.after = Extrapolation(knots, limits, forward=True)

    def instants(self, pi_ns: Integers) -> Instants:
        """The topside instants of `pi_ns`."""
        if self._pi.size > 1:
            topside, error, u95, held, undecided = self._between(pi_ns)
        else:
            topside, error, u95 = np.zeros_like(pi_ns), np.zeros(pi_ns.shape), np.zeros(pi_ns.shape)
            held, undecided = np.zeros(pi_ns.shape, dtype=bool), np.zeros(pi_ns.shape, dtype=bool)
        edges = (
            (self.before, (pi_ns < self._pi[0]) | (self._pi.size == 1)),
            (self.after, pi_ns > self._pi[-1]),
        )
        for (edge, beyond), settled in zip(edges, self._settled, strict=True):
            if beyond.any():
                topside[beyond], error[beyond], u95[beyond] = edge.instants(pi_ns[beyond])
                held[beyond] = pi_ns[beyond] != edge.pi_ns
                undecided[beyond] = not settled
        return Instants(topside, error, np.minimum(u95, error), held, undecided)

    def _between(self, pi_ns: Integers) -> Instants:
        knots, limits = self._knots, self._limits
        left = np.clip(np.searchsorted(self._pi, pi_ns, side="right") - 1, 0, max(self._pi.size - 2, 0))
        right = np.minimum(left + 1, self._pi.size - 1)
        share = (pi_ns - self._pi[left]) / np.maximum(self._pi[right] - self._pi[left], 1)
        share = np.clip(share, 0.0, 1.0)
        moved = (knots.offset_ns[right] - knots.offset_ns[left]).astype(np.float64)
        moved_here = np.rint(share * moved)
        topside = pi_ns - knots.offset_ns[left] - moved_here.astype(np.int64)
        gap = (knots.topside_ns[right] - knots.topside_ns[left]) * 1e-9
        since, until = share * gap, (1 - share) * gap
        known, sides = self._movement.known[left], self._movement.sides
        slew = limits.slew + FASTEST_SLEW * sides[left]
        jump = np.maximum(np.abs(moved) - limits.rate * gap * 1e9, 0.0)
        pad = _off_chord(since, until, limits) * 1e9
        unseen = np.where(known, 0.0, jump)
        pad += off_chord_ns(self._movement, left, since, until) + unseen
        moved_at_most = self._movement.moved_ns[left] + self._movement.hidden_ns[left] + unseen
        cone = (limits.rate + slew) * 1e9
        error = np.zeros(pi_ns.shape)
        for bound, sign in ((knots.upper_ns, 1), (knots.lower_ns, -1)):
            at_left = sign * (bound[left] - knots.offset_ns[left]).astype(np.float64)
            at_right = sign * (bound[right] - knots.offset_ns[right]).astype(np.float64)
            reach = (1 - share) * at_left + share * at_right + pad
            reach = np.minimum(reach, at_left - sign * moved_here + cone * since + moved_at_most)
            reach = np.minimum(reach, at_right + sign * (moved - moved_here) + cone * until + moved_at_most)
            error = np.maximum(error, reach)
        u95 = (1 - share) * knots.u95_ns[left] + share * knots.u95_ns[right] + pad
        error, u95 = (_of_the_instant(each, limits, self._fastest(left)) for each in (error, u95))
        added, undecided = self._across_ends(left, pi_ns, error)
        held = knots.held[left] | knots.held[right] | (gap > limits.gap_s)
        return Instants(topside, error + added, u95 + added, held, undecided)

    def _fastest(self, interval: Integers) -> Floats:
        """The greatest unexplained slew in each interval and the two beside it, as a fraction."""
        sides = np.concatenate([[0.0], self._movement.sides, [0.0]])
        near = np.maximum(np.maximum(sides[:-2], sides[1:-1]), sides[2:])
        fastest: Floats = FASTEST_SLEW * near[interval]
        return fastest

    def _across_ends(self, interval: Integers, pi_ns: Integers, error: Floats) -> tuple[Floats, Flags]:
        """What was moved in the gaps nearby that an error reaches, and whether any of them is undecided."""
        unexplained, last = self._movement.unexplained_ns, self._movement.sides.size - 1
        undecided, added = self._undecided[interval].copy(), np.zeros(error.shape)
        near, farthest = _NEAR * error, unexplained.max(initial=0.0)
        rows, away = np.arange(interval.size), 1
        while rows.size:
            here, at_ns, reached = interval[rows], pi_ns[rows], np.zeros(rows.size, dtype=bool)
            for beside, apart in (
                (here - away, at_ns - self._pi[np.maximum(here - away + 1, 0)]),
                (here + away, self._read_ns[np.minimum(here + away, last + 1)] - at_ns),
            ):
                there = np.clip(beside, 0, last)
                # Set back, the clock shows times of the intervals beside again.
                touches = (there == beside) & (apart <= near[rows] + unexplained[there])
                undecided[rows] |= touches & self._undecided[there]
                added[rows] += np.where(touches, unexplained[there], 0.0)
                reached |= (there == beside) & (apart <= near[rows] + farthest)
            near, away = np.minimum(near, _NEAR * self._limits.max_error_ns), away + 1
            rows = rows[reached]
        return added, undecided


def _still_slewed(at_s: Floats, known: Flags, slewing: tuple[bool, bool]) -> Flags:
    """Which intervals without readings lie near an end at which a clock was slewed; it may be still."""
    before, after = slewing
    near = (before & (at_s[:-1] - at_s[0] < SETTLED_S)) | (after & (at_s[-1] - at_s[1:] < SETTLED_S))
    found: Flags = ~known & near & (np.diff(at_s) > LONGEST_KNOWN_S)
    return found


class Extrapolation:
    """Corrects beyond one end of a segment: after its last knot (`forward`) or before its first."""

    def __init__(self, knots: Knots, limits: ClockLimits, *, forward: bool) -> None:
        inward = slice(None, None, -1) if forward else slice(None)
        topside, offset, lower, upper = (column[inward] for column in knots[:4])
        self._limits, self._sign = limits, 1 if forward else -1
        self._topside, self._offset = int(topside[0]), int(offset[0])
        self.pi_ns = self._topside + self._offset
        self._above, self._below = int(upper[0] - offset[0]), int(offset[0] - lower[0])
        self._u95 = float(knots.u95_ns[inward][0])
        depth_s = np.abs(topside[1:] - topside[0]) * 1e-9
        self._fastest = _extreme(upper[0] - lower[1:], depth_s, limits)
        self._slowest = -_extreme(upper[1:] - lower[0], depth_s, limits)
        inner = int(np.searchsorted(depth_s, _SLOPE_S, side="right"))
        drift = float(offset[0] - offset[inner]) / (depth_s[inner - 1] * 1e9) if inner else 0.0
        self._drift = min(max(drift, self._slowest), self._fastest)

    def instants(self, pi_ns: Integers) -> tuple[Integers, Floats, Floats]:
        """Topside instants, errors and u95 of `pi_ns`, all beyond this end."""
        away = np.abs(pi_ns - self.pi_ns) / (1 + self._sign * self._drift)
        moved = np.rint(self._drift * away).astype(np.int64)
        error = self.error(away * 1e-9)
        u95 = self._u95 + error - max(self._above, self._below)
        return pi_ns - self._offset - moved, error, u95

    def error(self, away_s: Floats) -> Floats:
        """The bound of the error `away_s` beyond the end, in ns."""
        cone = self._limits.rate + self._limits.slew
        slack = self._limits.wander * np.sqrt(away_s) if self._limits.slew == 0 else np.inf
        faster = np.minimum(cone, self._fastest + slack) - self._drift
        slower = self._drift - np.maximum(-cone, self._slowest - slack)
        error = np.maximum(self._above + faster * away_s * 1e9, self._below + slower * away_s * 1e9)
        return _of_the_instant(error, self._limits)

    def reach_s(self, max_error_ns: float) -> float:
        """How far beyond the end the error stays within the limit; the error only grows."""
        low, high = 0.0, _LONGEST_HOLDOVER_S
        while high - low > 1e-6:  # noqa: PLR2004 - s, below what matters
            middle = (low + high) / 2
            low, high = (middle, high) if self.error(np.array(middle)) <= max_error_ns else (low, middle)
        return low


def _extreme(rise_ns: Integers, depth_s: Floats, limits: ClockLimits) -> float:
    """The greatest outward drift at an end (a fraction), from how far the offset may have risen to it."""
    if limits.slew > 0:  # past offsets bound no future slew
        return limits.rate + limits.slew
    deep = depth_s > 0
    drifts = rise_ns[deep] * 1e-9 / depth_s[deep] + limits.wander * np.sqrt(depth_s[deep])
    return min(float(drifts.min(initial=limits.rate)), limits.rate)


def _off_chord(since_s: Floats, until_s: Floats, limits: ClockLimits) -> Floats:
    """How far the offset may be off the straight line between two measured instants, in s."""
    gap = np.maximum(since_s + until_s, 1e-9)
    both = since_s * until_s / gap
    return both * (limits.wander * (np.sqrt(since_s) + np.sqrt(until_s)) + 2 * limits.slew)


def _of_the_instant(error_ns: Floats, limits: ClockLimits, slew: Floats | float = 0.0) -> Floats:
    """From the error of the offset to that of the instant, with a nanosecond for each of two roundings."""
    return np.ceil(error_ns / (1 - limits.rate - limits.slew - slew)) + 2
