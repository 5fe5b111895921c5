"""Instants as text: ISO 8601 in UTC, or numbers on a scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.stamps.calendar import DAY_NS, S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tidesync.sessions.correction.stamps.numbers import Scale
    from topside_agent.estimator.blocks import Integers

_PAIRS = np.array([[tens + 48, ones + 48] for tens in range(10) for ones in range(10)], dtype=np.uint8)
_TEMPLATE = np.frombuffer(b"0000-00-00T00:00:00.000000000Z", dtype=np.uint8)
_MICROSECONDS = 1_000
_DAY_DIGITS = 11
"""Decimals of a day that resolve a microsecond."""


def write_iso(unix_ns: Integers, *, fine: bool, sign: bytes = b".") -> list[bytes]:
    """`2026-05-01T12:00:00.123456Z`: to the microsecond, or with nine decimals if `fine`."""
    return _rows(iso_block(unix_ns, fine=fine, sign=sign))


def iso_block(unix_ns: Integers, *, fine: bool, sign: bytes = b".") -> NDArray[np.uint8]:
    """The same as characters, shape (n, 27) or (n, 30)."""
    digits = 9 if fine else 6
    rounded = unix_ns if fine else (unix_ns + _MICROSECONDS // 2) // _MICROSECONDS * _MICROSECONDS
    day, of_day = np.divmod(rounded, DAY_NS)
    second, rest = np.divmod(of_day, S)
    text = np.empty((unix_ns.size, 21 + digits), dtype=np.uint8)
    text[:] = np.append(_TEMPLATE[: 20 + digits], _TEMPLATE[-1])
    text[:, 19] = sign[0]
    dates = day.astype("datetime64[D]")
    year = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    months = dates.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    of_month = (dates - months).astype(np.int64) + 1
    minute = second // 60
    for place, value in (
        (0, year // 100),
        (2, year % 100),
        (5, month),
        (8, of_month),
        (11, minute // 60),
        (14, minute % 60),
        (17, second % 60),
    ):
        text[:, place : place + 2] = _PAIRS[value]
    _fill(text[:, 20 : 20 + digits], rest // 10 ** (9 - digits))
    return text


def _fill(text: NDArray[np.uint8], values: Integers) -> None:
    """Write non-negative values right-aligned into all columns of `text`, two digits at a time."""
    place = text.shape[1]
    while place > 1:
        place -= 2
        values, pair = np.divmod(values, 100)
        text[:, place : place + 2] = _PAIRS[pair]
    if place:
        text[:, 0] = values + ord("0")


def write_numbers(unix_ns: Integers, scale: Scale, *, fine: bool, sign: bytes = b".") -> list[bytes]:
    """Numbers on `scale`, with decimals to the microsecond or the nanosecond."""
    places = _places(scale.unit_ns, fine=fine)
    step_ns, rest = divmod(scale.unit_ns, 10**places)
    if unix_ns.size and not (rest or scale.zero_ns or scale.gps) and unix_ns.min() >= 0:
        return _decimals((unix_ns + step_ns // 2) // step_ns, places, sign)
    found = []
    for count in scale.count_ns(unix_ns):
        steps = (2 * count * 10**places + scale.unit_ns) // (2 * scale.unit_ns)
        minus, steps = (b"-", -steps) if steps < 0 else (b"", steps)
        found.append(minus + _decimal(steps, places, sign))
    return found


def _decimals(steps: Integers, places: int, sign: bytes) -> list[bytes]:
    """Non-negative multiples of 10^−`places`; those of equal length at once."""
    digits = len(str(int(steps.max())))
    if digits <= places or len(str(int(steps.min()))) != digits:
        return [_decimal(each, places, sign) for each in steps.tolist()]
    text = np.empty((steps.size, digits + bool(places)), dtype=np.uint8)
    text[:, digits - places :] = sign[0]
    whole, part = np.divmod(steps, 10**places)
    _fill(text[:, : digits - places], whole)
    _fill(text[:, digits - places + 1 :], part)
    return _rows(text)


def _decimal(steps: int, places: int, sign: bytes) -> bytes:
    whole, part = divmod(steps, 10**places)
    return b"%d%s%0*d" % (whole, sign, places, part) if places else b"%d" % whole


def _rows(text: NDArray[np.uint8]) -> list[bytes]:
    found: list[bytes] = text.view(f"S{text.shape[1]}").ravel().tolist() if text.size else []
    return found


def _places(unit_ns: int, *, fine: bool) -> int:
    """How many decimals resolve a microsecond (or a nanosecond)."""
    places, least = 0, 1 if fine else _MICROSECONDS
    while unit_ns > least * 10**places:
        places += 1
    return places
