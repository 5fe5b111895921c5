"""A result whose numbers alone differ from those of the one before, read without decoding all of it; pure.

Of a thousand results a second nearly all have the words of the last one, and to decode and check a result
costs as much as all else that is done with it. The pattern takes what `OffsetResult.encode` writes and the
model accepts: each number is as JSON has it and within the model's limits, and what stands between the
numbers has to be, byte for byte, what it was in a result that the model has accepted. All else is decoded.
"""

from __future__ import annotations

import re
from itertools import groupby
from math import nan
from typing import TYPE_CHECKING, NamedTuple

from schemas.messages import OffsetResult

if TYPE_CHECKING:
    from collections.abc import Iterator

_MATCHED = {
    **dict.fromkeys(
        ("offset_ms", "lower_ms", "upper_ms", "drift_ppm"), rb"(null|-?(?:0|[1-9][0-9]{0,11})\.[0-9]{1,30})"
    ),
    **dict.fromkeys(
        ("max_error_ms", "u95_ms", "precision_ms", "drift_error_ppm", "delay_min_ms"),
        rb"(null|(?:0|[1-9][0-9]{0,11})\.[0-9]{1,30})",
    ),
    **dict.fromkeys(("exchanges", "rejected"), rb"(0|[1-9][0-9]{0,14})"),
    "measured_unix_ms": rb"([1-8][0-9]{0,12})",
    "age_s": rb"((?:0|[1-9][0-9]{0,8})\.[0-9]{1,30})",
}
"""What may change, each a group; the limits are a little narrower than the model's."""
_MINUTE = rb'"[-0-9T:]{17}'
_SECOND = rb'[0-5][0-9]\.[0-9]{6}Z"'
"""Of `measured_at`: the date and the minute belong to the words."""
_WORD = rb"[^,]*"
LISTED = (
    "offset_ms",
    "lower_ms",
    "upper_ms",
    "max_error_ms",
    "u95_ms",
    "drift_ppm",
    "drift_error_ppm",
    "delay_min_ms",
    "exchanges",
    "rejected",
    "measured_unix_ms",
)
"""The numbers that `Renewal.listed` has."""


def _pieces() -> Iterator[tuple[bool, bytes]]:
    """The pattern's pieces in order, and whether each is of the words."""
    for place, name in enumerate(OffsetResult.model_fields):
        yield True, (b"," if place else rb"\{") + b'"' + name.encode() + b'":'
        if name == "measured_at":
            yield from ((True, _MINUTE), (False, _SECOND))
        else:
            yield name not in _MATCHED, _MATCHED.get(name, _WORD)
    yield True, rb"\}"


class _Layout(NamedTuple):
    """The pattern; its groups of words, and those of numbers by name."""

    pattern: re.Pattern[bytes]
    words: tuple[int, ...]
    numbers: dict[str, int]


def _layout() -> _Layout:
    parts: list[bytes] = []
    words: list[int] = []
    for of_words, pieces in groupby(_pieces(), key=lambda piece: piece[0]):
        texts = [piece for _, piece in pieces]
        varies = of_words and not {_WORD, _MINUTE}.isdisjoint(texts)  # else keys alone
        if varies:
            words.append(re.compile(b"".join(parts)).groups + 1)
        parts.append((b"(%b)" if varies else b"%b") % b"".join(texts))
    pattern = re.compile(b"".join(parts))
    left = (group for group in range(1, pattern.groups + 1) if group not in words)
    names = (name for name in OffsetResult.model_fields if name in _MATCHED)
    return _Layout(pattern, tuple(words), dict(zip(names, left, strict=True)))


_PATTERN, _WORDS, _GROUPS = _layout()
_LISTED = tuple(_GROUPS[name] for name in LISTED)
_CURVES = tuple(
    _GROUPS[name]
    for name in ("offset_ms", "lower_ms", "upper_ms", "max_error_ms", "drift_ppm", "delay_min_ms")
)
_AGE, _MAX_ERROR, _MEASURED = (_GROUPS[name] for name in ("age_s", "max_error_ms", "measured_unix_ms"))
Words = tuple[bytes, ...]


class Renewal:
    """A payload that matches; its numbers are read when they are asked for."""

    __slots__ = ("_match",)

    def __init__(self, match: re.Match[bytes]) -> None:
        self._match = match

    @property
    def payload(self) -> bytes:
        """The whole of it."""
        return self._match.string

    @property
    def words(self) -> Words:
        """All but the numbers."""
        return self._match.group(*_WORDS)

    @property
    def listed(self) -> bytes:
        """The numbers of `LISTED` as they were written, with commas between them."""
        return b",".join(self._match.group(*_LISTED))

    @property
    def age_s(self) -> float:
        """As in the result."""
        return float(self._match[_AGE])

    @property
    def max_error_ms(self) -> float | None:
        """As in the result."""
        text = self._match[_MAX_ERROR]
        return None if text == b"null" else float(text)

    @property
    def measured_unix_ms(self) -> int:
        """As in the result."""
        return int(self._match[_MEASURED])

    def curves(self) -> tuple[float, ...]:
        """Offset, its lower and upper bound, max error, drift, min delay; nan where there is none."""
        texts = self._match.group(*_CURVES)
        if b"null" in texts:
            return tuple(nan if text == b"null" else float(text) for text in texts)
        return tuple(map(float, texts))


def renewal(payload: bytes) -> Renewal | None:
    """What `payload` changes, if it is as a topside of this version writes a result; None for others."""
    match = _PATTERN.fullmatch(payload)
    return Renewal(match) if match else None
