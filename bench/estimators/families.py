"""The families of traces: the eight rows of the acceptance table, and what else must hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.estimators import delays
from bench.estimators.clocks import ClockLaw, Step, StepKind
from bench.estimators.delays import DelayLaw


def _clock(law: ClockLaw) -> Callable[[float], ClockLaw]:
    return lambda _duration_s: law


def _delays(law: DelayLaw) -> Callable[[float], DelayLaw]:
    return lambda _duration_s: law


_STEADY = _clock(ClockLaw())
_ORDINARY = _delays(delays.exponential())


def _broken(kind: StepKind, size_ns: int, *, dead_s: float = 0.0) -> Callable[[float], ClockLaw]:
    """A clock that breaks half way through."""
    return lambda duration_s: ClockLaw(steps=(Step(duration_s / 2, size_ns, kind, dead_s),))


@dataclass(frozen=True)
class Family:
    """What kind of clock, path and faults a trace has; both laws may depend on its length in seconds."""

    title: str
    clock: Callable[[float], ClockLaw] = _STEADY
    delays: Callable[[float], DelayLaw] = _ORDINARY
    loss: float = 0.0
    duplicated: float = 0.0
    reordered: float = 0.0
    outage_s: float = 0.0
    """Without any exchange from a third of the trace on."""
    burst_of: int = 0
    burst_every_s: float = 10.0
    asymmetry_ms: float = 0.0
    """The fixed difference of the ways' least delays, out less back, which `asymmetry_ms` can be set to."""
    asymmetry_changes: bool = False
    """That difference changes by more than u95 assumes."""

    @property
    def cuts(self) -> int:
        """How many are expected: where the Pi's clock steps, boots or is suspended.

        A reported step that a kernel can have slewed between two exchanges is followed like a slew: no cut.
        """
        steps = self.clock(1.0).steps
        return sum(step.kind != "reported" or abs(step.size_ns) > _FOLLOWED_NS for step in steps)


MS = 1_000_000
_FOLLOWED_NS = 25 * MS
"""10.05 % of the quarter of a second between two exchanges: the kernel's fastest slew."""
DECADES_NS = -1_700_000_000_000_000_000
"""A Pi without a battery-backed clock starts in 1970."""

TABLE = {
    "clean": Family("1 ms + exp 0.5 ms both ways"),
    "lognormal": Family("1 ms + lognormal 2 ms, σ 1.2", delays=_delays(delays.lognormal())),
    "bursts": Family("bursts of 5–150 ms one way, a third of the time", delays=_delays(delays.bursts())),
    "skewed": Family("jitter exp 0.1 ms out, 5 ms back", delays=_delays(delays.exponential(1e-4, 5e-3))),
    "held": Family("+40 ms on 70 % of answers", delays=_delays(delays.held_answers())),
    "thermal": Family(
        "2 ppm thermal ramp, wander 1e-8", clock=_clock(ClockLaw(ramp=2e-6, wander_per_sqrt_s=1e-8))
    ),
    "step": Family("50 ms step, not reported", clock=_broken("unreported", 50 * MS)),
    "asymmetric": Family(
        "fixed asymmetry, 1 ms out, 3 ms back",
        delays=_delays(delays.exponential(3e-4, 3e-4, base_out_s=1e-3, base_back_s=3e-3)),
        asymmetry_ms=-2.0,
    ),
}

EXTRA = {
    "step_5ms_unreported": Family("5 ms step, not reported", clock=_broken("unreported", 5 * MS)),
    "step_3s_unreported": Family("3 s step, not reported", clock=_broken("unreported", 3000 * MS)),
    "step_5ms_reported": Family("5 ms step, reported", clock=_broken("reported", 5 * MS)),
    "step_50ms_reported": Family("50 ms step, reported", clock=_broken("reported", 50 * MS)),
    "step_3s_reported": Family("3 s step, reported", clock=_broken("reported", 3000 * MS)),
    "step_back_3s_reported": Family("−3 s step, reported", clock=_broken("reported", -3000 * MS)),
    "reboot": Family("reboot, 25 s away", clock=_broken("reboot", 700 * MS, dead_s=25.0)),
    "suspend": Family("suspend of 60 s", clock=_broken("suspend", 20 * MS, dead_s=60.0)),
    "loss": Family("20 % loss", loss=0.2),
    "duplicates": Family("10 % duplicates", duplicated=0.1),
    "reordering": Family("10 % reordered by up to 2 s", reordered=0.1),
    "route_change": Family(
        "route change, 1 → 5 → 2/3 ms",
        delays=lambda duration_s: delays.route_change(first_s=duration_s / 3, second_s=duration_s * 2 / 3),
        asymmetry_changes=True,
    ),
    "route_change_equal": Family(
        "route change, 1 → 5 → 2.5 ms",
        delays=lambda duration_s: delays.route_change(
            first_s=duration_s / 3, second_s=duration_s * 2 / 3, last_out_s=2.5e-3, last_back_s=2.5e-3
        ),
    ),
    "wander": Family("wander 1e-7", clock=_clock(ClockLaw(wander_per_sqrt_s=1e-7))),
    "cold_dunk": Family("cold dunk of 21 ppm", clock=_clock(ClockLaw(dunk=-21e-6))),
    "bursts_of_8": Family("bursts of 8 every 10 s", burst_of=8),
    "outage_5min": Family("outage of 5 minutes", outage_s=300.0),
    "outage_30min": Family("outage of 30 minutes", outage_s=1800.0),
    "decades": Family("clocks decades apart", clock=_clock(ClockLaw(offset_ns=DECADES_NS))),
}

FAMILIES = TABLE | EXTRA
