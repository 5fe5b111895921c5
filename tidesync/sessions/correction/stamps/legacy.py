"""Timestamps as text: ISO 8601, or Unix seconds, ms, µs or ns; read exactly, written in the same form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import TYPE_CHECKING

import numpy as np

from schemas.instants import ns_from_utc, utc_from_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

NS_OF_UNIT = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
ISO = "iso"
UNITS = (ISO, *NS_OF_UNIT)

EARLIEST_NS, LATEST_NS = -(2**61), 2**62
"""1896 to 2116: values outside are no timestamps, and differences fit 64 bits."""

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:[.,](\d+))?\s?(Z|z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_MICROSECONDS = 6
_DECIMALS_OF_US = {"s": 6, "ms": 3, "us": 0, "ns": -3}
_LONGEST = 64
_MOST_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a column's timestamps; `fine` if they have more digits than microseconds."""

    unit: str
    fine: bool = False

    @property
    def step_ns(self) -> int:
        """Written timestamps are rounded to a multiple of this."""
        return 1 if self.fine else 1_000


class StampReader:
    """Reads one column. `unit` is one of UNITS, or None: recognised at the first value that is a timestamp.

    A number is taken in the unit that brings it nearest to `near_ns`, an instant of the same clock. ISO
    without a zone is UTC.
    """

    def __init__(self, unit: str | None, near_ns: int) -> None:
        self._unit, self._near_ns = unit, near_ns
        self._second = ("", 0)
        self.form: Form | None = None

    def read(self, text: str) -> int | None:
        """Unix ns, or None where `text` is no timestamp of the column's form."""
        text = text.strip()
        if len(text) > _LONGEST:
            return None
        if self.form is None:
            self.form = self._recognised(text)
            if self.form is None:
                return None
        found = self._iso(text) if self.form.unit == ISO else _count(text, self.form.unit)
        return found if found is not None and EARLIEST_NS <= found <= LATEST_NS else None

    def _recognised(self, text: str) -> Form | None:
        iso = _ISO.fullmatch(text)
        if iso and self._unit in {None, ISO}:
            return Form(ISO, fine=len(iso[2] or "") > _MICROSECONDS) if self._iso(text) is not None else None
        unit = self._unit or _nearest(text, self._near_ns)
        if unit in {None, ISO} or not _NUMBER.fullmatch(text):
            return None
        return Form(str(unit), fine=_decimals(text) > _DECIMALS_OF_US[str(unit)])

    def _iso(self, text: str) -> int | None:
        found = _ISO.fullmatch(text)
        if not found:
            return None
        whole, fraction, zone = found[1], found[2] or "", (found[3] or "Z").upper()
        if self._second[0] != whole + zone:  # consecutive rows often share their second
            try:
                self._second = whole + zone, ns_from_utc(datetime.fromisoformat(whole + zone))
            except ValueError:
                return None
        return self._second[1] + int(fraction[:9].ljust(9, "0"))


class StampWriter:
    """Writes instants in the column's own form, to the microsecond or the nanosecond."""

    def __init__(self, form: Form) -> None:
        self._form, self.step_ns = form, form.step_ns
        self._second: tuple[int | None, str] = (None, "")

    def write(self, unix_ns: int) -> str:
        """`unix_ns` rounded to the form's step: ISO in UTC with Z, or the same unit with its decimals."""
        unix_ns += self.step_ns // 2
        if self._form.unit != ISO:
            return self._count(unix_ns)
        second, rest = divmod(unix_ns, 1_000_000_000)
        if self._second[0] != second:
            self._second = second, f"{utc_from_ns(second * 1_000_000_000):%Y-%m-%dT%H:%M:%S}"
        return (
            f"{self._second[1]}.{rest:09d}Z" if self._form.fine else f"{self._second[1]}.{rest // 1000:06d}Z"
        )

    def _count(self, unix_ns: int) -> str:
        digits = _DECIMALS_OF_US[self._form.unit] + (3 if self._form.fine else 0)
        steps = unix_ns // self.step_ns
        sign, steps = "-" if steps < 0 else "", abs(steps)
        if not digits:
            return f"{sign}{steps}"
        whole, rest = divmod(steps, 10**digits)
        return f"{sign}{whole}.{rest:0{digits}d}"


def _count(text: str, unit: str) -> int | None:
    """A decimal number of `unit` in ns, exact; digits finer than a nanosecond are dropped."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if value.adjusted() > _MOST_DIGITS:
        return None
    return int((value * NS_OF_UNIT[unit]).to_integral_value(ROUND_FLOOR))


def _nearest(text: str, near_ns: int) -> str | None:
    """The unit in which `text` comes nearest to `near_ns`."""
    counts = {unit: _count(text, unit) for unit in NS_OF_UNIT}
    apart = {unit: abs(count - near_ns) for unit, count in counts.items() if count is not None}
    return min(apart, key=lambda unit: apart[unit]) if apart else None


def _decimals(text: str) -> int:
    """How many decimals are written."""
    return len(text.partition(".")[2]) if "e" not in text.lower() else 0


def milliseconds_up(error_ns: int) -> str:
    """`error_ns` in ms with three decimals, rounded up: a bound stays a bound."""
    whole, rest = divmod(-(-error_ns // 1000), 1000)
    return f"{whole}.{rest:03d}"


def stamp_arrays(stamps: Sequence[int | None]) -> tuple[Integers, Flags]:
    """Unix ns as int64, 0 for None, and which are not None."""
    unix_ns = np.array([0 if stamp is None else stamp for stamp in stamps], dtype=np.int64)
    return unix_ns, np.array([stamp is not None for stamp in stamps], dtype=bool)
