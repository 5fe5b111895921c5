"""Single values of a column that are written more coarsely than its others: a second logger's, or events'.

A value is taken to be coarser where next to none is a multiple of such a step by chance (whole seconds among
µs), or where of 64 neighbours more are than chance explains. Coarser ones among those are found likewise.
More than a minute needs two different multiples: a single full hour is no evidence of a logger of hours.

Assumption: a few coarse values among 64 are not noticed where one in a thousand or more is a multiple by
chance (whole seconds among ms).
"""

from __future__ import annotations

from math import lgamma, log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Floats, Integers

    AreMultiples = Callable[[Integers, int], Flags]

_WINDOW = 64
_CHANCE, _CHANCE_AMONG_COARSE = log(1e-8), log(1e-3)
_LOG_FACTORIAL = np.array([lgamma(count + 1) for count in range(_WINDOW + 1)])
_RARE, _RARE_OF_ALL = 1e-6, 1e-3
_NEARLY_ALL = 0.9
_MINUTE_NS = 60_000_000_000


def coarser_steps(
    at_ns: Integers, steps: Sequence[int], share_of: Callable[[int], float], are_multiples: AreMultiples
) -> Integers:
    """Each value's coarser step of `steps` (rising, the first ones decimal), ns; 0 where it has none.

    `share_of` a step is how many values are multiples of it by chance; 1: as it is written all are.
    """
    both = (_in_windows(at_ns, steps, share_of, are_multiples, shift=shift) for shift in (0, _WINDOW // 2))
    found: Integers = np.maximum(*both)
    return found


def _in_windows(
    at_ns: Integers,
    steps: Sequence[int],
    share_of: Callable[[int], float],
    are_multiples: AreMultiples,
    *,
    shift: int,
) -> Integers:
    """The same by windows of 64 values each, the first of which has `shift` less."""
    found = np.zeros(at_ns.size, dtype=np.int64)
    once: Flags = np.append(True, at_ns[1:] != at_ns[:-1])[: at_ns.size]
    windows = -(-(at_ns.size + shift) // _WINDOW)
    explained, explained_ns = np.zeros(windows), np.zeros(windows)
    rare, rows = max(_RARE, _RARE_OF_ALL / max(at_ns.size, 1)), np.arange(at_ns.size)
    for step in steps:
        share = share_of(step)
        multiples = rows[are_multiples(at_ns[rows], step)] if share < 1 else rows
        if share >= 1 or not multiples.size:
            continue
        if step > _MINUTE_NS and (at_ns[multiples] == at_ns[multiples[0]]).all():
            continue
        rows = multiples if _is_decimal(step) else rows  # of ten times the step none are others
        window = (multiples + shift) // _WINDOW
        counts = np.bincount(window[once[multiples]], minlength=windows)
        known = explained > 0
        expected = np.where(known, explained * explained_ns / step, _WINDOW * share)
        coarse = _are_unlikely(counts, expected, known) | (known & (counts >= _NEARLY_ALL * explained))
        coarse |= ~known & (counts > 0) & (share <= rare)
        explained[coarse], explained_ns[coarse] = counts[coarse], step
        found[multiples[coarse[window]]] = step
    return found


def _is_decimal(step: int) -> bool:
    return str(step).strip("0") == "1"


def _are_unlikely(counts: Integers, expected: Floats, known: Flags) -> Flags:
    """Which counts are more than chance explains (Poisson), or less of them among `known` ones."""
    chance = counts * np.log(np.maximum(expected, 1e-300)) - _LOG_FACTORIAL[np.minimum(counts, _WINDOW)]
    found: Flags = (counts > expected) & (chance <= np.where(known, _CHANCE_AMONG_COARSE, _CHANCE))
    return found
