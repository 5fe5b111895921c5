"""Which topside's result of a vehicle is in use, pure: the one rule of all that read results.

An offset is the vehicle's clock minus that of one topside's machine, so a reader that changes the topside
changes the clock it speaks of, too: whoever shows a chosen result names its topside.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, TypeVar

from schemas.doubtful import is_doubtful

if TYPE_CHECKING:
    from collections.abc import Iterable

STAYS_WITHIN = 2.0
"""The topside in use stays while its bound is at most this many times the least, lest readers alternate."""
FRESH_S = 3.0
"""The age up to which a result is fresh, at least: a topside publishes every second unless set otherwise."""
_LATE = 1.5
"""A result that comes later than this many of its topside's intervals is missing."""


class Periodic(Protocol):
    """What is repeated."""

    @property
    def interval_s(self) -> float | None:
        """The next one is due within so many seconds; None: not known."""


class Candidate(Protocol):
    """One topside's newest result of a vehicle, in whatever form a reader holds it."""

    @property
    def topside(self) -> str | None:
        """Who measured."""

    @property
    def max_error_ms(self) -> float | None:
        """The bound of its offset; None without one."""

    @property
    def error(self) -> str | None:
        """Its error word."""


C = TypeVar("C", bound=Candidate)


def fresh_for_s(result: Periodic, fresh_s: float = FRESH_S) -> float:
    """The age up to which `result` is fresh, seconds: at least `fresh_s`, more if its topside is slower."""
    return max(fresh_s, _LATE * (result.interval_s or 0.0))


def chosen(fresh: Iterable[C], in_use: str | None = None, *, stays_within: float = STAYS_WITHIN) -> C | None:
    """Of a vehicle's `fresh` results the one to use: not in doubt, with the least max error, else by name.

    `in_use` is the topside that was chosen before: it stays while its bound is at most `stays_within` times
    the least. One without a bound is chosen where none has one; None where none is left.

    Readers differ in these two only. Dashboard (with its page), Cockpit and Home Assistant show numbers as
    they come: twice the least bound is little, a curve that jumps between two clocks is much. `status` reads
    once and has none in use. A session is corrected against one clock: the recorder stays with its topside,
    whatever the bounds (`stays_within` infinite), while that has fresh results.
    """
    usable = sorted(
        (one for one in fresh if not is_doubtful(one.error)), key=lambda one: (_bound(one), one.topside or "")
    )
    if not usable:
        return None
    within = math.inf if math.isinf(stays_within) else stays_within * _bound(usable[0])
    return next((one for one in usable if one.topside == in_use and _bound(one) <= within), usable[0])


def _bound(candidate: Candidate) -> float:
    return math.inf if candidate.max_error_ms is None else candidate.max_error_ms
