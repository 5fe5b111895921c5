"""Checks of topsides that share vehicles: who is in each group, and what several topsides measure; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.presence import Member
from tidesync.doctor.finding import Finding, ok, skipped, warn
from tidesync.figures import some_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.doctor.observations import Observations
    from tidesync.fleet.vehicle import Row

_GONE = "does `tidesync topside` run there? For one that is gone for good: {forget}"


def groups(seen: Observations) -> Iterator[Finding]:
    """Which topsides share the vehicles, by their member messages and live heartbeats."""
    members = [letter.body for letter in seen.letters if isinstance(letter.body, Member)]
    unheard = next((refused for refused in seen.refused if refused.endswith("/heartbeat")), None)
    for group in sorted({member.group for member in members}):
        ours = sorted(
            (member for member in members if member.group == group), key=lambda member: member.topside
        )
        if unheard:
            named = ", ".join(map(_member, ours))
            yield skipped(
                f"group {group}", f"whether {named} are there is not known: the broker refuses {unheard}"
            )
        else:
            yield _group(group, ours, seen)


def _group(group: str, members: Sequence[Member], seen: Observations) -> Finding:
    there = [one for one in members if one.instance_id in seen.heartbeats.get(one.topside, ())]
    gone = [one for one in members if one not in there]
    if not gone:
        return ok(f"group {group}", f"shared by {', '.join(map(_member, there))}")
    forget = ", ".join(f"`tidesync forget --topside {one.topside}`" for one in gone)
    advice = _GONE.format(forget=forget)
    missing = f"not heard: {', '.join(map(_member, gone))}"
    if there:
        found = f"{', '.join(map(_member, there))}; {missing}"
        return warn(f"group {group}", found, f"the others measure its vehicles; {advice}")
    return warn(f"group {group}", f"nobody; {missing}", f"nobody of it measures anything; {advice}")


def _member(member: Member) -> str:
    return f"{member.topside} (weight {member.weight:g})"


def measured_by_several(rows: Sequence[Row]) -> Iterator[Finding]:
    """The vehicles of which several topsides have fresh results, for each choice of topsides."""
    by_vehicle: dict[str, list[Row]] = {}
    for row in rows:
        if row.fresh:
            by_vehicle.setdefault(row.vehicle, []).append(row)
    same: dict[tuple[tuple[str, str | None], ...], list[str]] = {}
    for vehicle, measured in by_vehicle.items():
        if len(measured) > 1:
            key = tuple((row.topside or "", row.group) for row in measured)
            same.setdefault(key, []).append(vehicle)
    for by, vehicles in sorted(same.items(), key=str):
        yield _several(by, vehicles)


def _several(by: Sequence[tuple[str, str | None]], vehicles: Sequence[str]) -> Finding:
    named = " and ".join(f"{topside} ({f'group {group}' if group else 'no group'})" for topside, group in by)
    found = (
        f"{some_of(vehicles, 'vehicle')}: each has results by {named}; the one with the least bound is used"
    )
    shared = [group for _, group in by if group]
    if len(shared) > len(set(shared)):
        advice = (
            "in one group that is so for some seconds after a topside has come; if it lasts, may the accounts"
            " of these topsides read each other's heartbeats?"
        )
        return warn("measured twice", found, advice)
    return ok("measured twice", found)
