"""Whether a log and a .tlog are of one start of one autopilot: by attitudes at the same boot times, pure.

Those of another start, dive or vehicle differ, unless it lay still in both: so the attitudes must vary, and
agree far better than they vary, all along. A part of another start shows in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Floats

_NEAR_US = 200_000
"""How far from a boot time the log's attitudes on both sides of it may be."""
_LEAST = 20
"""Attitudes, and those of a part."""
_LEAST_SPREAD, _LARGEST_APART = 0.5, 5.0
"""Degrees."""
_BETTER = 4


class Likeness(NamedTuple):
    """What a comparison found."""

    same: bool
    matched: int
    """Attitudes at the same boot times."""
    why: str
    """Why not."""


def compared(logged: Floats, heard: Floats) -> Likeness:
    """Compare attitudes: rows of boot time (µs), roll, pitch and yaw (degrees)."""
    at, expected = _at_boot_times(logged, heard)
    if len(at) < _LEAST:
        numbers = f"{len(logged)} in the log, {len(heard)} in the .tlog, {len(at)} at the same boot times"
        return Likeness(same=False, matched=len(at), why=f"attitudes: {numbers}, expected at least {_LEAST}")
    apart = np.abs(_turned(at - expected)).max(axis=1)
    spread = float(np.percentile(np.abs(_turned(at - np.median(at, axis=0))).max(axis=1), 75))
    usual = float(np.median(apart))
    parts = np.array_split(apart, len(apart) // _LEAST)
    worst = max(float(np.median(each)) for each in parts)
    limit = min(_LARGEST_APART, max(1.0, spread / 2))
    why = f"their attitudes are usually {usual:.1f}° apart, and {worst:.1f}° in a part of them"
    if spread < _LEAST_SPREAD:
        why = (
            f"the vehicle lay still: its attitudes vary by {spread:.1f}°, expected at least {_LEAST_SPREAD}°"
        )
        return Likeness(same=False, matched=len(at), why=why)
    same = usual * _BETTER <= max(spread, _LEAST_SPREAD) and usual <= _LARGEST_APART and worst <= limit
    return Likeness(same=same, matched=len(at), why=why)


def _at_boot_times(logged: Floats, heard: Floats) -> tuple[Floats, Floats]:
    """The attitudes that were heard, and those of the log at their boot times, where it has any near."""
    if len(logged) < 2 or not len(heard):  # noqa: PLR2004 - between two
        return np.zeros((0, 3)), np.zeros((0, 3))
    logged = logged[np.argsort(logged[:, 0], kind="stable")]
    right = np.clip(np.searchsorted(logged[:, 0], heard[:, 0]), 1, len(logged) - 1)
    left = right - 1
    before, after = heard[:, 0] - logged[left, 0], logged[right, 0] - heard[:, 0]
    near = (np.abs(before) <= _NEAR_US) & (np.abs(after) <= _NEAR_US)
    share = np.clip(before[near] / np.maximum(before[near] + after[near], 1), 0, 1)
    begin, end = logged[left[near], 1:], logged[right[near], 1:]
    return heard[near, 1:], begin + _turned(end - begin) * share[:, np.newaxis]


def _turned(degrees: Floats) -> Floats:
    """The same angles from −180° to 180°."""
    found: Floats = (degrees + 180) % 360 - 180
    return found
