"""The online estimator: exchanges in, offset with its bounds out, at any instant of topside's RAW clock."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from math import ceil, floor, sqrt
from typing import TYPE_CHECKING, NamedTuple

from topside_agent.estimator.constraints import Constraint, constraint_of, impossible
from topside_agent.estimator.segments import Break, Cut, Seen, StepDetector, break_before, is_late, last_clean
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.timebase import Drift, Timebase
from topside_agent.estimator.window_errors import DRIFT_95, WindowErrors

if TYPE_CHECKING:
    from schemas.exchange import Exchange

_REMEMBERED = 512
"""Duplicates are recognised among so many exchanges; older ones are refused for their age."""


class Added(NamedTuple):
    """Whether an exchange was accepted, else the `reason`; `cut` if it begins a new segment."""

    accepted: bool
    reason: str | None
    cut: Cut | None


class Estimate(NamedTuple):
    """Pi realtime − topside realtime at `measured_at_ns` (topside's realtime), all in integer ns.

    [lower_ns, upper_ns] holds the offset if no message travels back in time and the clocks keep their limits;
    `u95_ns` is the statistical 95 % half-width. `drift_ppm` is that of the RAW clocks, `drift_error_ppm` its
    95 % error. None where unknown.
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
        """The offset's greatest possible error."""
        return max(self.upper_ns - self.offset_ns, self.offset_ns - self.lower_ns)


class OffsetEstimator:
    """Estimates one vehicle's offset from its exchanges as they come: late, repeated, with gaps.

    Set `pi_clock_free` while the Pi reports that nothing disciplines its realtime clock: then the bound does
    not grow by the slew limit between messages.
    """

    def __init__(
        self,
        settings: EstimatorSettings = EstimatorSettings(),  # noqa: B008 - frozen
        *,
        points: bool = True,
    ) -> None:
        """Without `points` it keeps only cuts and bounds; the offset is then the bound's middle."""
        self.settings = settings
        self._errors = WindowErrors(settings) if points else None
        self._step_detector = StepDetector(settings.block_s)
        self.pi_clock_free = False
        self.rejected = 0
        self.steps = 0
        self.segment = 0
        self.exchanges_total = 0
        self.timebase: Timebase | None = None
        """The present one."""
        self.constraint: Constraint | None = None
        """From the exchange that was added last, accepted or not."""
        self._last: Seen | None = None
        self._boot_id: str | None = None
        self._topside_difference_before_ns = 0
        self._broken_off = False
        self._recent: deque[Constraint] = deque(maxlen=64)
        self._known: dict[tuple[int, int], None] = {}

    def add(self, exchange: Exchange) -> Added:
        """Accept `exchange`, or refuse it with a reason; the next estimate is right in either case."""
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
        if self._last is None or self.timebase is None:
            return self._accept(new, self._begin(constraint))
        if self._broken_off:
            self._broken_off = False
            slept = Break("suspend", None, keeps_raw=False, keeps_drift=False)
            return self._accept(new, self._begin(constraint), self._cut(slept, new, self._last))
        if self._is_late(constraint, self._last.constraint):
            return self._add_late(new, self._last, self.timebase)
        return self._add_next(new, self._last, self.timebase)

    def break_off(self) -> None:
        """A machine slept: no bound holds any more, and the next exchange begins a segment."""
        self._broken_off = self._last is not None

    def _add_next(self, new: Seen, last: Seen, timebase: Timebase) -> Added:
        constraint = new.constraint
        broken = break_before(new, last, lambda jump_ns: timebase.admits(constraint, jump_ns), self.settings)
        if broken is not None and not broken.keeps_raw:
            drift = timebase.drift() if broken.keeps_drift else None
            return self._accept(new, self._begin(constraint, drift), self._cut(broken, new, last))
        cut = None if broken is None else self._cut(broken, new, last)
        if not self._may_continue(timebase, constraint):
            return self._accept(new, self._begin(constraint, timebase.drift()), cut)
        contradicted_s = timebase.add(constraint)
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
        late_s = (last.constraint.destination_ns - constraint.destination_ns) * 1e-9
        other_boot = new.boot_id is not None and new.boot_id != self._boot_id
        if late_s > self.settings.late_limit_s or constraint.origin_ns < timebase.anchor_ns or other_boot:
            return self._refuse("too_old")
        if not timebase.admits(constraint):
            return self._refuse("contradicts")
        timebase.add(constraint)
        self.exchanges_total += 1
        return Added(accepted=True, reason=None, cut=None)

    def _is_late(self, new: Constraint, newest: Constraint) -> bool:
        settings = self.settings
        tolerance_ns = settings.step_min_ns + round(settings.slew_limit_ppm * 1e3 * settings.late_limit_s)
        return is_late(new, newest, self._topside_difference_before_ns, tolerance_ns)

    def _may_continue(self, timebase: Timebase, new: Constraint) -> bool:
        """False for a standalone exchange, and on realtime when slewing begins or ends."""
        return not new.standalone and (timebase.raw or timebase.free == self.pi_clock_free)

    def _begin(self, first: Constraint, drift: Drift | None = None) -> Timebase:
        return Timebase(
            first,
            self.settings,
            pi_clock_free=self.pi_clock_free,
            errors=self._errors,
            step_detector=self._step_detector,
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

    def _accept(self, new: Seen, timebase: Timebase, cut: Cut | None = None) -> Added:
        if cut is not None and timebase is not self.timebase:
            self._recent.clear()
        if self._last is None:
            self._topside_difference_before_ns = new.constraint.topside_difference_ns
        self.timebase, self._last = timebase, new
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
        """The offset at the last exchange's destination, or at an instant of topside's RAW clock (ns).

        With `at_raw_ns` give topside's realtime − RAW at that instant; without it the last exchange's is
        used. None before the first exchange, and after `break_off` until the next one.
        """
        timebase, last = self.timebase, self._last
        if timebase is None or last is None or self._broken_off:
            return None
        newest = last.constraint
        difference = newest.topside_difference_ns
        at_ns = newest.destination_ns
        if at_raw_ns is not None:
            given = topside_realtime_minus_raw_ns
            at_ns = at_raw_ns
            if given is not None and timebase.raw:
                difference = given
            elif given is not None:
                at_ns += given
        return self._estimate(timebase, newest, at_ns, difference)

    def estimate_at(self, constraint: Constraint) -> Estimate | None:
        """The offset at the destination of an exchange of the present timebase, its realtime − RAW used."""
        if self.timebase is None:
            return None
        difference_ns = constraint.topside_difference_ns
        return self._estimate(self.timebase, constraint, constraint.destination_ns, difference_ns)

    def _estimate(self, timebase: Timebase, newest: Constraint, at_ns: int, difference_ns: int) -> Estimate:
        at_s = timebase.seconds(at_ns)
        low, high = timebase.bound.at(at_s)
        grown = self._slewed_since(timebase, newest, at_ns, high)
        line = timebase.point(at_s)
        offset = (low + high) / 2 if line is None else min(max(line.offset, low), high)
        exchanges, delay_min = timebase.blocks.within(at_s if line is None else line.window_s)
        drift = timebase.drift()
        warmup = 1.0 if self._errors is None else sqrt(self._errors.warmup_factor(self.settings.u95_warmup_s))
        base_ns = timebase.offset_anchor_ns + newest.pi_difference_ns - difference_ns
        offset_ns = base_ns + round(offset)
        lower_ns, upper_ns = base_ns + floor(low - grown), base_ns + ceil(high + grown)
        u95_ns = None
        if line is not None:
            likely = self.settings.u95_factor * warmup * sqrt(line.variance) + self._slewed(
                timebase, at_ns - newest.destination_ns
            )
            u95_ns = min(ceil(likely), max(upper_ns - offset_ns, offset_ns - lower_ns))
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
            segment=self.segment,
            boot_id=self._boot_id,
            age_ns=max(at_ns - newest.destination_ns, 0),
        )

    def _slewed_since(self, timebase: Timebase, newest: Constraint, at_ns: int, high: float) -> float:
        """How far (ns) the Pi's realtime may have been slewed since it last read realtime − RAW.

        It read that at the transmit stamp, which is at most as old as the upper bound implies; `high` is that
        bound at `at_ns`.
        """
        if at_ns != newest.destination_ns:
            high = timebase.bound.at(timebase.seconds(newest.destination_ns))[1]
        way_back_ns = max(high + timebase.offset_anchor_ns - newest.lower_ns, 0.0)
        return self._slewed(timebase, max(at_ns - newest.destination_ns, 0) + way_back_ns)

    def _slewed(self, timebase: Timebase, elapsed_ns: float) -> float:
        """How far (ns) the Pi's realtime can be slewed in that time; on realtime the bound allows for it."""
        if self.pi_clock_free or not timebase.raw:
            return 0.0
        return self.settings.slew_limit_ppm * 1e-6 * max(elapsed_ns, 0.0)
