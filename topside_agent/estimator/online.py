"""The online estimator: exchanges in, offset with its bounds out, at any instant of topside's RAW clock."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from math import ceil, floor, sqrt
from typing import TYPE_CHECKING

from topside_agent.estimator.constraints import Constraint, constraint_of, impossible
from topside_agent.estimator.estimate import Added, Estimate
from topside_agent.estimator.run import Drift, Run
from topside_agent.estimator.segments import Break, Cut, Seen, break_before, is_late, last_clean
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.step_detector import ShiftWatch
from topside_agent.estimator.window import DRIFT_95, WindowErrors

if TYPE_CHECKING:
    from schemas.exchange import Exchange

_REMEMBERED = 512
"""Exchanges back in which a duplicate is recognised; older ones are refused for their age."""


class OffsetEstimator:
    """Estimates one vehicle's offset from its exchanges as they come: late by a few, repeated, with holes.

    `pi_clock_free` says that nothing slews the Pi's realtime clock (its own report), so that the bound need
    not grow by the slew limit between messages.
    """

    def __init__(
        self,
        settings: EstimatorSettings = EstimatorSettings(),  # noqa: B008 - frozen
        *,
        points: bool = True,
    ) -> None:
        """Without `points` only cuts and bounds are kept up; the offset is then the bound's middle."""
        self.settings = settings
        self._memory = WindowErrors(settings) if points else None
        self._shifts = ShiftWatch(settings.block_s)
        self.pi_clock_free = False
        self.rejected = 0
        self.steps = 0
        self.segment = 0
        self.exchanges_total = 0
        self.run: Run | None = None
        """The stretch of unbroken clocks that is going on."""
        self.constraint: Constraint | None = None
        """What the exchange that was put in last says, accepted or not."""
        self._last: Seen | None = None
        self._boot_id: str | None = None
        self._topside_difference_before_ns = 0
        self._recent: deque[Constraint] = deque(maxlen=64)
        self._known: dict[tuple[int, int], None] = {}

    def add(self, exchange: Exchange) -> Added:
        """Take `exchange`, or refuse it with a reason; whatever it is, the next estimate is right."""
        constraint = self.constraint = constraint_of(exchange)
        key = (exchange.seq, exchange.origin_ns)
        rate_ppm = self.settings.rate_limit_ppm + (0.0 if constraint.raw else self.settings.slew_limit_ppm)
        reason = impossible(constraint, rate_ppm * 1e-6)
        if key in self._known:
            reason = "duplicate"
        if reason is not None:
            return self._refuse(reason)
        self._remember(key)
        new = Seen(constraint, exchange.boot_id)
        if self._last is None or self.run is None:
            return self._accept(new, self._begin(constraint))
        if self._is_late(constraint, self._last.constraint):
            return self._add_late(new, self._last, self.run)
        return self._add_next(new, self._last, self.run)

    def _add_next(self, new: Seen, last: Seen, run: Run) -> Added:
        broken = break_before(new, last, lambda jump_ns: run.admits(new.constraint, jump_ns), self.settings)
        if broken is not None and not broken.keeps_raw:
            drift = run.drift() if broken.keeps_drift else None
            return self._accept(new, self._begin(new.constraint, drift), self._cut(broken, new, last))
        cut = None if broken is None else self._cut(broken, new, last)
        if not self._may_continue(run, new.constraint):
            return self._accept(new, self._begin(new.constraint, run.drift()), cut)
        contradicted_s = run.add(new.constraint)
        if contradicted_s is None:
            return self._accept(new, run, cut)
        if cut is None:
            cut = self._cut(Break("inconsistent", None, keeps_raw=False, keeps_drift=True), new, last)
        clean = run.anchor_ns + round(contradicted_s * 1e9) + last.constraint.topside_difference_ns
        cut = replace(cut, ambiguous_from_ns=min(clean, cut.ambiguous_from_ns))
        return self._accept(new, self._begin(new.constraint, run.drift()), cut)

    def _add_late(self, new: Seen, last: Seen, run: Run) -> Added:
        """A late exchange narrows what is known, but says nothing new about steps or boots."""
        constraint = new.constraint
        late_s = (last.constraint.destination_ns - constraint.destination_ns) * 1e-9
        other_boot = new.boot_id is not None and new.boot_id != self._boot_id
        if late_s > self.settings.late_limit_s or constraint.origin_ns < run.anchor_ns or other_boot:
            return self._refuse("too_old")
        if not run.admits(constraint):
            return self._refuse("contradicts")
        run.add(constraint)
        self.exchanges_total += 1
        return Added(accepted=True, reason=None, cut=None)

    def _is_late(self, new: Constraint, newest: Constraint) -> bool:
        settings = self.settings
        tolerance_ns = settings.step_min_ns + round(settings.slew_limit_ppm * 1e3 * settings.late_limit_s)
        return is_late(new, newest, self._topside_difference_before_ns, tolerance_ns)

    def _may_continue(self, run: Run, new: Constraint) -> bool:
        """Bounds start again with each standalone exchange, and on realtime when slewing begins or ends."""
        return not new.standalone and (run.raw or run.free == self.pi_clock_free)

    def _begin(self, first: Constraint, drift: Drift | None = None) -> Run:
        return Run(
            first,
            self.settings,
            pi_clock_free=self.pi_clock_free,
            memory=self._memory,
            shifts=self._shifts,
            drift=drift,
        )

    def _cut(self, broken: Break, new: Seen, last: Seen) -> Cut:
        self.segment += 1
        self.steps += broken.cause in {"step", "topside_step", "inconsistent"}
        before, now = last.constraint, new.constraint
        clean = before.destination_ns + before.topside_difference_ns
        if broken.cause == "inconsistent":
            known = last_clean(self._recent, now, self.settings.rate_limit_ppm * 1e-6)
            clean = clean if known is None else known
        if broken.cause == "topside_step":
            self._topside_difference_before_ns = before.topside_difference_ns
        return Cut(broken.cause, now.destination_ns + now.topside_difference_ns, broken.step_ns, clean)

    def _accept(self, new: Seen, run: Run, cut: Cut | None = None) -> Added:
        if cut is not None and run is not self.run:
            self._recent.clear()
        if self._last is None:
            self._topside_difference_before_ns = new.constraint.topside_difference_ns
        self.run, self._last = run, new
        self._boot_id = new.boot_id or self._boot_id
        self._recent.append(new.constraint)
        self.exchanges_total += 1
        return Added(accepted=True, reason=None, cut=cut)

    def _refuse(self, reason: str) -> Added:
        self.rejected += 1
        return Added(accepted=False, reason=reason, cut=None)

    def _remember(self, key: tuple[int, int]) -> None:
        self._known[key] = None
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

    def estimate(
        self, at_raw_ns: int | None = None, topside_realtime_minus_raw_ns: int | None = None
    ) -> Estimate | None:
        """The offset at the last exchange's destination, or at an instant of topside's RAW clock.

        `at_raw_ns` comes with topside's realtime − RAW at that instant; without it the last exchange's is
        used. None before the first exchange.
        """
        run, last = self.run, self._last
        if run is None or last is None:
            return None
        newest = last.constraint
        difference = newest.topside_difference_ns
        at_ns = newest.destination_ns
        if at_raw_ns is not None:
            given = topside_realtime_minus_raw_ns
            at_ns = at_raw_ns
            if given is not None and run.raw:
                difference = given
            elif given is not None:
                at_ns += given
        return self._estimate(run, newest, at_ns, difference)

    def estimate_at(self, constraint: Constraint) -> Estimate | None:
        """The offset at the destination of an exchange of the present run, with its own realtime − RAW."""
        if self.run is None:
            return None
        difference_ns = constraint.topside_difference_ns
        return self._estimate(self.run, constraint, constraint.destination_ns, difference_ns)

    def _estimate(self, run: Run, newest: Constraint, at_ns: int, difference_ns: int) -> Estimate:
        at_s = run.seconds(at_ns)
        low, high = run.bound.at(at_s)
        grown = self._slewed_since(run, newest, at_ns, high)
        line = run.point(at_s)
        offset = (low + high) / 2 if line is None else min(max(line.offset, low), high)
        window_s = at_s if line is None else line.window_s
        exchanges, delay_min = run.blocks.within(window_s)
        drift = run.drift()
        memory = self._memory
        doubt = 1.0 if memory is None else sqrt(memory.unseasoned(self.settings.u95_season_s))
        base_ns = run.offset_anchor_ns + newest.pi_difference_ns - difference_ns
        offset_ns = base_ns + round(offset)
        lower_ns, upper_ns = base_ns + floor(low - grown), base_ns + ceil(high + grown)
        u95_ns = None
        if line is not None:
            likely = self.settings.u95_factor * doubt * sqrt(line.variance) + self._slewed(
                run, at_ns - newest.destination_ns
            )
            u95_ns = min(ceil(likely), max(upper_ns - offset_ns, offset_ns - lower_ns))
        return Estimate(
            measured_at_ns=at_ns + difference_ns,
            offset_ns=offset_ns,
            lower_ns=lower_ns,
            upper_ns=upper_ns,
            u95_ns=u95_ns,
            drift_ppm=None if drift is None else drift.slope * 1e-3,
            drift_error_ppm=None if drift is None else DRIFT_95 * doubt * sqrt(drift.variance) * 1e-3,
            delay_min_ns=round(delay_min),
            exchanges=exchanges,
            segment=self.segment,
            boot_id=self._boot_id,
            age_ns=max(at_ns - newest.destination_ns, 0),
        )

    def _slewed_since(self, run: Run, newest: Constraint, at_ns: int, high: float) -> float:
        """How far (ns) the Pi's realtime may have been slewed since it last read realtime − RAW.

        It read it at the transmit stamp, which is no further back than the upper bound makes it; `high` is
        that bound at `at_ns`.
        """
        if at_ns != newest.destination_ns:
            high = run.bound.at(run.seconds(newest.destination_ns))[1]
        way_back_ns = max(high + run.offset_anchor_ns - newest.lower_ns, 0.0)
        return self._slewed(run, max(at_ns - newest.destination_ns, 0) + way_back_ns)

    def _slewed(self, run: Run, elapsed_ns: float) -> float:
        """How far (ns) the Pi's realtime can be slewed in that time; on realtime the bound allows for it."""
        if self.pi_clock_free or not run.raw:
            return 0.0
        return self.settings.slew_limit_ppm * 1e-6 * max(elapsed_ns, 0.0)
