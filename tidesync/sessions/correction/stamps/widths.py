"""How many digits a column's timestamps have where their writer fixes that: others lost or doubled some.

Fractions longer than those of nearly all timestamps, parts of a date with one digit where others are filled
up with zeros, and parts of a second (`sec,nsec`) with fewer digits than such are no timestamps. What is
shorter in its fraction is left to short_rows.py: it may be another logger's.

Assumption: a column's timestamps are those that were written. A digit that became another one is not found,
nor one that was lost or doubled where the writer itself does not fix their number (zeros dropped at the end
of fractions, none in front of `nsec`), as long as the rows stay in order (out_of_order).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.stamps.calendar import DATE, HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.stamps.readers import Parsed
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

_LEAST, _IN_ORDER, _FEWEST = 3, 0.9, 4


def few_of(count: int) -> int:
    """So many of `count` timestamps are few: one, a tenth up to four, or a fiftieth."""
    return max(1, min(4, count // 10), count // 50)


def most_digits(digits: Sequence[int]) -> int | None:
    """The most digits of fractions, where most have so many and few have more; None: any number."""
    if len(digits) < _LEAST:
        return None
    values, counts = np.unique(digits, return_counts=True)
    more = np.cumsum(counts[::-1])[::-1] - counts
    usual = int(np.argmax(counts))
    rest = len(digits) - int(more[usual])
    fixed = values[usual] > 0 and 0 < more[usual] <= few_of(len(digits)) and 2 * counts[usual] >= rest
    return int(values[usual]) if fixed else None


def padded_parts(found: Sequence[Parsed]) -> int:
    """The parts of dates that are filled up with zeros: more of them begin with one than have one digit."""
    padded = 0
    for part in (DATE, HOUR, MINUTE):
        zeros = sum(bool(each.padded & part) for each in found)
        padded |= part * (zeros > 2 * sum(bool(each.narrow & part) for each in found))
    return padded


def part_width(parts: Sequence[str]) -> int:
    """The digits of the second of two numbers, where it is filled up with zeros; else 0."""
    whole = [part.strip().partition(".")[0] for part in parts]
    lengths = [len(part) for part in whole if part.isdecimal()]
    if not lengths:
        return 0
    usual = int(np.bincount(lengths).argmax())
    zeros = sum(len(part) == usual > 1 and part[0] == "0" for part in whole)
    return usual if zeros > 2 * sum(length != usual for length in lengths) else 0


def out_of_order(at_ns: Integers, slack_ns: Integers, lengths: Integers) -> Flags:
    """Which timestamps have another length than most and do not fit between their neighbours that have it.

    `slack_ns` is how far each of them may be off. Only where those neighbours follow each other.
    """
    found = np.zeros(at_ns.shape, dtype=bool)
    odd = lengths != np.bincount(lengths).argmax() if lengths.size else found
    usual, rows = np.flatnonzero(~odd), np.flatnonzero(odd)
    steps = np.diff(at_ns[usual])
    if not rows.size or steps.size < _FEWEST:
        return found
    sign = 1 if 2 * (steps >= 0).sum() >= steps.size else -1
    follows = sign * steps >= 0
    if follows.mean() < _IN_ORDER:
        return found
    after = np.searchsorted(usual, rows)
    rows, after = (each[(after > 0) & (after < usual.size)] for each in (rows, after))
    first, last = sign * at_ns[usual[after - 1]], sign * at_ns[usual[after]]
    at, slack = sign * at_ns[rows], slack_ns[rows]
    found[rows] = follows[after - 1] & ((at < first - slack) | (at > last + slack))
    return found
