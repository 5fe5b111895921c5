"""The online estimator: exchanges in, offset with its bounds out, at any instant of topside's RAW clock."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING

from topside_agent.estimator.constraints import Constraint, constraint_of, impossible
from topside_agent.estimator.estimate import Added, Estimate, assemble, likeliest
from topside_agent.estimator.even import EvenBound
from topside_agent.estimator.paths import Paths
from topside_agent.estimator.recent_readings import RecentReadings, take
from topside_agent.estimator.remembered import KnownExchanges, RecentConstraints
from topside_agent.estimator.segments import (
    Break,
    Cut,
    Seen,
    Slews,
    break_before,
    is_late,
)
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.slews import FASTEST

if TYPE_CHECKING:
    from schemas.exchange import Exchange
    from topside_agent.estimator.timebase import Drift, Timebase

ANY_RATE_PPM = 100_000.0
_DATED_NS = 1_000
"""Results are dated to the microsecond."""
_REMEMBERED = 512
"""Duplicates are recognised among so many exchanges; older ones are refused for their age."""
_RECENT = 64
"""Of a step that nobody reported the moment is found among so many exchanges."""


class OffsetEstimator:
    """Estimates one vehicle's offset from its exchanges as they come: late, repeated, with gaps."""

    def __init__(
        self,
        settings: EstimatorSettings = EstimatorSettings(),  # noqa: B008 - frozen
        *,
        points: bool = True,
    ) -> None:
        """Without `points` it keeps only cuts and bounds; the offset is then the bound's middle."""
        self.settings = settings
        self._paths = Paths(settings, points=points)
        self.rejected = self.steps = self.segment = self.exchanges_total = 0
        self.timebase: Timebase | None = None
        """The present one."""
        self.constraint: Constraint | None = None
        """From the exchange that was added last, accepted or not, unless it waits."""
        self._last: Seen | None = None
        self._boot_id: str | None = None
        self._topside_difference_before_ns = 0
        self._broken_off = False
        self._changed_ns: int | None = None
        """The destination of the exchange that began the segment, but for the first one."""
        self._recent = RecentConstraints(_RECENT)
        self._known = KnownExchanges(_REMEMBERED)
        self._pi, self._topside, self.even = RecentReadings(), RecentReadings(), EvenBound(settings)
        self.stride = 1
        """The windows take so many blocks at a time: 2 makes errors up to 2 % greater, for less work."""

    def add(self, exchange: Exchange) -> Added:
        """Accept `exchange`, or refuse it with a reason; the next estimate is right in either case."""
        constraint = constraint_of(exchange)
        rate = self._steepest
        if not constraint.raw:
            rate = self.settings.usual_rate + self.settings.slew_limit_ppm * 1e3
        reason = impossible(constraint, rate * 1e-9)
        if (exchange.seq, exchange.origin_ns) in self._known:
            reason = "duplicate"
        if reason is not None:
            self.constraint = constraint
            return self._refuse(reason)
        self._known.add(exchange.seq, exchange.origin_ns)
        new = Seen(constraint, exchange.boot_id)
        if self._last is None or self.timebase is None:
            return self._accept(new, self._begin(constraint))
        if self._broken_off:
            self._broken_off = False
            slept = Break("suspend", None, keeps_raw=False, keeps_drift=False)
            return self._accept(new, self._begin(constraint), self._cut(slept, new, self._last))
        self.timebase.stride = self.stride
        if self._is_late(constraint, self._last.constraint):
            return self._add_late(new, self._last, self.timebase)
        return self._add_next(new, self._last, self.timebase)

    def follow(self, earlier: OffsetEstimator) -> None:
        """Take over how topside's clock was read in `earlier`'s exchanges, and nothing else."""
        self._topside = earlier._topside

    def break_off(self) -> None:
        """A machine slept: no bound holds any more, and the next exchange begins a segment."""
        self._broken_off = self._last is not None

    def _add_next(self, new: Seen, last: Seen, timebase: Timebase) -> Added:
        constraint = new.constraint
        slews = Slews(self._pi.rate, self._topside.rate)
        broken = break_before(
            new, last, lambda jump_ns: timebase.admits(constraint, jump_ns), self.settings, slews
        )
        if broken is not None and not broken.keeps_raw:
            drift = timebase.drift() if broken.keeps_drift else None
            began = self._cut(broken, new, last)  # before the new timebase, whose limits it may widen
            return self._accept(new, self._begin(constraint, drift), began)
        cut = None if broken is None else self._cut(broken, new, last)
        if constraint.standalone:
            return self._accept(new, self._begin(constraint, timebase.drift()), cut)
        paths, settings = self._paths, self.settings
        if constraint.path == paths.name:
            contradicted_s = paths.add(constraint, timebase, settings)
        elif cut is None and paths.waits(constraint, last.constraint, timebase, settings):
            self.exchanges_total += 1
            return Added(accepted=True, reason=None, cut=None, waits=True)
        else:
            timebase, contradicted_s = paths.switch(constraint, timebase, settings)
        if contradicted_s is None:
            return self._accept(new, timebase, cut)
        if cut is None:
            cut = self._cut(Break("inconsistent", None, keeps_raw=False, keeps_drift=True), new, last)
        clean = timebase.anchor_ns + round(contradicted_s * 1e9) + last.constraint.topside_difference_ns
        cut = replace(cut, ambiguous_from_ns=min(clean, cut.ambiguous_from_ns))
        return self._accept(new, self._begin(constraint, timebase.drift()), cut)

    def _add_late(self, new: Seen, last: Seen, timebase: Timebase) -> Added:
        """A late exchange tightens the bound, but is no evidence of steps or boots."""
        constraint = new.constraint
        self.constraint = constraint
        late_s = (last.constraint.destination_ns - constraint.destination_ns) * 1e-9
        other_boot = new.boot_id is not None and new.boot_id != self._boot_id
        if late_s > self.settings.late_limit_s or constraint.origin_ns < timebase.anchor_ns or other_boot:
            return self._refuse("too_old")
        if not timebase.admits_late(constraint):
            return self._refuse("contradicts")
        self._paths.add_late(constraint, timebase)
        self.exchanges_total += 1
        return Added(accepted=True, reason=None, cut=None)

    def _is_late(self, new: Constraint, newest: Constraint) -> bool:
        tolerance_ns = self.settings.step_min_ns + round(FASTEST * 1e9 * self.settings.late_limit_s)
        return is_late(new, newest, self._topside_difference_before_ns, tolerance_ns)

    def _begin(self, first: Constraint, drift: Drift | None = None) -> Timebase:
        return self._paths.begin(first, self.settings, drift)

    def _cut(self, broken: Break, new: Seen, last: Seen) -> Cut:
        self.segment += 1
        self.steps += broken.cause in {"step", "topside_step", "inconsistent"}
        before, now = last.constraint, new.constraint
        clean = before.destination_ns + before.topside_difference_ns
        if broken.cause == "inconsistent":
            # A promised rate may be what is wrong; without it every bound is true (docs/mathematics.md §3).
            self.settings = self.settings.model_copy(update={"rate_limit_ppm": ANY_RATE_PPM})
            known = self._recent.last_clean(now, self._steepest * 1e-9)
            clean = clean if known is None else known
        if broken.cause == "topside_step":
            self._topside_difference_before_ns = before.topside_difference_ns
        return Cut(broken.cause, now.destination_ns + now.topside_difference_ns, broken.step_ns, clean)

    def _accept(self, new: Seen, timebase: Timebase, cut: Cut | None = None) -> Added:
        if cut is not None:
            self._changed_ns = new.constraint.destination_ns
            if self.timebase is None or timebase.bound is not self.timebase.bound:
                self._pi, self._topside = RecentReadings(), RecentReadings()
                self._recent = RecentConstraints(_RECENT)
        if self._last is None:
            self._topside_difference_before_ns = new.constraint.topside_difference_ns
        self.timebase, self._last, self.constraint = timebase, new, new.constraint
        self._boot_id = new.boot_id or self._boot_id
        self._recent.add(new.constraint)
        self.even.take(new.constraint, cut=cut is not None)
        directly = self._paths.came_directly
        take(self._pi, self._topside, new.constraint, cut=cut is not None, directly=directly)
        self.exchanges_total += 1
        return Added(accepted=True, reason=None, cut=cut)

    @property
    def _steepest(self) -> float:
        """The greatest likely rate of the RAW clocks, ns/s."""
        return self.settings.usual_rate if self.timebase is None else self.timebase.steepest

    @property
    def clock_rate_ppm(self) -> float | None:
        """The rate of the RAW clocks if the exchanges prove it to be beyond `rate_usual_ppm`; else None."""
        rate = None if self.timebase is None else self.timebase.clock_rate()
        return None if rate is None else rate * 1e-3

    @property
    def settled(self) -> bool:
        """Whether the newest exchange began after the last change of a clock had shown itself.

        Of the exchange that shows a step, `measured_at` may lie before the step, by its error.
        """
        changed_ns, last = self._changed_ns, self._last
        return changed_ns is None or (last is not None and last.constraint.origin_ns >= changed_ns)

    def _refuse(self, reason: str) -> Added:
        self.rejected += 1
        return Added(accepted=False, reason=reason, cut=None)

    def estimate(
        self, at_raw_ns: int | None = None, topside_realtime_minus_raw_ns: int | None = None
    ) -> Estimate | None:
        """The offset at the Pi's last reading, or carried forward to an instant of topside's RAW clock (ns).

        With `at_raw_ns` give topside's realtime − RAW at that instant; without it the last exchange's is
        used. None before the first exchange, and after `break_off` until the next one.
        """
        timebase, last = self.timebase, self._last
        if timebase is None or last is None or self._broken_off:
            return None
        newest = last.constraint
        if at_raw_ns is None:
            return self._at_reading(timebase, newest)
        difference, at_ns = newest.topside_difference_ns, at_raw_ns
        given = topside_realtime_minus_raw_ns
        if given is not None and timebase.raw:
            difference = given
        elif given is not None:
            at_ns += given
        low, high = timebase.bound.at(timebase.seconds(at_ns))
        return self._estimate(timebase, newest, at_ns, (low, high), difference)

    def estimate_at(self, constraint: Constraint) -> Estimate | None:
        """The offset at the destination of an exchange of the present timebase, its realtime − RAW used.

        That is later than the Pi's reading by the way back, in which a slew is taken to go on as it was.
        """
        timebase = self.timebase
        if timebase is None:
            return None
        low, high = timebase.bound.at(timebase.seconds(constraint.destination_ns))
        grown = self._pi.slew[1] * max(high - timebase.relative(constraint).lower, 0.0)
        return self._estimate(
            timebase,
            constraint,
            constraint.destination_ns,
            (low - grown, high + grown),
            constraint.topside_difference_ns,
        )

    def _at_reading(self, timebase: Timebase, newest: Constraint) -> Estimate:
        """The offset when the Pi read its clocks for the newest pong (docs/mathematics.md §4).

        Topside's moment of that is T4 less the way back, which lies between 0 and the bound's width above L.
        """
        lowest, end_s = timebase.relative(newest).lower, timebase.seconds(newest.destination_ns)
        low, high = timebase.bound.at(end_s)
        steepest = max(map(abs, timebase.bound.drifts(end_s))) * 1e-9
        way_ns = max(high - lowest, 0.0) / (1 - steepest)
        turned = way_ns * (steepest + timebase.bound.limits.wander * 1e-9 * sqrt(way_ns * 1e-9))
        low, high = low - turned, high + turned
        line = timebase.point(end_s)
        middle = likeliest(line, low, high, self.settings)
        way_back_ns = max(middle - lowest - newest.resolution_ns, 0.0)
        # What follows is 0 while the wall clocks rest. A slew may have ended unseen before the way back.
        topside_rate, topside_most = self._topside.slew
        pi_most = self._pi.slew[1]
        farthest = max(high - middle, middle - low) + _DATED_NS * self._paths.came_directly
        grown = farthest * (pi_most + topside_most) + (topside_most + abs(topside_rate)) * way_back_ns
        grown += self._pi.unexplained_ns + self._topside.unexplained_ns
        found = self._estimate(
            timebase,
            newest,
            newest.destination_ns - round(way_back_ns),
            (low - grown, high + grown),
            newest.topside_difference_ns - round(topside_rate * way_back_ns),
        )
        found = self.even.narrowed(found, newest)
        reading_ns = newest.transmit_ns + newest.pi_difference_ns
        return found._replace(measured_at_ns=reading_ns - found.offset_ns, age_ns=0, conditional=False)

    def _estimate(
        self,
        timebase: Timebase,
        newest: Constraint,
        at_ns: int,
        interval: tuple[float, float],
        difference_ns: int,
    ) -> Estimate:
        """The estimate at `at_ns` of topside's estimation clock; `interval` is the bound there."""
        errors, settings = self._paths.errors, self.settings
        warmup = 1.0 if errors is None else sqrt(errors.warmup_factor(settings.u95_warmup_s))
        return assemble(
            timebase,
            newest,
            at_ns,
            interval,
            difference_ns,
            directly=self._paths.came_directly,
            settings=settings,
            warmup=warmup,
            segment=self.segment,
            boot_id=self._boot_id,
        )
