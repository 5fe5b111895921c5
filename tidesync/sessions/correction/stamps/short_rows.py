"""Timestamps with fewer digits than the column's others: complete, with zeros dropped at their ends, or not.

A writer that drops zeros leaves each tenth value a digit short, and what it writes in full never ends in a
zero. A value one digit short is taken to be complete only where that is so: of many values written in full
next to none ends in a zero, none does among its neighbours, and among these no more are short than chance
explains. Any other has the resolution in which it is written itself: it may be a coarser logger's, or torn.
So has a whole second, which many programs write for events; one that lacks two digits or more, as that costs
one answer in a hundred; and one that still resolves 1 ms, as that costs none.

Where zeros are kept, so that nearly all values have the same digits, a shorter one may also lack characters
in its middle: then only its second is taken to be known, unless several have so few, as of another logger.

Assumption: among values that drop zeros a coarser logger's, of one digit less, are more than chance explains
(of 64 neighbours 13), or none; and none lacks characters in its middle, but for those that widths.py finds.
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
_ONE_DIGIT = 11
"""Times the unit of the last digit, which is rounded up: that of a value one digit short, at most."""
_WINDOWS = (8, 64)
_CHANCE = 0.03
_FEWEST, _NEARLY_ALL, _SEVERAL = 10, 0.9, 5
_SHARE, _OF_ANOTHER, _GROUPS_NS = 0.05, 100, (1_000, 1_000_000, _S)
"""Of a logger's steps: their share, or that they are two digits coarser and usual ones."""


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
    another = (steps >= _OF_ANOTHER * full_ns) & np.isin(steps, _GROUPS_NS)
    several = (counts >= _SEVERAL) & (another | (counts >= _SHARE * at_ns.size)) | (steps == full_ns)
    return frozenset(steps[several].tolist())


def own_steps(at_ns: Integers, steps_ns: Integers, full_ns: int, *, drops: bool) -> Integers:
    """The unit of the last digit of those that are not complete, in the order of rows; of the others 0."""
    own: Integers = np.where(steps_ns > full_ns, steps_ns, 0)
    short: Flags = (steps_ns > full_ns) & (steps_ns <= _ONE_DIGIT * full_ns)
    short &= (steps_ns > _FINE_NS) & (steps_ns < _S)
    if drops and short.any():
        dropped = short.copy()
        for size in _WINDOWS:
            for shift in (0, size // 2):
                window = (np.arange(own.size) + shift) // size
                dropped &= _explained(at_ns, steps_ns, full_ns, window)
        own[dropped] = 0
    return own


def _explained(at_ns: Integers, steps_ns: Integers, full_ns: int, window: Integers) -> Flags:
    """Which values have no more short ones in their window than drop zeros by chance."""
    once: Flags = np.append(True, at_ns[1:] != at_ns[:-1])
    windows = int(window[-1]) + 1
    rows = np.bincount(window[once], minlength=windows)
    zero = (steps_ns == full_ns) & (at_ns // full_ns % 10 == 0)
    usable = np.bincount(window[zero], minlength=windows) == 0
    short = np.bincount(window[once & (steps_ns > full_ns)], minlength=windows)
    most = np.array([_most_by_chance(count / 10) for count in range(int(rows.max()) + 1)])
    found: Flags = (usable & (short <= most[rows]))[window]
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
