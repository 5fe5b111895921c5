"""What is remembered of the newest exchanges, as numbers: objects would take ten times the memory."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Integers
    from topside_agent.estimator.constraints import Constraint

_SPARE = 32
"""So many rows too many are dropped together."""


class _Newest:
    """The newest `most` rows of `width` integers of 64 bits each."""

    def __init__(self, width: int, most: int) -> None:
        self._width, self._most = width, most
        self._numbers = array("q")

    def add(self, *row: int) -> None:
        self._numbers.extend(row)
        if len(self._numbers) >= (self._most + _SPARE) * self._width:
            del self._numbers[: -self._most * self._width]

    def rows(self) -> Integers:
        """The oldest first, shape (rows, width)."""
        rows = np.frombuffer(self._numbers, dtype=np.int64).reshape(-1, self._width)
        return rows[-self._most :].copy()


class KnownExchanges:
    """The newest `most` pairs of a sequence number and an origin (ns), by which duplicates are recognised."""

    def __init__(self, most: int) -> None:
        self._pairs = _Newest(2, most)
        self._latest_ns = -1

    def __contains__(self, pair: tuple[int, int]) -> bool:
        if pair[1] > self._latest_ns:
            return False  # as nearly always
        return bool((self._pairs.rows() == pair).all(axis=1).any())

    def add(self, seq: int, origin_ns: int) -> None:
        """Remember a pair, and forget the oldest if they are too many."""
        self._pairs.add(seq, origin_ns)
        self._latest_ns = max(self._latest_ns, origin_ns)


class RecentConstraints:
    """The newest constraints of a timebase, as far as it takes to find out when a step came."""

    def __init__(self, most: int) -> None:
        self._rows = _Newest(4, most)

    def add(self, constraint: Constraint) -> None:
        """Remember a constraint."""
        realtime_ns = constraint.destination_ns + constraint.topside_difference_ns
        self._rows.add(constraint.origin_ns, constraint.upper_ns, constraint.lower_ns, realtime_ns)

    def last_clean(self, new: Constraint, rate_limit: float) -> int | None:
        """Topside's realtime (ns) at the newest of them that contradicts `new`: the step came after it.

        None when every one of them agrees with `new`.
        """
        rows: list[list[int]] = self._rows.rows().tolist()
        for origin_ns, upper_ns, lower_ns, realtime_ns in reversed(rows):
            apart = rate_limit * abs(new.destination_ns - origin_ns)
            if new.lower_ns - apart > upper_ns or new.upper_ns + apart < lower_ns:
                return realtime_ns
        return None
