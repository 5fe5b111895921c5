"""In how many decimals a column of days is written: Excel's, MATLAB's or Julian ones, as texts or doubles.

Those decimals round the ones of a second: of 5 decimals (0.864 s) each stands for a second, whatever the
clock's tick was. So the column's step is that of the fewest decimals, where not so few rows have these that
chance explains it, by zeros at their ends that are dropped, or that they may be torn.

Assumption: among 20 and more texts, one in twenty that has fewer decimals is torn or another logger's, and
has the error of these alone.
"""

from __future__ import annotations

from math import ceil, exp, log10
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.stamps.numbers import DAY_NS

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Floats, Integers

_ENOUGH, _TORN = 20, 0.05
_CHANCE = 1e-3
_DECADES = 13


def day_step_ns(steps_ns: Integers, *, drops_zeros: bool) -> int:
    """The step of a column of days, ns, by the unit of each one's last digit.

    `drops_zeros`: each tenth is one digit short by chance, else all have the digits that were written.
    """
    if not steps_ns.size:
        return 1
    if steps_ns.size < _ENOUGH:
        return int(steps_ns.max())
    if not drops_zeros:
        return int(np.quantile(steps_ns, 1 - _TORN, method="higher"))
    return int(next(step for step in np.unique(steps_ns).tolist() if _explained(steps_ns, step)))


def rounding_ns(step_ns: int) -> int:
    """The decimals of a second that such a step of days may hide: the next power of ten, ns."""
    return int(10 ** len(str(step_ns - 1)))


def steps_of_doubles(days: Floats) -> Integers:
    """The unit of the last decimal of each double that is the nearest one to so few, ns, rounded up."""
    most = ceil(-log10(float(np.spacing(np.abs(days).max(initial=1)))))
    found = [_decimals(day, most) for day in days.tolist()]
    return np.array([-(-DAY_NS // 10**decimals) for decimals in found], dtype=np.int64)


def _decimals(day: float, most: int) -> int:
    """The fewest that are enough, `most` at most."""
    return next((count for count in range(most) if float(f"{day:.{count}f}") == day), most)


def _explained(steps_ns: Integers, step_ns: int) -> bool:
    """Whether no more steps are coarser, by one digit and more, than so many zeros at the end by chance."""
    coarser = [int((steps_ns > step_ns * 10**digits).sum()) for digits in range(_DECADES)]
    return all(
        count <= _most_by_chance(steps_ns.size / 10 ** (digits + 1)) for digits, count in enumerate(coarser)
    )


def _most_by_chance(expected: float) -> int:
    """So many at most are explained where so many are expected (Poisson)."""
    count, term = 0, exp(-expected)
    more = 1 - term
    while more >= _CHANCE:
        count += 1
        term *= expected / count
        more -= term
    return count
