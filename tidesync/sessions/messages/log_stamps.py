"""The timestamp at the beginning of a log's line, and whether it is clear where it ends.

It may follow white space and one bracket, and something has to follow it: where nothing does, the line may be
cut off within it. A date has a time of day with seconds and may have a zone; a number has as many digits as a
Unix time, or any where an option says what it counts.

It is not clear where a comma and a digit follow whole seconds, or where white space and a distance from UTC
follow: these may be a part of the timestamp, or a value. Such a line has no timestamp that can be read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tidesync.sessions.correction.stamps.options import StampOptions

_LONGEST = 128
"""Bytes of a line in which its timestamp lies."""
_OPENED = r"[ \t]*[\[(<]?[ \t]*"
_FRACTION = r"(?P<f>\.\d+|,\d{3}(?:\d{3}){0,2}(?=[\s\])>z+-]))?"
_ZONE = r"(?P<z>\s?(?:z|utc|gmt)|[+-]\d\d(?::?\d\d)?)?"
_TIME = rf"\d\d?:\d\d:\d\d{_FRACTION}(?:\s?[ap]m)?{_ZONE}"
_DATE = r"(?:\d{4}(?P<s>[-/.])\d\d?(?P=s)\d\d?|\d\d?(?P<t>[-/.])\d\d?(?P=t)\d{2,4})"
_FOLLOWED = r"(?=[\s\])>,;|$!]|:(?!\d))."
_UNCLEAR = re.compile(r"\s(?:[+-]\d\d:?\d\d(?![\d.])|utc|gmt)", re.ASCII | re.IGNORECASE)

_DATES = (rf"{_DATE}(?:[T_ ]|, ?| {{2}}){_TIME}", rf"\d{{8}}[T_ ]?\d{{6}}(?P<f>\.\d+)?{_ZONE}")


class Place(NamedTuple):
    """Where a timestamp is in its line, as bytes."""

    begin: int
    end: int
    clear: bool
    """Whether it is that of the line, and whole."""


class Stamped(NamedTuple):
    """A line that begins with a timestamp: its place and number in its block, and its timestamp's place."""

    begin: int
    line: int
    first: int
    last: int
    clear: bool


class LogBlock(NamedTuple):
    """Consecutive lines; what precedes the first one with a timestamp goes with the block before."""

    data: bytes
    stamped: list[Stamped]
    line: int
    """The number of the block's first line, from 1."""


class StampFinder:
    """Finds the timestamps of a log whose form is stated so far."""

    expected = "no line begins with a date and a time of day, or a Unix time, and goes on after it"

    def __init__(self, stated: StampOptions) -> None:
        self._is_stated = stated.time_format is not None and not stated.scales and not stated.dates
        sign = "," if stated.decimal == "," else r"\."
        digits = r"\d+" if stated.since is not None or stated.scales else r"\d{9,20}"
        texts: tuple[str, ...] = (*_DATES, rf"{digits}(?P<f>{sign}\d+)?(?P<number>)")
        if self._is_stated:
            texts = (stated.pattern().pattern,)
        flags = re.ASCII | re.IGNORECASE
        self._patterns = [re.compile(rf"{_OPENED}(?P<stamp>{text}){_FOLLOWED}", flags) for text in texts]

    def find(self, line: bytes, *, ended: bool) -> Place | None:  # noqa: ARG002 - what follows it shows the same
        """The timestamp at the beginning of `line`; None where there is nothing like one."""
        text = line[:_LONGEST].decode("latin-1")
        for pattern in self._patterns:
            match = pattern.match(text)
            if match is not None:
                return Place(*match.span("stamp"), self._is_stated or not _is_unclear(match, text))
        return None


def _is_unclear(match: re.Match[str], text: str) -> bool:
    """Whether what follows may be a part of it."""
    found, end = match.groupdict(), match.end("stamp")
    if found["f"] is None and text[end] == "," and text[end + 1 : end + 2].isdigit():
        return True
    return "number" not in found and not found["z"] and _UNCLEAR.match(text, end) is not None
