"""A timebase: the interval in which both estimation clocks ran without a break, and all that is known of it.

Every bound in it holds for all of it. A timebase may contain several segments (a step of a wall clock that
RAW ran through), and a segment several timebases (standalone exchanges).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from topside_agent.estimator.averages import Averages
from topside_agent.estimator.blocks import Blocks
from topside_agent.estimator.bound import Bound, ClockLimits
from topside_agent.estimator.symmetric import KnownDriftFit, SubWindowMidpoints
from topside_agent.estimator.window_errors import Line, averaged
from topside_agent.estimator.window_set import WindowSet

if TYPE_CHECKING:
    from topside_agent.estimator.average_errors import AverageErrors
    from topside_agent.estimator.blocks import Floats
    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.segments import StepDetector
    from topside_agent.estimator.settings import EstimatorSettings
    from topside_agent.estimator.window_errors import WindowErrors

_MOST_FIRST = 64
"""So many exchanges narrow the rate one by one."""
_YOUNG_S = 64.0
"""After this time a window's own drift is better than the one from before."""


class RelativeBounds(NamedTuple):
    """A constraint as floats: times in s and bounds in ns, relative to the timebase's anchors."""

    upper_at: float
    upper: float
    lower_at: float
    lower: float


class Drift(NamedTuple):
    """A drift in ns/s and its squared error."""

    slope: float
    variance: float


class Carried(NamedTuple):
    """What counts on of a shorter path that was lost: its last line, and how far the present one is off."""

    line: Line
    shift: float
    variance: float
    """Of the shift, ns²."""

    def applied(self, own: Line, at_s: float, wander: float) -> Line:
        """The present path's line, moved, and the lost one's, averaged by their errors."""
        moved = own._replace(offset=own.offset + self.shift, variance=own.variance + self.variance)
        return averaged([self.line, moved], at_s, wander)


class Timebase:
    """Bounds as floats relative to the first exchange, so that clocks may be decades apart.

    Without `errors` only bounds are kept, no point estimate.
    """

    def __init__(
        self,
        first: Constraint,
        settings: EstimatorSettings,
        *,
        errors: WindowErrors | None,
        averages: AverageErrors | None = None,
        step_detector: StepDetector | None,
        drift: Drift | None = None,
        beside: Timebase | None = None,
    ) -> None:
        """`beside` is that of another path in the same interval: both have one bound."""
        self.anchor_ns: int = first.origin_ns if beside is None else beside.anchor_ns
        self.offset_anchor_ns: int = first.lower_ns if beside is None else beside.offset_anchor_ns
        self.raw = first.raw
        self.heard_s = 0.0
        """The destination of its own path's newest exchange."""
        self.carried: Carried | None = None
        rate = settings.rate_limit_ppm * 1e3
        if not first.raw:  # nothing is proved about a clock that may be slewed
            rate = settings.usual_rate + settings.slew_limit_ppm * 1e3
        limits = ClockLimits(rate, settings.wander_limit * 1e9, tangents=first.raw)
        self.bound: Bound = Bound(limits) if beside is None else beside.bound
        self.steepest: float = settings.usual_rate if beside is None else beside.steepest
        """The greatest likely rate (ns/s) of the RAW clocks: the usual one unless it is excluded."""
        self._first_bounds = np.empty((4, _MOST_FIRST))
        self._first = 0
        """So many columns of it are filled."""
        self.blocks = Blocks(settings.block_s, settings.window_blocks[-1])
        self.windows = WindowSet(settings, errors) if errors is not None else None
        self.midpoints = SubWindowMidpoints(settings) if errors is not None else None
        self.averages = Averages(settings, averages) if averages is not None else None
        self._settings, self._errors, self.step_detector = settings, errors, step_detector
        self._drift = drift
        self._closed: int | None = None
        self.stride = 1
        """The windows take so many blocks at a time, once the timebase is no longer young."""
        self._passed = self._deferred = 0
        self._relative_of: Constraint | None = None
        self._relative = RelativeBounds(0.0, 0.0, 0.0, 0.0)
        self._lines: tuple[list[Line], list[Line]] | None = None
        """The lines before and after that along the known drift, until the next exchange."""
        self._begin_known_drift(self.seconds(first.origin_ns))
        self.heard_s = self.seconds(first.destination_ns) if beside is not None else 0.0
        self.add(first)

    @property
    def newest_s(self) -> float:
        """The destination of the newest exchange of any path."""
        return self.bound.newest_s

    def _begin_known_drift(self, at_s: float) -> None:
        unknown = Drift(0.0, (self._settings.usual_rate / 2) ** 2)
        self._known_drift: KnownDriftFit | None = KnownDriftFit(*(self._drift or unknown))
        self._known_drift_since_s = at_s

    def seconds(self, at_ns: int) -> float:
        """`at_ns` of topside's estimation clock as s since the anchor."""
        return (at_ns - self.anchor_ns) * 1e-9

    def add(self, constraint: Constraint) -> float | None:
        """Add an exchange. None, or the time (s) from which on the blocks contradict those before."""
        bounds = self.relative(constraint)
        contradiction = self._lines = None
        if bounds.lower_at - self.heard_s > self._settings.gap_s:
            known = self.drift()
            self._drift = known if known is not None else self._drift
            self._begin_known_drift(bounds.upper_at)
        closing = self.blocks.index if self.blocks.closes_open(bounds.lower_at) else None
        self.blocks.add(*bounds, delay_ns=constraint.delay_ns)
        if closing is not None:
            contradiction = self._close_block(closing)
        if self.averages is not None:
            self.averages.add(bounds)
        self.bound.add(*bounds)
        if self._first < _MOST_FIRST and self.bound.limits.tangents:
            contradiction = self._refit_first(bounds, contradiction)
        if self.midpoints is not None and self.windows is not None:
            self.midpoints.add(bounds, self.windows.line)
        if self._known_drift is not None:
            self._known_drift.add(*bounds)
            replaced = self.windows is None or self.windows.line is not None
            if replaced and bounds.lower_at - self._known_drift_since_s > _YOUNG_S:
                self._known_drift = None
        self.heard_s = max(self.heard_s, bounds.lower_at)
        before_s = self.bound.newest_s
        self.bound.newest_s = max(before_s, bounds.lower_at)
        if contradiction is None and not self.bound.consistent(self.newest_s):
            return before_s
        return contradiction

    def _refit_first(self, bounds: RelativeBounds, contradiction: float | None) -> float | None:
        """While the timebase is young, each exchange narrows the rate: blocks would take seconds to do so."""
        self._first_bounds[:, self._first] = bounds
        self._first += 1
        newest_s = max(self.newest_s, bounds.lower_at)
        if contradiction is None and not self.bound.refit(self._first_bounds[:, : self._first], newest_s):
            return self.newest_s
        self._prove_rate(newest_s)
        return contradiction

    def _prove_rate(self, at_s: float) -> tuple[float, float]:
        """Set the likely drift by what the exchanges prove, which is returned (least and greatest, ns/s).

        If it was unlikely the windows start again.
        """
        least, greatest = self.bound.drifts(at_s)
        self.blocks.slope = (least + greatest) / 2
        if least <= self.steepest and greatest >= -self.steepest:
            return least, greatest
        self.steepest = max(abs(least), abs(greatest))
        self._known_drift = KnownDriftFit(self.blocks.slope, ((greatest - least) / 4) ** 2)
        for bounds in self._first_bounds[:, : self._first].T.tolist():
            self._known_drift.add(*bounds)
        if self.windows is not None:
            self.windows.steepen(self.steepest)
        if self.averages is not None:
            self.averages.restart()
        return least, greatest

    def _close_block(self, closed: int) -> float | None:
        columns = self.blocks.columns()
        passed = 1 if self._closed is None else closed - self._closed
        self._closed = closed
        if not columns.shape[1]:
            return None  # the gap that follows is longer than any window
        if not self.bound.refit(columns, self.newest_s):
            return self.newest_s
        least, greatest = self._prove_rate(self.newest_s)
        end_s = (closed + 1) * self.blocks.block_s
        if self.windows is not None:
            # Blocks without exchanges may already follow; the next call counts them in `passed`.
            newest = columns.shape[1] - (self.blocks.index or 0) + closed + 1
            self._close_windows(self.windows, columns[:, :newest], end_s, passed)
            if self.averages is not None:
                self.averages.close(end_s, passed, self.windows.line, self.blocks.slope)
        if self.step_detector is None:
            return None
        stepped = self.step_detector.stepped(columns, self.blocks.slope, (greatest - least) / 2)
        return None if stepped is None else end_s - stepped * self.blocks.block_s

    def _close_windows(self, windows: WindowSet, columns: Floats, end_s: float, passed: int) -> None:
        self._passed, self._deferred = self._passed + passed, self._deferred + 1
        if self._deferred < self.stride and passed == 1 and end_s > _YOUNG_S:
            return
        together = self._deferred if self._deferred == self._passed else 1
        windows.close(columns, end_s, self._passed, together)
        self._passed = self._deferred = 0

    def admits(self, constraint: Constraint, jumped_ns: int = 0) -> bool:
        """Whether `constraint` agrees with all before, had the offset jumped by `jumped_ns` before it."""
        upper_at, upper, lower_at, lower = self.relative(constraint)
        return self.bound.admits(upper_at, upper - jumped_ns, lower_at, lower - jumped_ns)

    def admits_late(self, constraint: Constraint) -> bool:
        """Whether a late exchange agrees with all before and after it."""
        bounds = self.relative(constraint)
        return self.bound.admits(*bounds) and self.bound.consistent_with(*bounds)

    def point(self, at_s: float) -> Line | None:
        """The likeliest offset at `at_s`, averaged over what the windows and the known drift suggest."""
        if self.windows is None or self._errors is None:
            return None
        if self._lines is None:
            self._lines = self._suggested(self.windows, self._errors)
        lines, others = self._lines
        if self._known_drift is not None:
            lines = [*lines, self._known_drift.line(at_s, self._errors.shortest())]
        wander = self._settings.wander_holdover * 1e9
        line = averaged([*lines, *others], at_s, wander)
        return line if self.carried is None else self.carried.applied(line, at_s, wander)

    def _suggested(self, windows: WindowSet, errors: WindowErrors) -> tuple[list[Line], list[Line]]:
        line, averages = windows.line, self.averages.line if self.averages is not None else None
        if line is None:
            return [windows.earlier] if windows.earlier is not None else [], []
        others = []
        if self.midpoints is not None and self.midpoints.line is not None:
            others.append(self.midpoints.line)
        # Until the edges' own error has been measured theirs is a guess, and far too large.
        if averages is not None and averages.variance < 2 * errors.least():
            others.append(averages)
        if self._known_drift is None or windows.earlier is None:
            return [line], others
        return [line, windows.earlier], others

    def clock_rate(self) -> float | None:
        """The rate of the RAW clocks (ns/s) if they are proved to be farther apart than is usual."""
        return self.blocks.slope if self.steepest > self._settings.usual_rate else None

    def likely_drift(self) -> Drift:
        """Without windows: 0, as the middle of what is proved is no evidence, unless 0 is excluded."""
        slope = 0.0 if self.clock_rate() is None else self.blocks.slope
        return Drift(slope, (self.steepest / 2) ** 2)

    def drift(self) -> Drift | None:
        """The best window's drift; before there is one, that of the time before; None if unknown."""
        line = self.windows.line or self.windows.earlier if self.windows is not None else None
        return self._drift if line is None else Drift(line.slope, line.slope_variance)

    def relative(self, constraint: Constraint) -> RelativeBounds:
        """`constraint` relative to the anchors."""
        if constraint is not self._relative_of:  # callers ask several times in a row for the same one
            self._relative_of = constraint
            self._relative = RelativeBounds(
                (constraint.origin_ns - self.anchor_ns) * 1e-9,
                float(constraint.upper_ns - self.offset_anchor_ns),
                (constraint.destination_ns - self.anchor_ns) * 1e-9,
                float(constraint.lower_ns - self.offset_anchor_ns),
            )
        return self._relative
