"""Fractions of a second that a logger wrote without zeros in front: `12:00:05.24` for 24 ms after 12:00:05.

They look like fractions whose zeros at the end were dropped. In a column of them no fraction begins with a
zero, but fractions of the full length end in zeros; those are read alike either way. Shorter ones are not
known then, and are no timestamps; nor is a row that was cut off there.

Assumption: in a column of fewer than 44 different fractions of which none ends in a zero, zeros at the end
were dropped. `--time-format` with %f (decimals), %3f (a count of ms) or %6f (of µs) states it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidesync.sessions.correction.stamps.readers import Parsed

_NANO, _S = 9, 1_000_000_000
_GROUPS = {3, 6, 9}
_ENOUGH = 44
"""Of so many fractions one begins with a zero, but for a chance of 1 in 100."""


def digits_of_fractions(found: Iterable[Parsed]) -> int:
    """How many digits a fraction has at least, 0 for any number: those that are shorter are not known."""
    fractions = {fraction for each in found if (fraction := _fraction(each))}
    lengths = {digits for _, digits in fractions}
    if len(lengths) < 2 or lengths <= _GROUPS:  # noqa: PLR2004 - one length is no choice
        return 0
    several = [(value, digits) for value, digits in fractions if digits > 1]
    if any(value < 10 ** (digits - 1) for value, digits in several):
        return 0
    return max(lengths) if len(several) >= _ENOUGH or any(value % 10 == 0 for value, _ in several) else 0


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
