"""At which instants of the Pi's RAW clock a group's relation of both RAW clocks holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.interpolation import Interpolation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidesync.sessions.correction.clock_function import ClockFunction, Lines
    from tidesync.sessions.correction.clock_limits import ClockLimits
    from tidesync.sessions.correction.raw_groups import Boot, RawGroup

_RATES = 1.12
"""More than any two clocks of two machines run apart."""
_HALF_NS = 2**61


@dataclass(frozen=True, slots=True)
class Claim:
    """The Pi's RAW instants at which a group's relation holds."""

    begin: int
    end: int
    raw: Interpolation
    topside: Lines
    awake: tuple[int, int]
    """The RAW instants at which topside slept before and after."""


def claims_of(
    groups: Sequence[RawGroup],
    pi: Mapping[Boot, ClockFunction],
    topside: Mapping[Boot, ClockFunction],
    limits: ClockLimits,
) -> dict[Boot, list[Claim]]:
    """The claims in each boot of the Pi, in the order of the groups."""
    claims: dict[Boot, list[Claim]] = {}
    for before, group, after in zip([None, *groups], groups, [*groups[1:], None], strict=False):
        clocks = pi[group.pi_boot], topside[group.topside_boot]
        if not clocks[1].lines.run.size:
            continue  # of a boot of topside with a single reading nothing is known between two instants
        raw = Interpolation(group.knots(), limits)
        awake = _awake(group, clocks)
        own = (
            max(awake[0][0], _pi_raw_at(raw, awake[1][0], after=False)),
            min(awake[0][1], _pi_raw_at(raw, awake[1][1], after=True)),
        )
        span = _between(group, before, after, own)
        claims.setdefault(group.pi_boot, []).append(Claim(*span, raw, clocks[1].lines, awake[1]))
    return claims


def _awake(group: RawGroup, clocks: tuple[ClockFunction, ClockFunction]) -> list[tuple[int, int]]:
    """Of both sides (the Pi first), the RAW instants between which it certainly ran on."""
    first, last = group.samples[0], group.samples[-1]
    measured = (first.pi_raw_ns, last.pi_raw_ns), (first.topside_raw_ns, last.topside_raw_ns)
    found = []
    for clock, slept, instants in zip(clocks, group.sleeps, measured, strict=True):
        between, continuous = clock.awake(slept), clock.continuous(*instants)
        found.append((max(between[0], continuous[0]), min(between[1], continuous[1])))
    return found


def _between(
    group: RawGroup, before: RawGroup | None, after: RawGroup | None, own: tuple[int, int]
) -> tuple[int, int]:
    """The Pi's RAW instants at which the group's relation may hold: within `own`.

    Where it is not known when it ended, that was between the last exchange of one group and the first of the
    next; both then claim the instants between.
    """
    lowest, highest = own
    if before is not None and before.pi_boot == group.pi_boot and not _slept_between(before, group):
        lowest = max(lowest, before.samples[-1].pi_raw_ns)
    if after is not None and after.pi_boot == group.pi_boot and not _slept_between(group, after):
        highest = min(highest, after.samples[0].pi_raw_ns)
    return lowest, highest


def _slept_between(before: RawGroup, after: RawGroup) -> bool:
    return before.topside_boot == after.topside_boot and before.sleeps != after.sleeps


def _pi_raw_at(raw: Interpolation, topside_ns: int, *, after: bool) -> int:
    """The Pi's RAW when topside's was `topside_ns`, at the latest (`after`) or the earliest."""
    if abs(topside_ns) == _HALF_NS:
        return topside_ns
    pi_ns = raw.last_ns if after else raw.first_ns
    for _ in range(4):
        found = raw.instants(np.array([pi_ns]))
        pi_ns += topside_ns - int(found.topside_ns[0])
    error = round(_RATES * float(found.max_error_ns[0]))
    return pi_ns + error if after else pi_ns - error
