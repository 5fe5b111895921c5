"""What a session's alarm says, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidesync.figures import some_of

if TYPE_CHECKING:
    from collections.abc import Sequence


MANY_MISSING = 1000
"""Fewer that are missing for a moment are no alarm: a vehicle's second, or a broker's hiccup."""


def silence(silent: Sequence[str], alarm_s: float, *, no_vehicle: bool) -> list[str]:
    """That nothing is recorded of `silent`, or of any vehicle."""
    if not (silent or no_vehicle):
        return []
    of_whom = f" of {some_of(silent, 'vehicle')}" if silent else ""
    return [f"nothing recorded{of_whom} for more than {alarm_s:g} s"]


def emptiness(empty: Sequence[str], *, no_vehicle: bool) -> list[str]:
    """At the end: that nothing was recorded of `empty`, or of any vehicle."""
    if not (empty or no_vehicle):
        return []
    return [f"nothing was recorded of {some_of(empty, 'vehicle')}" if empty else "nothing was recorded"]


def lateness(awaited: int, *others: str | None) -> list[str]:
    """That exchanges are missing that may still come, and what else holds up the recording."""
    missing = [f"{awaited} exchanges are missing and asked for"] if awaited >= MANY_MISSING else []
    return [*missing, *filter(None, others)]


def joined(sentences: Sequence[str | None]) -> str | None:
    """One alarm; None where there is nothing to say."""
    return "; ".join(filter(None, sentences)) or None
