"""What an estimate is, and how it is put together from a timebase's bound and line."""

from __future__ import annotations

from math import ceil, floor, sqrt
from typing import TYPE_CHECKING, NamedTuple

from topside_agent.estimator.window_errors import DRIFT_95

if TYPE_CHECKING:
    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.segments import Cut
    from topside_agent.estimator.settings import EstimatorSettings
    from topside_agent.estimator.timebase import Timebase
    from topside_agent.estimator.window_errors import Line


class Added(NamedTuple):
    """Whether an exchange was accepted, else the `reason`; `cut` if it begins a new segment.

    One that came over a longer path than others `waits` for the next of those; until then it changes nothing.
    """

    accepted: bool
    reason: str | None
    cut: Cut | None
    waits: bool = False


class Estimate(NamedTuple):
    """Pi realtime − topside realtime at `measured_at_ns` (topside's realtime), all in integer ns.

    [lower_ns, upper_ns] holds the offset at the Pi's last reading, when its clock showed `measured_at_ns` +
    `offset_ns`, if no message travels back in time and the RAW clocks keep their limits. Later than that it
    is `conditional`: it also assumes that the Pi's clock was neither set nor slewed since.
    `precision_ns` is the statistical 95 % half-width if both directions have the same least delay; `u95_ns`
    adds `asymmetry_share` of half the least round trip. `drift_ppm` is that of the RAW clocks,
    `drift_error_ppm` its 95 % error. None where unknown.
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
    conditional: bool = False
    precision_ns: int | None = None

    @property
    def max_error_ns(self) -> int:
        """The offset's greatest possible error."""
        return max(self.upper_ns - self.offset_ns, self.offset_ns - self.lower_ns)

    def narrowed(self, low_ns: int, high_ns: int) -> Estimate:
        """The same within [`low_ns`, `high_ns`], which has something in common with its bound."""
        lower_ns, upper_ns = max(self.lower_ns, low_ns), min(self.upper_ns, high_ns)
        found = self._replace(
            offset_ns=min(max(self.offset_ns, lower_ns), upper_ns), lower_ns=lower_ns, upper_ns=upper_ns
        )
        if self.u95_ns is None or self.precision_ns is None:
            return found
        worst_ns = found.max_error_ns
        return found._replace(
            u95_ns=min(self.u95_ns, worst_ns), precision_ns=min(self.precision_ns, worst_ns)
        )


def assemble(
    timebase: Timebase,
    newest: Constraint,
    at_ns: int,
    interval: tuple[float, float],
    difference_ns: int,
    *,
    directly: bool,
    settings: EstimatorSettings,
    warmup: float,
    segment: int,
    boot_id: str | None,
) -> Estimate:
    """The estimate at `at_ns` of topside's estimation clock, conditional.

    `interval` is the bound there (ns, relative to the timebase), `difference_ns` topside's realtime − RAW,
    `directly` whether exchanges came directly in this timebase, `warmup` the factor by which likely errors
    grow while little has been watched.
    """
    at_s = timebase.seconds(at_ns)
    within_ns = newest.differences_within_ns(directly=directly)
    low, high = interval[0] - within_ns, interval[1] + within_ns
    line = timebase.point(at_s)
    offset = likeliest(line, low, high, settings)
    exchanges, delay_min = timebase.blocks.within(at_s if line is None else line.window_s)
    drift = timebase.drift()
    base_ns = timebase.offset_anchor_ns + newest.pi_difference_ns - difference_ns
    offset_ns, lower_ns, upper_ns = base_ns + round(offset), base_ns + floor(low), base_ns + ceil(high)
    precision_ns = u95_ns = None
    if line is not None:
        worst_ns = max(upper_ns - offset_ns, offset_ns - lower_ns)
        likely = settings.u95_factor * warmup * sqrt(line.variance)
        precision_ns = min(ceil(likely), worst_ns)
        u95_ns = min(ceil(likely + settings.asymmetry_share * max(delay_min, 0.0) / 2), worst_ns)
    return Estimate(
        measured_at_ns=at_ns + difference_ns,
        offset_ns=offset_ns,
        lower_ns=lower_ns,
        upper_ns=upper_ns,
        u95_ns=u95_ns,
        drift_ppm=None if drift is None else drift.slope * 1e-3,
        drift_error_ppm=None if drift is None else DRIFT_95 * warmup * sqrt(drift.variance) * 1e-3,
        delay_min_ns=round(delay_min),
        exchanges=exchanges,
        segment=segment,
        boot_id=boot_id,
        age_ns=max(at_ns - newest.destination_ns, 0),
        conditional=True,
        precision_ns=precision_ns,
    )


def likeliest(line: Line | None, low: float, high: float, settings: EstimatorSettings) -> float:
    """The line's offset less the known asymmetry, clipped into the bound; without a line its middle."""
    middle = (low + high) / 2 if line is None else line.offset
    return min(max(middle - settings.asymmetry_ns, low), high)
