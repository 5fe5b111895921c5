"""What a soak of a group found: every figure, and which of them are failures."""

from __future__ import annotations

from math import sqrt
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.soak_group.setup import WEIGHTS
from bench.soak_recorder.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.soak_group.observer import Observer
    from bench.soak_group.run import Fault
    from bench.soak_group.setup import Plan

AGAIN_S, HOLD_DOWN_S, SETTLED_S, WIDER = 5.0, 5.0, 10.0, 2.0
_BEFORE_S, _KNOWN_S = 10.0, 30.0
"""The bound before a takeover is the median of so many seconds; a standby is to have followed for so long."""


class _Spell(NamedTuple):
    topside: str
    from_s: float
    to_s: float


def judged(
    plan: Plan, observer: Observer, faults: Sequence[Fault], shares: Mapping[str, int], settled_s: float
) -> Verdict:
    """Every figure against what is required."""
    verdict = Verdict()
    _at_most(
        verdict, "s from the last one's first heartbeat until settled", settled_s, SETTLED_S * plan.patience
    )
    total = sum(WEIGHTS.values())
    for name, weight in WEIGHTS.items():
        share = weight / total
        spread = 3 * sqrt(plan.vehicles * share * (1 - share))
        verdict.note(f"vehicles of {name}", shares[name])
        if abs(shares[name] - plan.vehicles * share) > spread:
            verdict.failures.append(
                f"{name} measures {shares[name]}, not {plan.vehicles * share:g} ± {spread:g}"
            )
    for kind in sorted({fault.kind for fault in faults}):
        again_s = [fault.again_s for fault in faults if fault.kind == kind and fault.vehicles]
        verdict.note(f"{kind}: times", len(again_s))
        if again_s:
            verdict.note(f"{kind}: s until measured again, median", round(median(again_s), 2))
            what = f"{kind}: s until measured again, longest"
            _at_most(verdict, what, max(again_s), AGAIN_S * plan.patience)
    events_s = sorted(each for fault in faults for each in (fault.at_s, fault.at_s + fault.lasts_s))
    twice_s = [each for vehicle in list(observer.pongs) for each in _twice(observer, vehicle, plan, events_s)]
    verdict.note("times measured by two at once", len(twice_s))
    longest = max(twice_s, default=0.0)
    _at_most(verdict, "s measured by two at once, longest", longest, HOLD_DOWN_S * plan.patience)
    changed = [each for fault in faults for each in _takeovers(observer, faults, fault)]
    verdict.note("vehicles taken over by a standby that had followed them", len(changed))
    for what, number in (("width of the bound", 0), ("max error", 1)):
        ratios = sorted(each[number] for each in changed)
        if ratios:
            verdict.note(f"{what} after over before: median", round(median(ratios), 3))
            verdict.note(f"{what} after over before: 99th percentile", round(_high(ratios), 3))
            verdict.note(f"{what} after over before: greatest", round(ratios[-1], 3))
            verdict.note(f"{what} after over before: above {WIDER:g}", sum(each > WIDER for each in ratios))
    if changed and _high(sorted(width for width, _ in changed)) > WIDER * plan.patience:
        verdict.failures.append(
            f"of a hundred bounds after a takeover one is more than {WIDER:g} times as wide"
        )
    verdict.note("results held against the truth", observer.results, at_least=1)
    verdict.note("results whose bound does not hold the truth", len(observer.wrong), wanted=0)
    verdict.failures += observer.wrong[:5]
    return verdict


def _at_most(verdict: Verdict, name: str, value: float, limit: float) -> None:
    verdict.note(name, round(value, 3))
    if value > limit:
        verdict.failures.append(f"{name}: {value:.3f}, more than {limit:g}")


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


def _takeovers(observer: Observer, faults: Sequence[Fault], fault: Fault) -> Iterator[tuple[float, float]]:
    """Of each vehicle that a standby took over: the first bound after over that before, in width and error.

    Only of those that nobody else had measured for `_KNOWN_S`, by one that nothing had befallen for so long.
    """
    disturbed = {
        each.topside
        for each in faults
        if each.at_s + each.lasts_s > fault.at_s - _KNOWN_S and each is not fault and each.at_s <= fault.at_s
    }
    for vehicle in fault.vehicles:
        bounds = observer.bounds[vehicle]
        known = [each for each in bounds if fault.at_s - _KNOWN_S < each.at_s <= fault.at_s]
        after = [each for each in bounds if each.at_s > fault.at_s and each.topside != fault.topside]
        measurers = {
            topside for at_s, topside in observer.pongs[vehicle] if fault.at_s - _KNOWN_S < at_s <= fault.at_s
        }
        if not known or not after or measurers != {fault.topside}:
            continue
        first = after[0]
        if first.topside in disturbed or first.at_s - fault.at_s > fault.lasts_s:
            continue
        before = [each for each in known if each.at_s > fault.at_s - _BEFORE_S]
        yield (
            first.width_ms / median(each.width_ms for each in before),
            first.max_error_ms / median(each.max_error_ms for each in before),
        )
