"""What the clocks may do between two measurements, and how wrong an answer may be to be given at all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from topside_agent.estimator import EstimatorSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.exchange import Exchange

MAX_ERROR_MS = 25.0
"""The consumer's own tolerance between matched rows."""

_STILL_PPM = 1.0
"""A wall clock that nobody slews keeps its distance from RAW but for rounding far below this."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Rates as fractions (1e-6 is 1 ppm), times in s, errors in ns."""

    rate: float = 200e-6
    """ρ: no two RAW clocks run apart faster."""
    wander: float = 5e-7
    """κ, s^-1/2: within Δt the offset of two RAW clocks leaves its tangent by at most κ·Δt^1.5 seconds."""
    slew: float = 0.0
    """How fast both wall clocks together may be slewed."""
    gap_s: float = 30.0
    """Between two measurements farther apart than this, an answer is held over."""
    max_error_ns: int = 25_000_000
    """A larger error is no answer: `outside`."""


def limits_of(
    settings: EstimatorSettings, exchanges: Sequence[Exchange], *, slew_ppm: float | None, max_error_ms: float
) -> Limits:
    """The limits for one vehicle's log; `slew_ppm` None lets the log say which wall clocks were slewed."""
    if slew_ppm is None:
        slew_ppm = settings.slew_limit_ppm * slewed_sides(exchanges, settings)
    return Limits(
        rate=settings.rate_limit_ppm * 1e-6,
        wander=settings.wander_limit,
        slew=slew_ppm * 1e-6,
        gap_s=settings.gap_s,
        max_error_ns=round(max_error_ms * 1e6),
    )


def slewed_sides(exchanges: Sequence[Exchange], settings: EstimatorSettings) -> int:
    """How many of the two wall clocks (0 to 2) were slewed, or may have been, while the log was written.

    Each exchange tells realtime − RAW of both sides. Where that stays put from one exchange to the next,
    steps apart, nothing disciplines that clock. Where it is null nobody knows, and both count.
    """
    if any(e.pi_realtime_minus_raw_ns is None or e.topside_realtime_minus_raw_ns is None for e in exchanges):
        return 2
    pi = [(e.destination_ns, e.pi_realtime_minus_raw_ns or 0, e.resolution_ns) for e in exchanges]
    topside = [(e.destination_ns, e.topside_realtime_minus_raw_ns or 0, e.resolution_ns) for e in exchanges]
    return _moves(pi, settings.step_min_ns) + _moves(topside, settings.step_min_ns)


def _moves(readings: Sequence[tuple[int, int, int]], step_ns: int) -> bool:
    """Whether the distance creeps: summed over the log, so that a slow slew is not lost in each reading."""
    crept, elapsed, resolution = 0, 0, 0
    for (before_ns, before, _), (now_ns, now, width) in pairwise(readings):
        resolution = max(resolution, width)
        if abs(now - before) < step_ns and now_ns > before_ns:
            crept += now - before
            elapsed += now_ns - before_ns
            if abs(crept) > 2 * resolution + elapsed * _STILL_PPM * 1e-6:
                return True
    return False
