"""Readings of a machine's clocks, as columns: 32 bytes each where an object takes two hundred."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Integers


class ClockReading(NamedTuple):
    """Realtime at an instant of RAW, within `error_ns`, and `slewed_ns` more while it is slewed."""

    raw_ns: int
    realtime_ns: int
    error_ns: int
    slewed_ns: int = 0


class Readings(Sequence[ClockReading]):
    """Readings as columns; each is made where it is asked for."""

    def __init__(self, columns: Integers) -> None:
        """`columns` has a row for each, of its four numbers."""
        self.columns = columns

    @classmethod
    def of(cls, readings: Sequence[ClockReading]) -> Readings:
        """These, as they are where they are columns already."""
        if isinstance(readings, Readings):
            return readings
        return cls(np.array(readings, dtype=np.int64).reshape(-1, 4))

    def __len__(self) -> int:
        return len(self.columns)

    @overload
    def __getitem__(self, index: int) -> ClockReading: ...
    @overload
    def __getitem__(self, index: slice) -> Readings: ...
    def __getitem__(self, index: int | slice) -> ClockReading | Readings:
        found = self.columns[index]
        return Readings(found) if isinstance(index, slice) else ClockReading(*found.tolist())
