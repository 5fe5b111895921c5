"""Findings that are the same of many vehicles, as one line of text; JSON keeps each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tidesync.figures import some_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.doctor.finding import Finding

_FEW = 3
"""Up to so many that are the same are listed as they are."""
_VEHICLE = "VEHICLE"
"""In advice for several, in place of a name."""


def grouped(findings: Sequence[Finding]) -> list[Finding]:
    """`findings` in their order; of more than three that differ by their vehicle alone, one for all."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(_key(finding), []).append(finding)
    found: list[Finding] = []
    for same in groups.values():
        found += same if len(same) <= _FEW or same[0].of is None else [_one(same)]
    return found


def _key(finding: Finding) -> tuple[str, ...]:
    """Of one that is about no vehicle, a key of its own."""
    if finding.of is None:
        return (finding.check, finding.found)
    return ("", _kind(finding), finding.verdict, finding.shared or finding.found)


def _kind(finding: Finding) -> str:
    return finding.check.removesuffix(finding.of or "").strip()


def _one(same: Sequence[Finding]) -> Finding:
    first, names = same[0], [finding.of or "" for finding in same]
    kind = _kind(first).removesuffix("vehicle").strip()
    advice = first.advice and first.advice.replace(names[0], _VEHICLE)
    whom = some_of(names, "vehicle").partition(" (")[2].removesuffix(")") or ", ".join(names)
    check = f"{kind} {len(names)} vehicles" if kind else f"{len(names)} vehicles"
    return replace(first, check=check, found=f"{first.shared or first.found}: {whom}", advice=advice)
