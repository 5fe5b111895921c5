"""Timestamps with fewer digits than the column's others: complete, with zeros dropped at their ends, or not.

A writer that drops zeros leaves each tenth value a digit short, each hundredth two, and what it writes in
full never ends in a zero. A short value is taken to be complete only where that is so: of many values written
in full next to none ends in a zero, none does among its neighbours, and among these no more are so short than
chance explains. Any other has the resolution in which it is written itself: it may be a coarser logger's, or
torn. So has a whole second, which many programs write for events; one of which chance makes one in a thousand
or less, as such rows are few; and one that still resolves 1 ms, as that costs no answer.

Where zeros are kept, so that nearly all values have the same digits, a shorter one of which there are few may
also lack characters in its middle: then only its second is taken to be known.

Assumption: among values that drop zeros a coarser logger's, of one or two digits less, are more than chance
explains (of 64 neighbours three with two digits less, or 13 with one), or none; and none of them lacks
characters in its middle.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

_ENOUGH = 66
"""Of so many values one ends in a zero, but for a chance of 1 in 1000."""
_FEW, _DIFFERENT = 0.01, 7
_FINE_NS, _S = 1_000_000, 1_000_000_000
_RARE = 1.001e-3
_WINDOWS = (8, 64)
_CHANCE = 0.03
_FEWEST, _NEARLY_ALL, _SEVERAL = 10, 0.9, 5


def drops_zeros(at_ns: Integers, steps_ns: Integers, full_ns: int) -> bool:
    """Whether values drop zeros at their ends; `steps_ns` is the unit of each one's last digit."""
    digits = np.unique(at_ns[steps_ns == full_ns]) // full_ns % 10
    counts = np.bincount(digits, minlength=10)
    several = np.count_nonzero(counts[1:]) >= _DIFFERENT
    return bool(digits.size >= _ENOUGH and counts[0] <= _FEW * digits.size and several)


def usual_steps(at_ns: Integers, steps_ns: Integers, full_ns: int) -> frozenset[int]:
    """The units of the last digit of several values, where nearly all have the same digits; else none."""
    full = at_ns[steps_ns == full_ns]
    kept = bool((full // full_ns % 10 == 0).any())
    if full.size < _FEWEST or full.size < _NEARLY_ALL * at_ns.size or not kept:
        return frozenset()
    steps, counts = np.unique(steps_ns, return_counts=True)
    return frozenset(steps[counts >= _SEVERAL].tolist())


def own_steps(at_ns: Integers, steps_ns: Integers, full_ns: int, *, drops: bool) -> Integers:
    """The unit of the last digit of those that are not complete, in the order of rows; of the others 0."""
    own: Integers = np.where(steps_ns > full_ns, steps_ns, 0)
    usual = [step for step in np.unique(own).tolist() if _FINE_NS < step < _S]
    usual = [step for step in usual if full_ns > _RARE * step]
    if drops and usual:
        dropped = np.ones(own.shape, dtype=bool)
        for size in _WINDOWS:
            for shift in (0, size // 2):
                window = (np.arange(own.size) + shift) // size
                dropped &= _explained(at_ns, steps_ns, full_ns, usual, window)
        own[dropped] = 0
    return own


def _explained(
    at_ns: Integers, steps_ns: Integers, full_ns: int, usual: list[int], window: Integers
) -> Flags:
    """Which values are written in one of the `usual` steps and not too many in their window."""
    once: Flags = np.append(True, at_ns[1:] != at_ns[:-1])
    windows = int(window[-1]) + 1
    rows = np.bincount(window[once], minlength=windows)
    zero = (steps_ns == full_ns) & (at_ns // full_ns % 10 == 0)
    usable = np.bincount(window[zero], minlength=windows) == 0
    found = np.zeros(at_ns.shape, dtype=bool)
    for step in usual:  # where there are too many of one, those of longer ones may be the same logger's
        short = np.bincount(window[once & (steps_ns >= step)], minlength=windows)
        most = np.array([_most_by_chance(count * full_ns / step) for count in range(int(rows.max()) + 1)])
        usable &= short <= most[rows]
        found |= (steps_ns == step) & usable[window]
    return found


@lru_cache(maxsize=1024)
def _most_by_chance(expected: float) -> int:
    """So many at most are explained where so many are expected (Poisson); at least one."""
    count, term = 1, expected * exp(-expected)
    more = 1 - exp(-expected) - term
    while more >= _CHANCE:
        count += 1
        term *= expected / count
        more -= term
    return count
