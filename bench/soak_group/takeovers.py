"""The bounds of vehicles that a standby took over from a topside that failed, beside those of before."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.soak_group.setup import GROUP, WEIGHTS
from topside_agent.group.ownership import ranked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.soak_group.observer import Observer
    from bench.soak_group.run import Fault

_BEFORE_S = 10.0
"""The bound before is the median of so long, in which the owner alone measured the vehicle."""


class Takeover(NamedTuple):
    """One vehicle's; both ratios are the first bound after over the one before."""

    fault: int
    kind: str
    vehicle: str
    followed_s: float
    """Since the standby was started, continued or connected: it can have followed the vehicle for so long."""
    width: float
    max_error: float


def takeovers(observer: Observer, faults: Sequence[Fault], began_s: float) -> Iterator[Takeover]:
    """Every takeover from a vehicle's owner by its standby, as ranked among all members, during a fault.

    `began_s` is when the group had settled.
    """
    for number, fault in enumerate(faults):
        for vehicle in fault.vehicles:
            owner, standby, *_ = ranked(GROUP, vehicle, WEIGHTS)
            since_s = _undisturbed_since_s(faults, fault, standby, began_s)
            if owner != fault.topside or since_s > fault.at_s - _BEFORE_S:
                continue
            from_s = fault.at_s - _BEFORE_S
            measurers = {who for at_s, who in observer.pongs[vehicle] if from_s < at_s <= fault.at_s}
            before = [each for each in observer.bounds[vehicle] if from_s < each.at_s <= fault.at_s]
            after = next(
                (
                    each
                    for each in observer.bounds[vehicle]
                    if each.at_s > fault.at_s and each.topside != owner
                ),
                None,
            )
            if measurers != {owner} or not before or after is None or after.topside != standby:
                continue
            if after.at_s <= fault.at_s + fault.lasts_s:
                yield Takeover(
                    number,
                    fault.kind,
                    vehicle,
                    fault.at_s - since_s,
                    after.width_ms / median(each.width_ms for each in before),
                    after.max_error_ms / median(each.max_error_ms for each in before),
                )


def _undisturbed_since_s(faults: Sequence[Fault], fault: Fault, topside: str, began_s: float) -> float:
    ends_s = (each.at_s + each.lasts_s for each in faults if each.topside == topside)
    return max((end_s for end_s in ends_s if end_s <= fault.at_s), default=began_s)
