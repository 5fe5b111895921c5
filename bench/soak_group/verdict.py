"""What a soak of a group found: every figure, and which of them are not as required."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.soak_group.setup import WEIGHTS
from bench.soak_group.takeovers import Takeover, takeovers
from bench.soak_recorder.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.soak_group.observer import Observer
    from bench.soak_group.run import Fault
    from bench.soak_group.setup import Plan

AGAIN_S, HOLD_DOWN_S, SETTLED_S, WIDER = 5.0, 5.0, 10.0, 2.0
_LONG_S = 60.0
"""A standby that has followed a vehicle for so long knows about as much as its owner."""


class Requirement(NamedTuple):
    """One thing that is required, what was found, and whether that is enough."""

    wanted: str
    found: str
    holds: bool


@dataclass
class GroupVerdict(Verdict):
    """With a line for each thing that is required of a group."""

    requirements: list[Requirement] = field(default_factory=list)
    wide: list[Takeover] = field(default_factory=list)
    """Those after which the bound was wider than is required."""

    def require(self, wanted: str, found: str, *, holds: bool) -> None:
        """Keep the line; one that does not hold is a failure."""
        self.requirements.append(Requirement(wanted, found, holds))
        if not holds:
            self.failures.append(f"{wanted}: {found}")


class _Spell(NamedTuple):
    topside: str
    from_s: float
    to_s: float


def judged(
    plan: Plan,
    observer: Observer,
    faults: Sequence[Fault],
    shares: Mapping[str, int],
    settled_at_s: float,
) -> GroupVerdict:
    """Every figure against what is required."""
    verdict = GroupVerdict()
    limit_s, settled_s = SETTLED_S * plan.patience, settled_at_s - max(observer.first_beat_s.values())
    verdict.require(
        f"settled within {limit_s:g} s of the last one's first heartbeat",
        f"{settled_s:.2f} s",
        holds=settled_s <= limit_s,
    )
    _check_shares(verdict, plan, shares)
    _check_again(verdict, plan, faults)
    _check_doubled(verdict, plan, observer, faults)
    _check_bounds(verdict, plan, list(takeovers(observer, faults, settled_at_s)))
    verdict.note("results held against the truth", observer.results, at_least=1)
    wrong = len(observer.wrong)
    verdict.require(
        "no result whose bound does not hold the truth", f"{wrong} of {observer.results}", holds=not wrong
    )
    verdict.failures += observer.wrong[:5]
    return verdict


def _check_shares(verdict: GroupVerdict, plan: Plan, shares: Mapping[str, int]) -> None:
    total = sum(WEIGHTS.values())
    for name, weight in WEIGHTS.items():
        share = weight / total
        spread = 3 * sqrt(plan.vehicles * share * (1 - share))
        verdict.require(
            f"{name} measures {plan.vehicles * share:g} ± {spread:.1f} vehicles",
            f"{shares[name]}",
            holds=abs(shares[name] - plan.vehicles * share) <= spread,
        )


def _check_again(verdict: GroupVerdict, plan: Plan, faults: Sequence[Fault]) -> None:
    limit_s = AGAIN_S * plan.patience
    for kind in sorted({fault.kind for fault in faults}):
        again_s = [fault.again_s for fault in faults if fault.kind == kind and fault.vehicles]
        verdict.note(f"{kind}: times", len(again_s))
        if again_s:
            verdict.note(f"{kind}: s until measured again, median", round(median(again_s), 2))
            verdict.note(f"{kind}: s until measured again, longest", round(max(again_s), 2))
    again_s = [fault.again_s for fault in faults if fault.vehicles]
    late = sum(each > limit_s for each in again_s)
    verdict.require(
        f"every vehicle measured again within {limit_s:g} s of each fault",
        f"later after {late} of {len(again_s)}; at the most {max(again_s, default=0.0):.2f} s",
        holds=not late,
    )


def _check_doubled(verdict: GroupVerdict, plan: Plan, observer: Observer, faults: Sequence[Fault]) -> None:
    limit_s = HOLD_DOWN_S * plan.patience
    events_s = sorted(each for fault in faults for each in (fault.at_s, fault.at_s + fault.lasts_s))
    found = [each for vehicle in list(observer.pongs) for each in _twice(observer, vehicle, plan, events_s)]
    longest_s, longer = max(found, default=0.0), sum(each > limit_s for each in found)
    if found:
        verdict.note("s measured by two at once, median", round(median(found), 2))
        verdict.note("s measured by two at once, 99th percentile", round(_high(sorted(found)), 2))
    verdict.require(
        f"no vehicle measured by two at once for longer than {limit_s:g} s",
        f"longer {longer} of {len(found)} times; at the most {longest_s:.2f} s",
        holds=not longer,
    )


def _check_bounds(verdict: GroupVerdict, plan: Plan, changed: Sequence[Takeover]) -> None:
    limit = WIDER * plan.patience
    for name, some in (
        (f"followed for {_LONG_S:g} s", [each for each in changed if each.followed_s >= _LONG_S]),
        ("followed for less long", [each for each in changed if each.followed_s < _LONG_S]),
    ):
        verdict.note(f"taken over, {name}", len(some))
        for what in ("width", "max_error"):
            ratios = sorted(getattr(each, what) for each in some)
            if ratios:
                title = f"{name}: {what} after over before"
                verdict.note(f"{title}: median", round(median(ratios), 2))
                verdict.note(f"{title}: 99th percentile", round(_high(ratios), 2))
                verdict.note(f"{title}: greatest", round(ratios[-1], 2))
    verdict.wide = [each for each in changed if each.width > limit]
    known = sum(each.followed_s >= _LONG_S for each in verdict.wide)
    verdict.require(
        f"the bound after a takeover within {limit:g} times that before",
        f"wider after {len(verdict.wide)} of {len(changed)}, {known} of them followed for {_LONG_S:g} s",
        holds=not verdict.wide,
    )


def _spells(observer: Observer, vehicle: str, plan: Plan) -> list[_Spell]:
    """When each topside measured it, from the first answer to the last of each."""
    apart_s = 2.5 / plan.rate_hz
    found: list[_Spell] = []
    open_: dict[str, _Spell] = {}
    for at_s, topside in observer.pongs[vehicle]:
        last = open_.get(topside)
        if last is not None and at_s - last.to_s > apart_s:
            found.append(open_.pop(topside))
            last = None
        open_[topside] = _Spell(topside, at_s if last is None else last.from_s, at_s)
    return [*found, *open_.values()]


def _twice(observer: Observer, vehicle: str, plan: Plan, events_s: Sequence[float]) -> Iterator[float]:
    """How long each time two were measuring it, s, since the last time that a fault began or ended."""
    spells = sorted(_spells(observer, vehicle, plan), key=lambda spell: spell.from_s)
    for number, one in enumerate(spells):
        for other in spells[number + 1 :]:
            if other.from_s >= one.to_s:
                break
            if other.topside != one.topside:
                end_s = min(one.to_s, other.to_s)
                yield end_s - max([other.from_s, *(each for each in events_s if each < end_s)])


def _high(ratios: Sequence[float]) -> float:
    return ratios[int(len(ratios) * 0.99)]
