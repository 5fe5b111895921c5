"""A run: one stretch in which neither RAW clock broke, so that every bound in it holds for all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topside_agent.estimator.blocks import Blocks
from topside_agent.estimator.bound import Bound, Limits

if TYPE_CHECKING:
    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.settings import EstimatorSettings


class Run:
    """Bounds as floats relative to the run's first exchange, so that clocks may be decades apart."""

    def __init__(self, first: Constraint, settings: EstimatorSettings, *, pi_clock_free: bool) -> None:
        self.anchor_ns = first.origin_ns
        self.offset_anchor_ns = first.lower_ns
        self.raw = first.raw
        self.free = pi_clock_free
        self.newest_s = 0.0
        slewed = not (first.raw or pi_clock_free)
        rate_ppm = settings.rate_limit_ppm + (settings.slew_limit_ppm if slewed else 0.0)
        self.bound = Bound(Limits(rate_ppm * 1e3, settings.wander_limit * 1e9, lines=not slewed))
        self.blocks = Blocks(settings.block_s, round(settings.ladder_s[-1] / settings.block_s))
        self.add(first)

    def seconds(self, at_ns: int) -> float:
        """`at_ns` of the run's topside clock as s since its start."""
        return (at_ns - self.anchor_ns) * 1e-9

    def add(self, constraint: Constraint) -> bool:
        """Take an exchange; False if the blocks that it closes turn out to contradict each other."""
        facts = self._relative(constraint)
        consistent = True
        if self.blocks.closes_open(facts[2]):
            self.blocks.add(*facts)
            consistent = self.bound.refit(self.blocks.columns(), self.newest_s)
        else:
            self.blocks.add(*facts)
        self.bound.add(*facts)
        self.newest_s = max(self.newest_s, facts[2])
        return consistent

    def admits(self, constraint: Constraint, jumped_ns: int = 0) -> bool:
        """Whether `constraint` agrees with all before, had the offset jumped by `jumped_ns` before it."""
        upper_at, upper, lower_at, lower = self._relative(constraint)
        return self.bound.admits(upper_at, upper - jumped_ns, lower_at, lower - jumped_ns)

    def _relative(self, constraint: Constraint) -> tuple[float, float, float, float]:
        return (
            (constraint.origin_ns - self.anchor_ns) * 1e-9,
            float(constraint.upper_ns - self.offset_anchor_ns),
            (constraint.destination_ns - self.anchor_ns) * 1e-9,
            float(constraint.lower_ns - self.offset_anchor_ns),
        )
