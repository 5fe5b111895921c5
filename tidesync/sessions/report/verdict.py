"""The verdict in plain words, pure: whether a vehicle's timing can be trusted, where, and to how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tidesync.sessions.report.units import clock_time, count, error, signed, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.report.coverage import CutCause, Stretch

TOLERANCE_NS = 25_000_000
"""The consumer matches rows within this: a worse error is told as such."""
_MOST_UNCERTAIN = 0.05
"""The share of the time that may be uncertain or worse than the tolerance in a session called trustworthy."""
_MOST_LISTED = 12

Grade = Literal["yes", "partly", "no"]

_CAUSES: dict[CutCause, str] = {
    "step": "the Pi's clock was stepped by {jump}",
    "topside_step": "the laptop's clock was stepped (the offset went by {jump})",
    "reboot": "the Pi restarted (the offset went by {jump})",
    "suspend": "the Pi or the laptop was suspended (the offset went by {jump})",
    "inconsistent": "what was measured before and after does not fit together (the offset went by {jump})",
    "start": "the way of measuring changed",
    "method": "measuring went over from MQTT to HTTP or back, and a step between them would not be seen",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`headline` is one sentence, `exceptions` what it does not hold for, one sentence each."""

    grade: Grade
    headline: str
    exceptions: list[str]
    error_ns: int | None
    """What the headline promises."""


NOTHING = Verdict(
    "no", "nothing was measured, so that no timestamp can be put on the laptop's clock.", [], None
)


def verdict(stretches: Sequence[Stretch]) -> Verdict:
    """The verdict on a track's stretches (`report.coverage`)."""
    covered = [stretch for stretch in stretches if stretch.kind == "covered"]
    covered = covered or [stretch for stretch in stretches if stretch.kind == "http"]
    if not covered:
        return NOTHING
    first_ns, last_ns = stretches[0].from_ns, stretches[-1].to_ns
    worst_ns = max(stretch.error_ns or 0 for stretch in covered)
    others = [stretch for stretch in stretches if stretch.kind != covered[0].kind]
    apart = f", apart from {count(len(others), 'stretch', 'stretches')} listed" if others else ""
    headline = (
        f"every timestamp between {clock_time(first_ns)} and {clock_time(last_ns, near_ns=first_ns)} UTC"
        f" can be put on the laptop's clock to within {error(worst_ns)}{apart}."
    )
    return Verdict(_grade(stretches), headline, _exceptions(others, first_ns), worst_ns)


def outside(first_ns: int, last_ns: int, started_ns: int | None, stopped_ns: int | None) -> list[str]:
    """What of the session, from its start to its stop, lies outside of what was measured."""
    sentences = []
    if started_ns is not None and first_ns - started_ns > 3e9:  # noqa: PLR2004 - seconds that matter
        sentences.append(f"The first {span(first_ns - started_ns)} of the session were not measured.")
    if stopped_ns is not None and stopped_ns - last_ns > 3e9:  # noqa: PLR2004
        sentences.append(f"The last {span(stopped_ns - last_ns)} of the session were not measured.")
    return sentences


def _grade(stretches: Sequence[Stretch]) -> Grade:
    total = sum(stretch.span_ns for stretch in stretches)
    good = sum(
        stretch.span_ns
        for stretch in stretches
        if stretch.error_ns is not None and stretch.error_ns <= TOLERANCE_NS
    )
    if good >= total * (1 - _MOST_UNCERTAIN) and good > 0:
        return "yes"
    return "partly" if good > 0 else "no"


def _exceptions(others: Sequence[Stretch], near_ns: int) -> list[str]:
    """A sentence for each, but of very many only for the longest."""
    ranked = sorted(range(len(others)), key=lambda place: -others[place].span_ns)
    shown, left = sorted(ranked[:_MOST_LISTED]), ranked[_MOST_LISTED:]
    sentences = [_sentence(others[place], near_ns) for place in shown]
    if left:
        rest = span(sum(others[place].span_ns for place in left))
        sentences.append(f"{count(len(left), 'shorter stretch', 'shorter stretches')} more, {rest} in all.")
    return sentences


def _sentence(stretch: Stretch, near_ns: int) -> str:
    at = clock_time(stretch.from_ns, near_ns=near_ns)
    if stretch.kind == "gap":
        assert stretch.error_ns is not None
        return (
            f"For {span(stretch.span_ns)} from {at} nothing was measured; timestamps there are good to within"
            f" {error(stretch.error_ns)} if the Pi's clock was let alone meanwhile."
        )
    if stretch.kind == "http":
        assert stretch.error_ns is not None
        return (
            f"For {span(stretch.span_ns)} from {at} the vehicle answered over HTTP alone; timestamps there"
            f" are good to within {error(stretch.error_ns)}."
        )
    assert stretch.cause is not None
    assert stretch.jump_ns is not None
    why = _CAUSES[stretch.cause].format(jump=signed(stretch.jump_ns))
    return f"{span(stretch.span_ns)} around {at} are uncertain because {why}."
