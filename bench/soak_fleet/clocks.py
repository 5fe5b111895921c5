"""Clocks of simulated machines: drawn as options of the programs, computed from what these wrote down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.clock import SimulatedClock, Slew, Step, Suspend, SystemClock

if TYPE_CHECKING:
    import random
    from pathlib import Path

S = 1_000_000_000
_FIRST_S = 10.0
_REST_S = 15.0
_STEPS_S = (0.02, 0.3, 3.0, 40.0)
_SLEWS_PPM = (100.0, 500.0, 20_000.0, 83_333.0)


@dataclass(frozen=True, slots=True)
class ClockOptions:
    """Options of `tidesync pi` and `tidesync topside`, and what they do."""

    options: tuple[str, ...]
    described: str


def boot_offset_s(chance: random.Random, boot: int) -> float:
    """How far the clock is set at its machine's boot number `boot`.

    One without a battery goes on near where it was: a little back, so that two boots show the same times, or
    forward. Were each boot anywhere, hardly a row could be only one boot's.
    """
    return chance.uniform(-1000, 1000) + sum(chance.uniform(-20, 60) for _ in range(boot))


def draw(chance: random.Random, offset_s: float, seconds: float, mean_s: float) -> ClockOptions:
    """A step, slew or suspend about every `mean_s` seconds, each with rest around it."""
    drift_ppm = chance.uniform(-60, 60)
    options = ["--simulate-offset-s", f"{offset_s:.6f}", "--simulate-drift-ppm", f"{drift_ppm:.3f}"]
    at_s = _FIRST_S + chance.expovariate(1 / mean_s)
    while at_s < seconds:
        kind, lasts_s = chance.choice(("step", "slew", "suspend")), 0.0
        sign = chance.choice((-1, 1))
        if kind == "step":
            value = f"{at_s:.3f}:{sign * chance.choice(_STEPS_S) * chance.uniform(0.5, 1):.6f}"
        elif kind == "slew":
            lasts_s = chance.uniform(1, 10)
            value = f"{at_s:.3f}:{sign * chance.choice(_SLEWS_PPM):g}:{lasts_s:.3f}"
        else:
            lasts_s = chance.uniform(0.5, 3)
            value = f"{at_s:.3f}:{lasts_s:.3f}"
        options += [f"--simulate-{kind}", value]
        at_s += lasts_s + _REST_S + chance.expovariate(1 / mean_s)
    return ClockOptions(tuple(options), " ".join(option.removeprefix("--simulate-") for option in options))


def written_clock(path: Path) -> SimulatedClock | None:
    """The clock that a program wrote down at `--simulate-truth`; None while it has not."""
    try:
        truth = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    clock = SimulatedClock(
        SystemClock(),
        truth["offset_ns"],
        truth["drift_ppm"],
        tuple(Step(**step) for step in truth["steps"]),
        slews=tuple(Slew(**slew) for slew in truth["slews"]),
        suspends=tuple(Suspend(**suspend) for suspend in truth["suspends"]),
    )
    clock.started_raw_ns, clock.started_realtime_ns = truth["started_raw_ns"], truth["started_realtime_ns"]
    return clock


def shown_at(clock: SimulatedClock, realtime_ns: int, from_ns: int, until_ns: int) -> list[int]:
    """The base's RAW instants within [from_ns, until_ns] at which the clock showed `realtime_ns`.

    Several where it was stepped back, none where a step forward passed over it. Between steps it only grows.
    """
    steps = sorted(clock.started_raw_ns + round(step.after_s * S) for step in clock.steps)
    edges = [from_ns, *(at for at in steps if from_ns < at < until_ns), until_ns]
    found = []
    for low, high in zip(edges, (*(edge - 1 for edge in edges[1:-1]), until_ns), strict=False):
        if clock.realtime_at(low) <= realtime_ns <= clock.realtime_at(high):
            found.append(_first_at(clock, realtime_ns, low, high))
    return found


def _first_at(clock: SimulatedClock, realtime_ns: int, low: int, high: int) -> int:
    while low < high:
        middle = (low + high) // 2
        if clock.realtime_at(middle) < realtime_ns:
            low = middle + 1
        else:
            high = middle
    return low


def asleep_until_ns(clock: SimulatedClock, now_ns: int) -> int:
    """The base's RAW at the end of the suspend that `now_ns` falls into; 0 if none."""
    on_ns = now_ns - clock.started_raw_ns
    ends = (
        round((suspend.after_s + suspend.seconds) * S)
        for suspend in clock.suspends
        if round(suspend.after_s * S) <= on_ns < round((suspend.after_s + suspend.seconds) * S)
    )
    return max((clock.started_raw_ns + end for end in ends), default=0)
