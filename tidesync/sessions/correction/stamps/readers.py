"""One text of a column as an instant: dates with a time of day, numbers, two numbers, elapsed times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tidesync.sessions.correction.stamps.calendar import S as SECOND_NS
from tidesync.sessions.correction.stamps.calendar import written
from tidesync.sessions.correction.stamps.numbers import Decimal, Scale, decimal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.stamps.calendar import Written

EARLIEST_NS, LATEST_NS = -(2**61), 2**62
"""1896 to 2116: values outside are no timestamps, and differences fit 64 bits."""

_LONGEST = 96
ANY_DIGITS = -1
_DOUBLED = 2
FLOAT_DIGITS = 16
"""A number with so many significant digits may be printed from a double."""


class Parsed(NamedTuple):
    """One text's instant, and how finely it is written."""

    at_ns: int
    """Unix ns; on the column's own clock unless `fixed`."""
    fixed: bool
    """Whether the text itself or the form says how far it is from UTC."""
    step_ns: int
    """The unit of the last digit."""
    twelve: bool = False
    number: Decimal | None = None
    """What is written, where it is a number."""
    zone_digits: int = 0
    digits: int = 0
    """How many its fraction has; of two numbers the second."""
    narrow: int = 0
    """As in calendar.py's Written."""
    padded: int = 0
    since_ns: int = 0
    """The instant in the row that it is elapsed since; `step_ns` is that of the time elapsed alone."""
    since_step_ns: int = 0


def is_longer(digits: int, most: int | None) -> bool:
    """Whether a fraction has one or two digits more than `most`."""
    return most is not None and most < digits <= most + _DOUBLED


class Reader(Protocol):
    """Reads texts of one form; they are stripped."""

    def parse(self, text: str) -> Parsed | None:
        """None where `text` is no instant of this form."""


@dataclass(frozen=True, slots=True)
class CalendarReader:
    """A date and a time of day by the first of the patterns that matches; see calendar.py."""

    patterns: Sequence[re.Pattern[str]]
    twelve: bool = False
    """Whether texts without AM or PM are refused."""
    seconds: bool = False
    """Whether texts without seconds are refused: they may be torn."""
    digits: int = 0
    """Texts with a fraction of fewer digits are refused, see fractions.py; ANY_DIGITS: that is stated."""
    most_digits: int | None = None
    """Texts with a fraction of one or two digits more are refused, see widths.py."""
    zone_digits: int = 0
    """Texts whose zone has digits, but not so many, are refused: they may be torn (`+05` of `+05:30`)."""
    padded: int = 0
    """Texts are refused that have a single digit where others have a zero in front; see calendar.py."""

    def parse(self, text: str) -> Parsed | None:
        """The instant of `text`."""
        if len(text) > _LONGEST:
            return None
        for pattern in self.patterns:
            match = pattern.fullmatch(text)
            found = written(match) if match else None
            if found is not None:
                if self._refuses(found):
                    return None
                at_ns, fixed = found.local_ns - (found.east_ns or 0), found.east_ns is not None
                return Parsed(at_ns, fixed, found.step_ns, found.twelve, None, *found[4:])
        return None

    def _refuses(self, found: Written) -> bool:
        """Whether a text lacks what the column's others have."""
        return bool(
            (self.twelve and not found.twelve)
            or (self.seconds and found.step_ns > SECOND_NS)
            or (self.digits > 0 and SECOND_NS > found.step_ns > SECOND_NS // 10**self.digits)
            or (self.zone_digits and found.zone_digits not in {0, self.zone_digits})
            or found.narrow & self.padded
            or is_longer(found.digits, self.most_digits)
        )


@dataclass(frozen=True, slots=True)
class NumberReader:
    """A number on a scale."""

    scale: Scale
    comma: bool = False
    """Whether the decimal sign is a comma."""
    digits: int = 0
    """Numbers with a fraction of fewer digits are refused, see fractions.py."""
    most_digits: int | None = None
    """Numbers with a fraction of one or two digits more are refused, see widths.py."""

    def parse(self, text: str) -> Parsed | None:
        """The instant of `text`."""
        number = decimal(text.replace(",", ".") if self.comma else text) if len(text) <= _LONGEST else None
        if number is None or 0 < number.places < self.digits:
            return None
        if is_longer(number.places, self.most_digits):
            return None
        at_ns, step_ns = self.scale.of_decimal(number), number.step_ns(self.scale.unit_ns)
        return Parsed(at_ns, not self.scale.local, step_ns, number=number, digits=max(number.places, 0))


@dataclass(frozen=True, slots=True)
class PairReader:
    """Two numbers with a space between: whole units, and a part of `part_ns` each; or GPS weeks and time."""

    scale: Scale
    part_ns: int
    width: int = 0
    """Parts with another number of digits before the decimal sign are refused, see widths.py; 0: none."""

    def parse(self, text: str) -> Parsed | None:
        """The instant of `text`."""
        whole, _, part = text.partition(" ")
        first, second = decimal(whole.strip()), decimal(part.strip())
        if first is None or second is None or first.places > 0 or len(text) > _LONGEST:
            return None
        if not 0 <= second.ns(self.part_ns) < self.scale.unit_ns:
            return None
        digits = len(part.strip().lstrip("+").partition(".")[0])
        if self.width and digits != self.width:
            return None
        count_ns = first.ns(self.scale.unit_ns) + second.ns(self.part_ns)
        return Parsed(
            self.scale.at(count_ns), fixed=True, step_ns=second.step_ns(self.part_ns), digits=digits
        )


@dataclass(frozen=True, slots=True)
class AnchoredReader:
    """An anchor and the time elapsed since it, with a space between; a blank anchor is the `usual` one."""

    anchors: Reader
    unit: Scale
    comma: bool = False
    usual: Parsed | None = None

    def parse(self, text: str) -> Parsed | None:
        """The instant of `text`; on the anchor's clock."""
        anchor, _, elapsed = text.rpartition(" ")
        number = decimal(elapsed.replace(",", ".") if self.comma else elapsed)
        since = self.anchors.parse(anchor.strip()) if anchor.strip() else self.usual
        if number is None or since is None:
            return None
        return Parsed(
            since.at_ns + number.ns(self.unit.unit_ns),
            since.fixed,
            number.step_ns(self.unit.unit_ns),
            since_ns=since.at_ns,
            since_step_ns=since.step_ns,
        )
