"""Fractions of a second that a logger wrote without zeros in front: `12:00:05.24` for 24 ms after 12:00:05.

They look like fractions whose zeros at the end were dropped. In a column of them no fraction begins with a
zero, but fractions of the full length end in zeros; those are read alike either way. Shorter ones are not
known then, and are no timestamps. Where zeros were dropped it is the other way round. A column that shows
neither, as one of a few rows, leaves it open: only the second of a shorter fraction is known.

Where none has more than 1, 2, 5 or 8 digits or begins with a zero, it is open too: milliseconds of a sensor
that is read just after each second have two, and few loggers write 5 or 8. Two digits are decimals where
they range over 60 and more, one where all ten are seen about as often.

Assumption: a column's fractions are all written in one of these ways, and those of 1, 2, 4 or 7 digits that
are not open, or of 3, 6 and 9, are decimals; of the former the summary says so where none begins with a zero.
`--time-format` with %f (decimals), %3f (a count of ms) or %6f (of µs) states it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.stamps.short_rows import drops_zeros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.stamps.readers import Parsed

_NANO, _S = 9, 1_000_000_000
_GROUPS = {3, 6, 9}
_UNUSUAL, _ASSUMED = {1, 2, 5, 8}, {4, 7}
_TENTHS, _TENTH_SHARE, _WIDE = 10, 0.3, 60
_DEVIATIONS = 3


class Fractions(Enum):
    """What a shorter fraction is."""

    DECIMALS = 0
    UNCLEAR = 1
    """Decimals or a count."""
    COUNTS = 2
    ASSUMED = 3
    """Decimals by assumption alone."""


def kind_of_fractions(found: Sequence[Parsed]) -> tuple[Fractions, int]:
    """What the column shows that its shorter fractions are, and how many digits those have that are not."""
    fractions = {fraction for each in found if (fraction := _fraction(each))}
    lengths = {digits for _, digits in fractions}
    longest = max(lengths, default=0)
    shorter = sum(digits < longest for _, digits in fractions)
    several = [(value, digits) for value, digits in fractions if digits > 1]
    zeros_in_front = sum(value < 10 ** (digits - 1) for value, digits in several)
    if longest in _UNUSUAL | _ASSUMED and not zeros_in_front and not (longest == 1 and _are_tenths(found)):
        numbers = [value for value, _ in fractions]
        wide = longest == 2 and max(numbers) - min(numbers) >= _WIDE  # noqa: PLR2004 - digits
        if longest in _UNUSUAL and not wide:
            return Fractions.UNCLEAR, longest + 1
        if not shorter:
            return Fractions.ASSUMED, longest
    if not shorter or (lengths <= _GROUPS and shorter > 1) or _drops_zeros(found):
        return Fractions.DECIMALS, longest
    if zeros_in_front:
        expected = len(several) / 10
        usual = zeros_in_front > expected - _DEVIATIONS * expected**0.5
        return Fractions.DECIMALS if usual else Fractions.UNCLEAR, longest
    zeros_behind = any(value % 10 == 0 and digits == longest for value, digits in several)
    return Fractions.COUNTS if zeros_behind else Fractions.UNCLEAR, longest


def _are_tenths(found: Sequence[Parsed]) -> bool:
    """Whether each tenth of a second is seen about as often, as by a sensor read at any time."""
    counts = np.bincount([fraction[0] if (fraction := _fraction(each)) else 0 for each in found])
    return counts.size == _TENTHS and bool(counts.min() >= max(2, _TENTH_SHARE * counts.mean()))


def _drops_zeros(found: Sequence[Parsed]) -> bool:
    at_ns = np.array([each.at_ns for each in found], dtype=np.int64)
    steps_ns = np.array([min(each.step_ns, _S) for each in found], dtype=np.int64)
    return drops_zeros(at_ns, steps_ns, int(steps_ns.min()))


def digits_of(each: Parsed) -> int:
    """How many digits stand behind the second, 9 at most."""
    if each.number is not None:
        return min(max(each.number.places, 0), _NANO)
    return _NANO + 1 - len(str(each.step_ns)) if each.step_ns < _S else 0


def _fraction(each: Parsed) -> tuple[int, int] | None:
    """The digits behind the second as a number, and how many they are; None without any."""
    digits = digits_of(each)
    if not digits:
        return None
    if each.number is not None:
        return abs(each.number.digits) // 10 ** (each.number.places - digits) % 10**digits, digits
    return each.at_ns % _S // each.step_ns, digits
