"""Timestamps as numbers: what zero and one stand for, in ns, and exact decimal arithmetic.

Excel's serial days and MATLAB's datenum count days of a local clock; Julian dates are UTC. GPS time has no
leap seconds: 18 s ahead of UTC since 2017, the last that is known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Integers

S = 1_000_000_000
DAY_NS, WEEK_NS = 86_400 * S, 7 * 86_400 * S
NS_OF_UNIT = {"s": S, "ms": 1_000_000, "us": 1_000, "ns": 1}

_GPS_EPOCH_NS = 315_964_800 * S
_LEAP_DATES = (
    *("1981-07", "1982-07", "1983-07", "1985-07", "1988-01", "1990-01", "1991-01", "1992-07", "1993-07"),
    *("1994-07", "1996-01", "1997-07", "1999-01", "2006-01", "2009-01", "2012-07", "2015-07", "2017-01"),
)
_LEAPS_NS = np.array(_LEAP_DATES, dtype="datetime64[ns]").astype(np.int64)
"""UTC instants at which GPS time gets another second ahead of UTC."""
_LEAPS_AHEAD_NS = _LEAPS_NS + np.arange(_LEAPS_NS.size) * S
"""The same on a clock that has none of them."""

_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?", re.ASCII)
_MOST_DIGITS = 40
_FAR_NS = 2**62


@dataclass(frozen=True, slots=True)
class Scale:
    """What a column's numbers count: `unit_ns` for each one, `zero_ns` (Unix) at zero.

    `local`: on a local clock, so that the zone has to be known. `gps`: without leap seconds.
    `elapsed`: since an instant that is no clock's zero.
    """

    name: str
    unit_ns: int
    zero_ns: int = 0
    local: bool = False
    gps: bool = False
    elapsed: bool = False

    def unix_ns(self, count: Integers, part_ns: Integers | int = 0) -> Integers:
        """Unix ns (of the local clock) at `count` whole units and `part_ns` after it; arrays of one shape."""
        units, rest = divmod(self.zero_ns, self.unit_ns)
        found: Integers = (count + units) * self.unit_ns + (part_ns + rest)
        return self._with_leaps(found)

    def of_decimal(self, number: Decimal) -> int:
        """Unix ns (of the local clock) at a number, rounded down; any size."""
        return self.at(number.ns(self.unit_ns))

    def at(self, count_ns: int) -> int:
        """Unix ns (of the local clock) at a count in ns, of any size."""
        found = count_ns + self.zero_ns
        return int(self._with_leaps(np.array([found]))[0]) if self.gps and abs(found) < _FAR_NS else found

    def count_ns(self, unix_ns: Integers) -> list[int]:
        """The inverse, in ns; exact, except within the second of a leap."""
        if self.gps:
            unix_ns = unix_ns + np.searchsorted(_LEAPS_NS, unix_ns, side="right") * S
        return [each - self.zero_ns for each in unix_ns.tolist()]

    def _with_leaps(self, found: Integers) -> Integers:
        return found - np.searchsorted(_LEAPS_AHEAD_NS, found, side="right") * S if self.gps else found


UNIX = tuple(Scale(unit, ns) for unit, ns in NS_OF_UNIT.items())
_DAYS = {
    "excel": (("excel", -25_569 * DAY_NS, True), ("excel (1904)", -24_107 * DAY_NS, True)),
    "matlab": (("matlab", -719_529 * DAY_NS, True),),
    "julian": (
        ("julian", -2_440_587 * DAY_NS - DAY_NS // 2, False),
        ("julian (modified)", -40_587 * DAY_NS, False),
    ),
}
NAMED = {
    name: tuple(Scale(title, DAY_NS, zero, local) for title, zero, local in scales)
    for name, scales in _DAYS.items()
} | {"gps": tuple(Scale(f"gps {unit}", ns, _GPS_EPOCH_NS, gps=True) for unit, ns in NS_OF_UNIT.items())}

GPS_WEEKS = Scale("gps week", WEEK_NS, _GPS_EPOCH_NS, gps=True)


def since(zero_ns: int, unit: str | None) -> tuple[Scale, ...]:
    """The scales that count from an instant."""
    return tuple(
        Scale(f"{name} since", ns, zero_ns, elapsed=True)
        for name, ns in NS_OF_UNIT.items()
        if unit in {None, name}
    )


class Decimal(NamedTuple):
    """`digits` · 10^−`places`; `places` is negative where digits before the unit are not written."""

    digits: int
    places: int
    significant: int
    """How many digits are written, leading zeros apart."""

    @property
    def value(self) -> float:
        """The nearest double."""
        return float(f"{self.digits}e{-self.places}")

    @property
    def unit(self) -> Fraction:
        """The unit of its last digit."""
        return Fraction(10) ** -self.places

    def ns(self, unit_ns: int) -> int:
        """The number of `unit_ns` in ns, rounded down."""
        if self.places <= 0:
            return self.digits * unit_ns * _ten(-self.places)
        return self.digits * unit_ns // _ten(self.places)

    def step_ns(self, unit_ns: int) -> int:
        """The unit of its last digit in ns, rounded up."""
        return unit_ns * _ten(-self.places) if self.places <= 0 else -(-unit_ns // _ten(self.places))


def _ten(power: int) -> int:
    return int(10**power)


def decimal(text: str) -> Decimal | None:
    """The number that `text` is; None where it is none, or longer than any timestamp."""
    found = _NUMBER.fullmatch(text)
    if not found:
        return None
    sign, whole, fraction, exponent = found[1], found[2], found[3] or "", int(found[4] or 0)
    if not whole + fraction or len(whole + fraction) > _MOST_DIGITS or abs(exponent) > _MOST_DIGITS:
        return None
    digits = int(whole + fraction)
    return Decimal(-digits if sign == "-" else digits, len(fraction) - exponent, len(str(digits)))
