"""Rows of numbers in a fixed amount of memory: the newest push out the oldest."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Ring:
    """At most `capacity` rows of `width` doubles; memory is taken as it fills, then never again."""

    def __init__(self, width: int, capacity: int) -> None:
        self._width = width
        self._capacity = capacity
        self._cells = array("d")
        self._oldest = 0
        """The place of the oldest row, once all are taken."""

    def __len__(self) -> int:
        return len(self._cells) // self._width

    def append(self, row: Sequence[float]) -> None:
        """Add a row; the oldest goes when there is no room."""
        if len(self) < self._capacity:
            self._cells.extend(row)
            return
        at = self._oldest * self._width
        self._cells[at : at + self._width] = array("d", row)
        self._oldest = (self._oldest + 1) % self._capacity

    def __iter__(self) -> Iterator[tuple[float, ...]]:
        """From the oldest to the newest."""
        for place in range(len(self)):
            at = (self._oldest + place) % len(self) * self._width
            yield tuple(self._cells[at : at + self._width])

    def first(self) -> tuple[float, ...] | None:
        """The oldest row."""
        return next(iter(self), None)
