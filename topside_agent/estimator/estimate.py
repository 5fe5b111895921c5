"""What the estimator answers: the estimate itself, and what became of an exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from topside_agent.estimator.segments import Cut


class Added(NamedTuple):
    """What became of an exchange: used, or refused with the `reason`; `cut` if it begins a new segment."""

    accepted: bool
    reason: str | None
    cut: Cut | None


class Estimate(NamedTuple):
    """Pi realtime − topside realtime at `measured_at_ns` (topside's realtime), all in integer ns.

    [lower_ns, upper_ns] holds the offset if no message travels back in time and the clocks keep their limits;
    `u95_ns` is the statistical 95 % half-width. `drift_ppm` is that of the RAW clocks, with its own 95 %
    error.
    """

    measured_at_ns: int
    offset_ns: int
    lower_ns: int
    upper_ns: int
    u95_ns: int | None
    drift_ppm: float | None
    drift_error_ppm: float | None
    delay_min_ns: int
    exchanges: int
    segment: int
    boot_id: str | None
    age_ns: int

    @property
    def max_error_ns(self) -> int:
        """How far the offset can be from the truth at most."""
        return max(self.upper_ns - self.offset_ns, self.offset_ns - self.lower_ns)
