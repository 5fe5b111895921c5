"""An autopilot's time since boot, related to topside's RAW clock by packets that state it and are stamped.

A packet that states b arrived after b: that bounds topside's instant of b from above. From below it is
bounded by TIMESYNC requests whose answers were recorded too, if there are any every 20 s; else by the
assumption that of all packets in ten seconds the fastest took no longer than LATENCY_NS. Between two packets
the autopilot's clock may run off by RATE. What a single packet shows that no other one does is not used.

Assumptions: the autopilot's clock is within RATE of topside's RAW clock, which nobody sets or slews
(boot_runs.py puts stamps on it); it was not restarted between the packets; and, without TIMESYNC, that on the
latency, which is named wherever it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.interpolation import Instants

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Floats, Integers

LATENCY_NS = 10_000_000
RATE = 500e-6
"""A kernel slews its monotonic clock by no more, and crystals keep to less."""
_WINDOW_NS = 10_000_000_000
_SLACK_NS = 1_000_000
"""How much later than it was sent a request may have been stamped."""


class Asked(NamedTuple):
    """What answers to TIMESYNC prove, arrays of one length, ns."""

    boot_ns: Integers
    """That they state."""
    topside_ns: Integers
    """When the request was stamped."""
    error_ns: Integers
    slept_ns: Integers
    """As of `Heard`."""


class Heard(NamedTuple):
    """What packets state, arrays of one length for each pair, ns; boot times rise."""

    boot_ns: Integers
    """The least that each may mean; its true one is at most `unit_ns` later."""
    topside_ns: Integers
    """When it arrived."""
    error_ns: Integers
    slept_ns: Integers
    """For how long topside's clock may have stood still since the first one, up to each."""
    asked: Asked
    unit_ns: int = 1_000_000


class BootClock:
    """Topside's instants of boot times, ns; see `interpolation.Inverse`."""

    def __init__(self, heard: Heard) -> None:
        self.proven = _covers(heard)
        self.first_ns, self.last_ns = int(heard.boot_ns[0]), int(heard.boot_ns[-1])
        self._base_ns = int(heard.topside_ns[0] - heard.boot_ns[0])
        late = self._late(heard.topside_ns, heard.boot_ns)
        self._upper = _Cone(heard.boot_ns, late + heard.error_ns, heard.slept_ns, but=1)
        if self.proven:
            order = np.argsort(heard.asked.boot_ns, kind="stable")
            boot_ns, at_ns, error_ns, slept_ns = (each[order] for each in heard.asked)
            least = self._late(at_ns, boot_ns) - error_ns - _SLACK_NS
            self._lower = _Cone(boot_ns, -least, slept_ns, but=1)
        else:
            best = _fastest(heard.boot_ns, late)
            least = late[best] - heard.error_ns[best] - heard.unit_ns - LATENCY_NS
            self._lower = _Cone(heard.boot_ns[best], -least, heard.slept_ns[best], but=0)
        fastest = _fastest(heard.boot_ns, late)
        self.drift_ppm = _drift_ppm(heard.boot_ns[fastest], late[fastest])

    def instants(self, pi_ns: Integers) -> Instants:
        """The instants of boot times."""
        upper, lower = self._upper.at(pi_ns), -self._lower.at(pi_ns)
        middle = (upper + lower) / 2
        error = np.maximum((upper - lower) / 2, 0) + 1_000
        never = np.zeros(pi_ns.shape, dtype=bool)
        topside_ns = pi_ns + self._base_ns + np.rint(middle).astype(np.int64)
        return Instants(topside_ns, error, np.full(pi_ns.shape, np.nan), never, upper < lower)

    def _late(self, topside_ns: Integers, boot_ns: Integers) -> Floats:
        found: Floats = (topside_ns - boot_ns - self._base_ns).astype(np.float64)
        return found


class _Cone:
    """The greatest function that changes by no more than RATE and lies below all points (`at_ns` rises).

    While topside's clock stood still it changes by that too: `slept_ns`, from the first point on. `but`: it
    may lie above so many, 0 or 1: then a single point that is too low does not move it.
    """

    def __init__(self, at_ns: Integers, values: Floats, slept_ns: Integers, *, but: int) -> None:
        self._at_ns, self._but = at_ns, but
        slept = np.maximum.accumulate(slept_ns)
        self._slept = np.concatenate([slept[:1], slept, slept[-1:]])
        run = RATE * (at_ns - at_ns[0]) + slept
        self._before = _two_least(values - run)
        self._after = _two_least((values + run)[::-1])[:, ::-1]

    def at(self, at_ns: Integers) -> Floats:
        """Its values."""
        place, run = np.searchsorted(self._at_ns, at_ns), RATE * (at_ns - self._at_ns[0])
        after_those, before_those = run + self._slept[place + 1], run + self._slept[place]
        of_both = np.concatenate([self._before[:, place] + after_those, self._after[:, place] - before_those])
        found: Floats = np.partition(of_both, self._but, axis=0)[self._but]
        return found


def _two_least(values: Floats) -> Floats:
    """The two least of the first 0, 1, 2, … values, shape (2, n + 1); infinite where there are none."""
    none = np.array([np.inf])
    least = np.concatenate([none, np.minimum.accumulate(values)])
    second = np.concatenate([none, np.minimum.accumulate(np.maximum(values, least[:-1]))])
    return np.stack([least, second])


def _covers(heard: Heard) -> bool:
    """Whether TIMESYNC bounds the whole time from below, with no pause longer than two windows."""
    asked = np.sort(heard.asked.boot_ns)
    ends = np.concatenate([heard.boot_ns[:1], asked, heard.boot_ns[-1:]])
    return asked.size > 1 and bool((np.diff(ends) <= 2 * _WINDOW_NS).all())


def _fastest(boot_ns: Integers, late: Floats) -> Integers:
    """The places of the fastest packet of each window, rising."""
    window = (boot_ns - boot_ns[0]) // _WINDOW_NS
    order = np.lexsort((late, window))
    found: Integers = np.sort(order[np.append(True, np.diff(window[order]) > 0)])
    return found


def _drift_ppm(boot_ns: Integers, late: Floats) -> float | None:
    """How much faster than the autopilot's topside's clock runs, by the fastest packets; None: too few."""
    if boot_ns.size < 3:  # noqa: PLR2004 - two points fit any line
        return None
    slope = np.polyfit((boot_ns - boot_ns[0]).astype(np.float64), late, 1)[0]
    return float(slope * 1e6)
