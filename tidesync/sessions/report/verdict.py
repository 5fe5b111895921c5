"""Whether a vehicle's timing can be trusted, pure: a track's intervals with their errors, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Literal

from schemas.exchange import method_named
from schemas.metadata import CONSUMER_TOLERANCE_MS
from tidesync.sessions.report.units import clock_time, count, duration, error, signed
from topside_agent.estimator import Cause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from schemas.exchange import Exchange
    from topside_agent.estimator import EstimatorSettings, Row, Track

GAP_NS = 10_000_000_000
"""ns: a longer silence is a gap; a shorter one widens the error. Above the recorder's alarm (8 s)."""

_TOLERANCE_NS = CONSUMER_TOLERANCE_MS * 1e6
_MOST_UNCERTAIN = 0.05
"""The share of the time that may be uncertain or beyond the tolerance in a session that can be trusted."""
_MOST_LISTED = 12

Grade = Literal["yes", "partly", "no"]
IntervalKind = Literal["covered", "http", "gap", "uncertain"]
CutCause = Cause | Literal["method"]
"""Why a track was cut; `method`: measuring changed from MQTT to HTTP or back."""


@dataclass(frozen=True, slots=True)
class Interval:
    """[from_ns, to_ns] of topside's realtime; no offset in it has an error greater than `error_ns`.

    `covered`: measured throughout. `http`: only over HTTP, each row from its own exchange alone. `gap`:
    nothing was measured; `error_ns` holds if the Pi's clock was neither set nor slewed. `uncertain`: there is
    a cut in it; `error_ns` is None, `cause` is the cut's, and `jump_ns` the change of the offset.
    """

    kind: IntervalKind
    from_ns: int
    to_ns: int
    error_ns: int | None
    cause: CutCause | None = None
    jump_ns: int | None = None
    explained: bool = False
    """Of a gap: whether the histories of both clocks cover it: a correction needs no condition there."""

    @property
    def duration_ns(self) -> int:
        """Its length; 0 where topside's own clock was set back in it."""
        return max(self.to_ns - self.from_ns, 0)


def coverage(track: Track, by_instant: Mapping[int, Exchange], settings: EstimatorSettings) -> list[Interval]:
    """The track's intervals in order. Between two rows the offset is interpolated linearly.

    `by_instant` finds a row's exchange by its destination.
    """
    merged: list[Interval] = []
    for interval in _between_rows(track, by_instant, settings):
        last = merged[-1] if merged else None
        if last and last.kind == interval.kind and interval.kind in {"covered", "http"}:
            worst = max(last.error_ns or 0, interval.error_ns or 0)
            merged[-1] = replace(last, to_ns=interval.to_ns, error_ns=worst)
        else:
            merged.append(interval)
    return merged


def _between_rows(
    track: Track, by_instant: Mapping[int, Exchange], settings: EstimatorSettings
) -> Iterator[Interval]:
    """From each valid row to the next; ambiguous ones lie within the uncertain interval around their cut."""
    causes: dict[int, CutCause] = {segment.segment: segment.cause for segment in track.segments}
    before: Row | None = None
    for row in track.rows:
        if row.state == "ambiguous":
            continue
        if before is not None and row.segment == before.segment:
            yield _between(before, row, by_instant, settings)
        else:
            if before is not None:
                changed = _standalone(before, by_instant) != _standalone(row, by_instant)
                yield _uncertain(before, row, "method" if changed else causes[row.segment])
            at_ns, error_ns = row.topside_unix_ns, row.max_error_ns
            yield Interval(_measured(row, by_instant), at_ns, at_ns, error_ns)
        before = row


def _uncertain(before: Row, row: Row, cause: CutCause) -> Interval:
    jump_ns = row.offset_ns - before.offset_ns
    return Interval("uncertain", before.topside_unix_ns, row.topside_unix_ns, None, cause, jump_ns)


def _between(
    before: Row, row: Row, by_instant: Mapping[int, Exchange], settings: EstimatorSettings
) -> Interval:
    duration_ns = row.topside_unix_ns - before.topside_unix_ns
    error_ns = max(before.max_error_ns, row.max_error_ns)
    bare = _without_raw(before, by_instant) or _without_raw(row, by_instant)
    if bare:  # the whole difference may be a step, which could not be detected
        error_ns += abs(row.offset_ns - before.offset_ns)
    error_ns += _bend_ns(duration_ns, settings, bare=bare)
    kind: IntervalKind = "gap" if duration_ns > GAP_NS else _measured(row, by_instant)
    return Interval(kind, before.topside_unix_ns, row.topside_unix_ns, error_ns)


def _bend_ns(duration_ns: int, settings: EstimatorSettings, *, bare: bool) -> int:
    """How far the truth can leave the straight line between two rows, at its middle.

    By the estimator's limits: a RAW clock leaves its tangent by at most κ·Δt^1.5; a wall clock without RAW
    may have been slewed until the middle and back.
    """
    half_s = max(duration_ns, 0) / 2e9
    bend_s = float(settings.wander_limit * half_s**1.5)
    if bare:
        bend_s = (settings.usual_rate * 1e-3 + settings.slew_limit_ppm) * 1e-6 * half_s
    return ceil(bend_s * 1e9)


def _measured(row: Row, by_instant: Mapping[int, Exchange]) -> IntervalKind:
    return "http" if _standalone(row, by_instant) else "covered"


def _standalone(row: Row, by_instant: Mapping[int, Exchange]) -> bool:
    return method_named(by_instant[row.topside_unix_ns].method).standalone


def _without_raw(row: Row, by_instant: Mapping[int, Exchange]) -> bool:
    exchange = by_instant[row.topside_unix_ns]
    return exchange.pi_realtime_minus_raw_ns is None or exchange.topside_realtime_minus_raw_ns is None


_CAUSES: dict[CutCause, str] = {
    "step": "the Pi's clock was stepped by {jump}",
    "topside_step": "the laptop's clock was stepped (the offset changed by {jump})",
    "reboot": "the Pi restarted (the offset changed by {jump})",
    "suspend": "the Pi or the laptop was suspended (the offset changed by {jump})",
    "inconsistent": "what was measured before and after is inconsistent (the offset changed by {jump})",
    "start": "the method of measuring changed",
    "method": "measuring changed from MQTT to HTTP or back, and a step in between could not be detected",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`headline` is one sentence, `exceptions` are sentences on the intervals for which it does not hold."""

    grade: Grade
    headline: str
    exceptions: list[str]
    error_ns: int | None
    """The bound in the headline."""


NOTHING = Verdict(
    "no", "nothing was measured, so that no timestamp can be put on the laptop's clock.", [], None
)


def verdict(intervals: Sequence[Interval]) -> Verdict:
    """The verdict on the intervals that `coverage` returns."""
    covered = [interval for interval in intervals if interval.kind == "covered"]
    covered = covered or [interval for interval in intervals if interval.kind == "http"]
    if not covered:
        return NOTHING
    # The laptop's clock may have been set back within the session.
    first_ns = min(interval.from_ns for interval in intervals)
    last_ns = max(interval.to_ns for interval in intervals)
    worst_ns = max(interval.error_ns or 0 for interval in covered)
    others = [interval for interval in intervals if interval.kind != covered[0].kind]
    apart = (
        f", apart from {count(len(others), 'interval', 'intervals')} that the report lists" if others else ""
    )
    headline = (
        f"every timestamp between {clock_time(first_ns)} and {clock_time(last_ns, near_ns=first_ns)} UTC"
        f" (laptop's clock) can be put on the laptop's clock to within {error(worst_ns)}{apart}."
    )
    return Verdict(_grade(intervals), headline, _exceptions(others, first_ns), worst_ns)


def outside(first_ns: int, last_ns: int, started_ns: int | None, stopped_ns: int | None) -> list[str]:
    """The parts of the session, from its start to its stop, that were not measured; a sentence each."""
    sentences = []
    if started_ns is not None and first_ns - started_ns > 3e9:  # noqa: PLR2004 - seconds that matter
        sentences.append(f"The first {duration(first_ns - started_ns)} of the session were not measured.")
    if stopped_ns is not None and stopped_ns - last_ns > 3e9:  # noqa: PLR2004
        sentences.append(f"The last {duration(stopped_ns - last_ns)} of the session were not measured.")
    return sentences


def _grade(intervals: Sequence[Interval]) -> Grade:
    total = sum(interval.duration_ns for interval in intervals)
    good = sum(
        interval.duration_ns
        for interval in intervals
        if interval.error_ns is not None and interval.error_ns <= _TOLERANCE_NS
    )
    if good >= total * (1 - _MOST_UNCERTAIN) and good > 0:
        return "yes"
    return "partly" if good > 0 else "no"


def _exceptions(others: Sequence[Interval], near_ns: int) -> list[str]:
    """A sentence for each; of many only for the longest."""
    ranked = sorted(range(len(others)), key=lambda place: -others[place].duration_ns)
    shown, left = sorted(ranked[:_MOST_LISTED]), ranked[_MOST_LISTED:]
    sentences = [_sentence(others[place], near_ns) for place in shown]
    if left:
        rest = duration(sum(others[place].duration_ns for place in left))
        sentences.append(f"{count(len(left), 'shorter interval', 'shorter intervals')} more, {rest} in all.")
    return sentences


def _sentence(interval: Interval, near_ns: int) -> str:
    at, length = clock_time(interval.from_ns, near_ns=near_ns), duration(interval.duration_ns)
    if interval.error_ns is None:
        assert interval.cause is not None
        assert interval.jump_ns is not None
        why = _CAUSES[interval.cause].format(jump=signed(interval.jump_ns))
        return f"{length} around {at} (laptop's clock) are uncertain because {why}."
    gap = interval.kind == "gap"
    what = "nothing was measured" if gap else "the vehicle answered over HTTP alone"
    condition = " if the Pi's clock was neither set nor slewed meanwhile" if gap else ""
    if interval.explained:
        condition += " (the clock histories cover it: tidesync correct needs no such condition)"
    good = f"timestamps there are good to within {error(interval.error_ns)}{condition}"
    return f"For {length} from {at} (laptop's clock) {what}; {good}."
