"""What a column's values would be in one form, and how finely they would be written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.stamps.day_steps import day_step_ns, rounding_ns, steps_of_doubles
from tidesync.sessions.correction.stamps.fractions import Fractions, digits_of, kind_of_fractions
from tidesync.sessions.correction.stamps.numbers import DAY_NS, NS_OF_UNIT, S
from tidesync.sessions.correction.stamps.readers import (
    ANY_DIGITS,
    EARLIEST_NS,
    FLOAT_DIGITS,
    LATEST_NS,
    CalendarReader,
    NumberReader,
    is_longer,
)
from tidesync.sessions.correction.stamps.resolution import Writing
from tidesync.sessions.correction.stamps.short_rows import drops_zeros, usual_steps
from tidesync.sessions.correction.stamps.widths import most_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.stamps.numbers import Decimal, Scale
    from tidesync.sessions.correction.stamps.readers import Parsed, Reader
    from tidesync.sessions.correction.stamps.session_span import SessionSpan
    from tidesync.sessions.correction.stamps.zones import Zone
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Floats, Integers

_DOUBLE_BYTES = 8
_MONTH_NS = 30 * DAY_NS


@dataclass(frozen=True, slots=True)
class Candidate:
    """The values that are instants in one form; the arrays have one entry for each."""

    reader: Reader
    scale: Scale | None
    """On which instants are written; None: as ISO 8601."""
    at_ns: Integers
    """Unix ns on the column's own clock."""
    fixed: Flags
    """Which are UTC."""
    step_ns: Integers
    """The unit of the last digit of each."""
    numbers: Floats | None
    """As they are written, where they are numbers."""
    noise_ns: int
    """How far a binary representation may be from the number that it stands for."""
    within: int
    """How many lie within the session, in the zone that suits most."""
    fractions: Fractions = Fractions.DECIMALS
    length: int = 0
    """How many digits fractions have in full; where they are UNCLEAR, those of fewer may lack zeros."""

    digits: Integers | None = None
    """How many digits each one's fraction has; or the second number of two."""
    since_ns: Integers | None = None
    """The instants that the values are elapsed since, of their own rows, and the units of the last digits."""
    since_step_ns: Integers | None = None

    @property
    def unclear(self) -> int:
        """Fractions of fewer digits may lack zeros in front or at their ends; 0: none do."""
        return self.length if self.fractions == Fractions.UNCLEAR else 0

    @property
    def count(self) -> int:
        """How many values are instants."""
        return self.at_ns.size

    def resolution(self, zone: Zone | None, span: SessionSpan) -> tuple[Writing, int]:
        """How the column is written and what it resolves, by the values within the session if any are."""
        utc_ns = self.utc_ns(zone)
        decides = span.within(utc_ns)
        if not decides.any():
            decides = span.near(utc_ns, _MONTH_NS)
        if not decides.any():
            decides[:] = True
        step_ns = int(self.step_ns[decides].min(initial=LATEST_NS)) if decides.size else 1
        scale = self.reader.scale if isinstance(self.reader, NumberReader) else None
        unit_ns = scale.unit_ns if scale else 0
        drops, noise_ns = drops_zeros(self.at_ns[decides], self.step_ns[decides], step_ns), self.noise_ns
        if unit_ns == DAY_NS:
            step_ns = day_step_ns(self.step_ns[decides], drops_zeros=drops or noise_ns > 0)
            noise_ns = max(noise_ns, rounding_ns(step_ns))
        written = self.at_ns[decides], self.step_ns[decides], step_ns
        one_ns = unit_ns or S
        unclear = range(one_ns // 10**self.unclear + 1, one_ns) if self.unclear else range(0)
        writing = Writing(
            step_ns,
            noise_ns,
            unit_ns,
            zero_ns=scale.zero_ns if scale and scale.elapsed else 0,
            anchor_ns=0
            if self.since_step_ns is None
            else int(self.since_step_ns[decides].min(initial=LATEST_NS)),
            drops_zeros=drops,
            usual_steps=usual_steps(*written),
            varies=self._varies(decides),
            unclear_ns=unclear,
        )
        counted = self.at_ns[decides] if self.since_ns is None else (self.at_ns - self.since_ns)[decides]
        numbers = None if self.numbers is None else self.numbers[decides]
        complete = self.step_ns[decides] <= step_ns
        return writing.with_shared(counted), writing.resolution_ns(counted, numbers, complete)

    def _varies(self, decides: Flags) -> bool:
        """Whether a value may have any number of digits: zeros are dropped, or there are none in front."""
        if self.digits is None or np.unique(self.digits[decides]).size < 2:  # noqa: PLR2004 - two lengths
            return False
        steps_ns = self.step_ns[decides]
        counts = bool((steps_ns == steps_ns[0]).all())
        return counts or not usual_steps(self.at_ns[decides], steps_ns, int(steps_ns.min()))

    def utc_ns(self, zone: Zone | None) -> Integers:
        """The instants in UTC, those that are not `fixed` in `zone`."""
        if zone is None:
            return self.at_ns
        found: Integers = np.where(self.fixed, self.at_ns, zone.utc(self.at_ns).utc_ns)
        return found

    def numbers_within(self, scale: Scale, span: SessionSpan) -> int:
        """How many would lie within the session on another scale, in the zone that suits most."""
        if self.numbers is None:
            return 0
        at_ns, readable = instants_of(scale, self.numbers)
        return _within(at_ns[readable], np.full(int(readable.sum()), not scale.local), span)


def of_texts(reader: Reader, scale: Scale | None, values: Sequence[str], span: SessionSpan) -> Candidate:
    """The candidate of a column of texts."""
    reader, parsed, kind, length = _with_whole_fractions(reader, _parsed(reader, values), span)
    at_ns = np.array([each.at_ns for each in parsed], dtype=np.int64)
    fixed = np.array([each.fixed for each in parsed], dtype=bool)
    step_ns = np.array([min(each.step_ns, LATEST_NS) for each in parsed], dtype=np.int64)
    numbers, noise_ns = None, 0
    if isinstance(reader, NumberReader):
        decimals = [each.number for each in parsed if each.number]
        numbers = np.array([each.value for each in decimals], dtype=np.float64)
        noise_ns = spacing_ns(numbers, reader.scale) if _are_doubles(decimals, numbers) else 0
        if noise_ns and reader.scale.unit_ns == DAY_NS:
            step_ns = steps_of_doubles(numbers)
    within = _within(at_ns, fixed, span)
    digits = np.array([each.digits for each in parsed], dtype=np.int64)
    found = Candidate(reader, scale, at_ns, fixed, step_ns, numbers, noise_ns, within, kind, length, digits)
    since_ns = np.array([each.since_ns for each in parsed], dtype=np.int64)
    since_step_ns = np.array([each.since_step_ns for each in parsed], dtype=np.int64)
    return replace(found, since_ns=since_ns, since_step_ns=since_step_ns) if since_step_ns.any() else found


def _parsed(reader: Reader, values: Sequence[str]) -> list[Parsed]:
    return [each for each in map(reader.parse, values) if each and EARLIEST_NS <= each.at_ns <= LATEST_NS]


def _with_whole_fractions(
    reader: Reader, parsed: list[Parsed], span: SessionSpan
) -> tuple[Reader, list[Parsed], Fractions, int]:
    """Without those whose fraction is not known; and what fractions are, and their full length."""
    if isinstance(reader, NumberReader) and reader.scale.unit_ns not in NS_OF_UNIT.values():
        return reader, parsed, Fractions.DECIMALS, 0
    if not isinstance(reader, NumberReader | CalendarReader) or reader.digits == ANY_DIGITS:
        return reader, parsed, Fractions.DECIMALS, 0
    near = span.near(np.array([each.at_ns for each in parsed], dtype=np.int64), DAY_NS)
    decide = [*compress(parsed, near.tolist())] or parsed
    most = most_digits([each.digits for each in decide])
    reader = replace(reader, most_digits=most)
    parsed, decide = (
        [each for each in some if not is_longer(each.digits, most)] for some in (parsed, decide)
    )
    kind, digits = kind_of_fractions(decide)
    if kind == Fractions.COUNTS and not (isinstance(reader, NumberReader) and reader.scale.unit_ns != S):
        known = [each for each in parsed if digits_of(each) in {0, digits}]
        return replace(reader, digits=digits), known, kind, digits
    return reader, parsed, Fractions.UNCLEAR if kind == Fractions.COUNTS else kind, digits


def _are_doubles(decimals: Sequence[Decimal], numbers: Floats) -> bool:
    """Whether numbers with more digits than a double holds are doubles, as far as their digits show."""
    finer = [
        (decimal, number)
        for decimal, number in zip(decimals, numbers.tolist(), strict=True)
        if decimal.significant >= FLOAT_DIGITS and decimal.unit < np.spacing(abs(number))
    ]
    return bool(finer) and all(
        2 * abs(Fraction(number) - Fraction(decimal.digits) * decimal.unit) <= decimal.unit
        for decimal, number in finer
    )


def of_numbers(scale: Scale, values: Integers | Floats, span: SessionSpan) -> Candidate:
    """The candidate of a column of numbers; float32 as it is."""
    at_ns, readable = instants_of(scale, values)
    at_ns, of_column = at_ns[readable], values[readable]
    whole = values.dtype.kind != "f"
    noise_ns = 0 if whole else spacing_ns(of_column, scale)
    step_ns = np.full(at_ns.shape, scale.unit_ns if whole else 1, dtype=np.int64)
    fixed = np.full(at_ns.shape, not scale.local)
    single = not whole and of_column.dtype.itemsize < _DOUBLE_BYTES  # its step is the noise
    numbers = None if single else of_column.astype(np.float64)
    if numbers is not None and not whole and scale.unit_ns == DAY_NS:
        step_ns = steps_of_doubles(numbers)
    reader, within = NumberReader(scale), _within(at_ns, fixed, span)
    return Candidate(reader, scale, at_ns, fixed, step_ns, numbers, noise_ns, within)


def instants_of(scale: Scale, values: Integers | Floats) -> tuple[Integers, Flags]:
    """Unix ns on the column's clock, and which values are instants at all."""
    with np.errstate(invalid="ignore", over="ignore"):
        about = values.astype(np.float64) * float(scale.unit_ns) + float(scale.zero_ns)
        readable = np.isfinite(about) & (about >= EARLIEST_NS) & (about <= LATEST_NS)
    usual = np.where(readable, values, 0)
    if values.dtype.kind != "f":
        return scale.unix_ns(usual.astype(np.int64)), readable
    exact = usual.astype(np.float64)
    whole = np.floor(exact)
    part_ns = np.rint((exact - whole) * scale.unit_ns).astype(np.int64)
    return scale.unix_ns(whole.astype(np.int64), part_ns), readable


def spacing_ns(numbers: Integers | Floats, scale: Scale) -> int:
    """The distance of neighbouring floats at the greatest of `numbers`, rounded up."""
    greatest = np.abs(numbers).max(initial=0)
    return int(np.ceil(float(np.spacing(greatest)) * scale.unit_ns))


def _within(at_ns: Integers, fixed: Flags, span: SessionSpan) -> int:
    local = at_ns[~fixed]
    found = int(span.within(at_ns[fixed]).sum())
    return found + (int(span.by_zone(local).max()) if local.size else 0)
