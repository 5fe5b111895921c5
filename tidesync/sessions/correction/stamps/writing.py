"""Instants as text: ISO 8601 in UTC, or numbers on a scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tidesync.sessions.correction.stamps.calendar import S

if TYPE_CHECKING:
    from tidesync.sessions.correction.stamps.numbers import Scale
    from topside_agent.estimator.blocks import Integers

Texts = NDArray[np.bytes_]

_PAIRS = np.array([[tens + 48, ones + 48] for tens in range(10) for ones in range(10)], dtype=np.uint8)
_MICROSECONDS = 1_000


def write_iso(unix_ns: Integers, *, fine: bool, sign: bytes = b".") -> Texts:
    """`2026-05-01T12:00:00.123456Z`: to the microsecond, or with nine decimals if `fine`."""
    return _rows(iso_block(unix_ns, fine=fine, sign=sign))


def iso_block(unix_ns: Integers, *, fine: bool, sign: bytes = b".") -> NDArray[np.uint8]:
    """The same as characters, shape (n, 27) or (n, 30)."""
    digits = 9 if fine else 6
    rounded = unix_ns if fine else (unix_ns + _MICROSECONDS // 2) // _MICROSECONDS * _MICROSECONDS
    second, rest = np.divmod(rounded, S)
    text = np.empty((unix_ns.size, 21 + digits), dtype=np.uint8)
    text[:, :19] = _seconds(second)
    text[:, 19] = sign[0]
    text[:, -1] = ord("Z")
    _fill(text[:, 20 : 20 + digits], rest // 10 ** (9 - digits))
    return text


def _seconds(second: Integers) -> NDArray[np.uint8]:
    """Unix seconds as `2026-05-01T12:00:00`; those from the first to the last are made once, if fewer."""
    if second.size:
        first, last = int(second.min()), int(second.max())
        if last - first < second.size:
            found: NDArray[np.uint8] = _seconds_of(np.arange(first, last + 1))[second - first]
            return found
    return _seconds_of(second)


def _seconds_of(second: Integers) -> NDArray[np.uint8]:
    text = np.datetime_as_string(second.astype("datetime64[s]"), unit="s").astype("S19")
    return text.view(np.uint8).reshape(-1, 19)


def _fill(text: NDArray[np.uint8], values: Integers) -> None:
    """Write non-negative values right-aligned into all columns of `text`, two digits at a time."""
    place = text.shape[1]
    while place > 1:
        place -= 2
        values, pair = np.divmod(values, 100)
        text[:, place : place + 2] = _PAIRS[pair]
    if place:
        text[:, 0] = values + ord("0")


def write_numbers(unix_ns: Integers, scale: Scale, *, fine: bool, sign: bytes = b".") -> Texts:
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
    return np.array(found, dtype=bytes)


def _decimals(steps: Integers, places: int, sign: bytes) -> Texts:
    """Non-negative multiples of 10^−`places`; those of equal length at once."""
    digits = len(str(int(steps.max())))
    if digits <= places or len(str(int(steps.min()))) != digits:
        return np.array([_decimal(each, places, sign) for each in steps.tolist()], dtype=bytes)
    text = np.empty((steps.size, digits + bool(places)), dtype=np.uint8)
    text[:, digits - places :] = sign[0]
    whole, part = np.divmod(steps, 10**places)
    _fill(text[:, : digits - places], whole)
    _fill(text[:, digits - places + 1 :], part)
    return _rows(text)


def _decimal(steps: int, places: int, sign: bytes) -> bytes:
    whole, part = divmod(steps, 10**places)
    return b"%d%s%0*d" % (whole, sign, places, part) if places else b"%d" % whole


def _rows(text: NDArray[np.uint8]) -> Texts:
    found: Texts = text.view(f"S{text.shape[1]}").ravel()
    return found


def _places(unit_ns: int, *, fine: bool) -> int:
    """How many decimals resolve a microsecond (or a nanosecond)."""
    places, least = 0, 1 if fine else _MICROSECONDS
    while unit_ns > least * 10**places:
        places += 1
    return places
