"""The verdict in plain words, pure: whether a vehicle's timing can be trusted, where, and how far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tidesync.sessions.report.units import clock_time, count, duration, error, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.report.coverage import CutCause, Interval

TOLERANCE_NS = 25_000_000
"""The consumer matches rows within this."""
_MOST_UNCERTAIN = 0.05
"""The share of the time that may be uncertain or beyond the tolerance in a session that can be trusted."""
_MOST_LISTED = 12

Grade = Literal["yes", "partly", "no"]

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
    """The verdict on a track's intervals (`report.coverage`)."""
    covered = [interval for interval in intervals if interval.kind == "covered"]
    covered = covered or [interval for interval in intervals if interval.kind == "http"]
    if not covered:
        return NOTHING
    first_ns, last_ns = intervals[0].from_ns, intervals[-1].to_ns
    worst_ns = max(interval.error_ns or 0 for interval in covered)
    others = [interval for interval in intervals if interval.kind != covered[0].kind]
    apart = f", apart from {count(len(others), 'interval', 'intervals')} listed" if others else ""
    headline = (
        f"every timestamp between {clock_time(first_ns)} and {clock_time(last_ns, near_ns=first_ns)} UTC"
        f" can be put on the laptop's clock to within {error(worst_ns)}{apart}."
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
        if interval.error_ns is not None and interval.error_ns <= TOLERANCE_NS
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
        return f"{length} around {at} are uncertain because {why}."
    gap = interval.kind == "gap"
    what = "nothing was measured" if gap else "the vehicle answered over HTTP alone"
    condition = " if the Pi's clock was neither set nor slewed meanwhile" if gap else ""
    good = f"timestamps there are good to within {error(interval.error_ns)}{condition}"
    return f"For {length} from {at} {what}; {good}."
