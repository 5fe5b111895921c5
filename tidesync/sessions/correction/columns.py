"""Numbers of many exchanges or rows as columns, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topside_agent.estimator.blocks import Integers

_CHUNK = 4096


def each(*columns: Integers) -> Iterator[list[int]]:
    """The columns' values together, in turn, without a list of them all."""
    for begin in range(0, columns[0].size, _CHUNK):
        yield from np.stack([column[begin : begin + _CHUNK] for column in columns], axis=1).tolist()


def places_of_each(numbers: Integers) -> list[Integers]:
    """The places of each distinct number (or row of numbers), in the order in which these appear first."""
    if not len(numbers):
        return []
    _, first, number = np.unique(numbers, axis=0, return_index=True, return_inverse=True)
    number = number.reshape(-1)
    parts = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    return [parts[place] for place in np.argsort(first)]


def outside(at_ns: Integers, begins: Integers, ends: Integers) -> Integers:
    """The places of the instants that lie in none of these intervals, ends included."""
    order = np.argsort(at_ns, kind="stable")
    change = np.zeros(at_ns.size + 1, dtype=np.int64)
    np.add.at(change, np.searchsorted(at_ns, begins, sorter=order), 1)
    np.add.at(change, np.searchsorted(at_ns, ends, side="right", sorter=order), -1)
    return np.sort(order[np.cumsum(change)[:-1] == 0])
