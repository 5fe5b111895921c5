"""A run: one stretch in which neither RAW clock broke, so that every bound in it holds for all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from topside_agent.estimator.blocks import Blocks
from topside_agent.estimator.bound import Bound, Limits
from topside_agent.estimator.known_drift import KnownDriftFit
from topside_agent.estimator.midpoints import Cells
from topside_agent.estimator.window import SHARPNESS, Line
from topside_agent.estimator.window_set import Ladder

if TYPE_CHECKING:
    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.settings import EstimatorSettings
    from topside_agent.estimator.step_detector import ShiftWatch
    from topside_agent.estimator.window import WindowErrors

_YOUNG_S = 64.0
"""Beyond this age a window's own drift is better than the one from before."""


class Facts(NamedTuple):
    """A constraint as floats: s and ns relative to the run's anchors."""

    upper_at: float
    upper: float
    lower_at: float
    lower: float


class Drift(NamedTuple):
    """What is known of the drift from before: ns/s and its squared error."""

    slope: float
    variance: float


class Run:
    """Bounds as floats relative to the run's first exchange, so that clocks may be decades apart.

    Without a `memory` only bounds are kept, no point estimate.
    """

    def __init__(
        self,
        first: Constraint,
        settings: EstimatorSettings,
        *,
        pi_clock_free: bool,
        memory: WindowErrors | None,
        shifts: ShiftWatch,
        drift: Drift | None = None,
    ) -> None:
        self.anchor_ns = first.origin_ns
        self.offset_anchor_ns = first.lower_ns
        self.raw = first.raw
        self.free = pi_clock_free
        self.newest_s = 0.0
        slewed = not (first.raw or pi_clock_free)
        rate_ppm = settings.rate_limit_ppm + (settings.slew_limit_ppm if slewed else 0.0)
        self.bound = Bound(Limits(rate_ppm * 1e3, settings.wander_limit * 1e9, lines=not slewed))
        self.blocks = Blocks(settings.block_s, round(settings.ladder_s[-1] / settings.block_s))
        self.ladder = Ladder(settings, memory) if memory is not None else None
        self._cells = Cells(settings) if memory is not None else None
        self._settings, self._memory, self._shifts = settings, memory, shifts
        self._drift = drift
        self._closed: int | None = None
        self._relative_of: Constraint | None = None
        self._facts = Facts(0.0, 0.0, 0.0, 0.0)
        self._begin_steady(0.0)
        self.add(first)

    def _begin_steady(self, at_s: float) -> None:
        unknown = Drift(0.0, (self._settings.rate_limit_ppm * 1e3 / 2) ** 2)
        self._steady: KnownDriftFit | None = KnownDriftFit(*(self._drift or unknown))
        self._steady_since_s = at_s

    def seconds(self, at_ns: int) -> float:
        """`at_ns` of the run's topside clock as s since its start."""
        return (at_ns - self.anchor_ns) * 1e-9

    def add(self, constraint: Constraint) -> float | None:
        """Take an exchange. None, or the time (s) back to which the run's blocks turn out to contradict."""
        facts = self.relative(constraint)
        contradiction = None
        if facts.lower_at - self.newest_s > self._settings.gap_s:
            known = self.drift()
            self._drift = known if known is not None else self._drift
            self._begin_steady(facts.upper_at)
        closing = self.blocks.index if self.blocks.closes_open(facts.lower_at) else None
        self.blocks.add(*facts, delay_ns=constraint.delay_ns)
        if closing is not None:
            contradiction = self._closed_block(closing)
        self.bound.add(*facts)
        if self._cells is not None and self.ladder is not None:
            self._cells.add(facts, self.ladder.line)
        if self._steady is not None:
            self._steady.add(*facts)
            replaced = self.ladder is None or self.ladder.line is not None
            if replaced and facts.lower_at - self._steady_since_s > _YOUNG_S:
                self._steady = None
        self.newest_s = max(self.newest_s, facts.lower_at)
        return contradiction

    def _closed_block(self, closed: int) -> float | None:
        columns = self.blocks.columns()
        passed = 1 if self._closed is None else closed - self._closed
        self._closed = closed
        if not columns.shape[1]:
            return None  # the silence that follows is longer than any window
        if not self.bound.refit(columns, self.newest_s):
            return self.newest_s
        least, greatest = self.bound.drifts(self.newest_s)
        self.blocks.slope = (least + greatest) / 2
        end_s = (closed + 1) * self.blocks.block_s
        if self.ladder is not None:
            # Blocks without exchanges may follow already; they are told of by `passed` the next time.
            newest = columns.shape[1] - (self.blocks.index or 0) + closed + 1
            self.ladder.close(columns[:, :newest], end_s, passed)
        stepped = self._shifts.stepped(columns, self.blocks.slope, (greatest - least) / 2)
        return None if stepped is None else end_s - stepped * self.blocks.block_s

    def admits(self, constraint: Constraint, jumped_ns: int = 0) -> bool:
        """Whether `constraint` agrees with all before, had the offset jumped by `jumped_ns` before it."""
        upper_at, upper, lower_at, lower = self.relative(constraint)
        return self.bound.admits(upper_at, upper - jumped_ns, lower_at, lower - jumped_ns)

    def point(self, at_s: float) -> Line | None:
        """The likeliest offset at `at_s`, averaged over what the windows and the time before suggest."""
        if self.ladder is None or self._memory is None:
            return None
        lines = [line for line in (self.ladder.line, self.ladder.earlier) if line is not None]
        if self._steady is not None:
            lines.append(self._steady.line(at_s, self._memory.shortest()))
        elif self.ladder.line is not None:
            lines = [self.ladder.line]
        if self._cells is not None and self._cells.line is not None and self.ladder.line is not None:
            lines.append(self._cells.line)
        return _averaged(lines, at_s, self._settings.wander_holdover * 1e9)

    def drift(self) -> Drift | None:
        """The drift as the best window has it; None before there is one."""
        line = self.ladder.line or self.ladder.earlier if self.ladder is not None else None
        return self._drift if line is None else Drift(line.slope, line.slope_variance)

    def relative(self, constraint: Constraint) -> Facts:
        """`constraint` on the run's own scale."""
        if constraint is not self._relative_of:  # each is asked for several times in a row
            self._relative_of = constraint
            self._facts = Facts(
                (constraint.origin_ns - self.anchor_ns) * 1e-9,
                float(constraint.upper_ns - self.offset_anchor_ns),
                (constraint.destination_ns - self.anchor_ns) * 1e-9,
                float(constraint.lower_ns - self.offset_anchor_ns),
            )
        return self._facts


def _averaged(lines: list[Line], at_s: float, wander: float) -> Line:
    """The lines carried to `at_s` and averaged there as windows are; drift and errors are the best one's."""
    if len(lines) == 1:  # as nearly always
        (line,) = lines
        return line._replace(at_s=at_s, offset=line.at(at_s), variance=line.variance_at(at_s, wander))
    errors = [line.variance_at(at_s, wander) for line in lines]
    least = min(errors)
    best = lines[errors.index(least)]
    weights = [(least / error) ** SHARPNESS for error in errors]
    offset = sum(w * line.at(at_s) for w, line in zip(weights, lines, strict=True)) / sum(weights)
    return Line(at_s, offset, best.slope, least, best.slope_variance, best.window_s)
