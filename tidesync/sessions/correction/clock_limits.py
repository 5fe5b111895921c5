"""How fast the clocks may run apart between two measurements, and the greatest error of a correction."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from schemas.metadata import CONSUMER_TOLERANCE_MS
from tidesync.sessions.bridged import bridged
from tidesync.sessions.correction.columns import each
from tidesync.sessions.correction.unexplained import FASTEST_SLEW
from topside_agent.estimator import EstimatorSettings, Exchanges

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas.exchange import Exchange

_FREE_RUNNING_PPM = 1.0
"""The distance of a free-running wall clock from RAW changes far less."""


@dataclass(frozen=True, slots=True)
class ClockLimits:
    """Rates as fractions (1e-6 is 1 ppm), times in s, errors in ns."""

    rate: float = 200e-6
    """ρ: the greatest drift of two RAW clocks."""
    wander: float = 5e-7
    """κ, s^-1/2: within Δt the offset of two RAW clocks leaves its tangent by at most κ·Δt^1.5 seconds."""
    slew: float = 0.0
    """The greatest slew of both wall clocks together."""
    gap_s: float = 30.0
    """Between two measurements farther apart than this, a correction is a holdover."""
    max_error_ns: int = round(CONSUMER_TOLERANCE_MS * 1e6)
    """A row with a larger error is `outside`."""
    promised: bool = True
    """Whether the user promises `slew`: then it holds beyond the first and the last measurement as well."""


def limits_of(
    settings: EstimatorSettings,
    exchanges: Sequence[Exchange],
    *,
    slew_ppm: float | None,
    max_error_ms: float,
    rate_ppm: float = 0.0,
) -> ClockLimits:
    """The limits for one vehicle's exchanges, which show what was slewed where `slew_ppm` is None.

    They show nothing of the time before the first and after the last one: `slew_ppm` is a promise for it.

    `rate_ppm` is how far apart the RAW clocks may run (`Track.rate_ppm`).
    """
    promised = slew_ppm is not None
    if slew_ppm is None:
        slew_ppm = settings.slew_limit_ppm * slewed_sides(bridged(exchanges).exchanges, settings)
    return ClockLimits(
        rate=min(max(settings.usual_rate * 1e-9, rate_ppm * 1e-6), settings.rate_limit_ppm * 1e-6),
        wander=settings.wander_limit,
        slew=slew_ppm * 1e-6,
        gap_s=settings.gap_s,
        max_error_ns=round(max_error_ms * 1e6),
        promised=promised,
    )


def slewed_sides(exchanges: Sequence[Exchange], settings: EstimatorSettings) -> int:
    """How many of the two wall clocks (0 to 2) were slewed, or may have been, while they were measured.

    Each exchange has realtime − RAW of both sides. Where that is constant except for steps (a change that no
    slewing can make in the time), nothing disciplines the clock. Where it is null both count as slewed.
    """
    columns = Exchanges.of(exchanges)
    names = "pi_realtime_minus_raw_ns", "topside_realtime_minus_raw_ns"
    if not all(columns.known(name).all() for name in names):
        return 2
    at = columns.column("destination_ns") - columns.column("topside_realtime_minus_raw_ns")
    resolution = columns.column("resolution_ns")
    return sum(_moves(each(at, columns.column(name), resolution), settings.step_min_ns) for name in names)


def _moves(readings: Iterable[Sequence[int]], step_ns: int) -> bool:
    """Whether the distance changes; summed, so that a slow slew stands out from each reading's resolution."""
    drifted, elapsed, resolution = 0, 0, 0
    for (before_ns, before, _), (now_ns, now, width) in pairwise(readings):
        resolution = max(resolution, width)
        slewed_at_most = step_ns + FASTEST_SLEW * (now_ns - before_ns)
        if now_ns > before_ns and abs(now - before) < slewed_at_most:
            drifted += now - before
            elapsed += now_ns - before_ns
            if abs(drifted) > 2 * resolution + elapsed * _FREE_RUNNING_PPM * 1e-6:
                return True
    return False
