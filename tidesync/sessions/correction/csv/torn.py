"""Timestamps that end a row which a power cut tore: digits are missing, and they can still be read.

Where a column's timestamps have as many characters behind the decimal sign (or behind the hour) as each
other, one with fewer that ends its row is torn.

Assumption: a logger that writes a few timestamps with fewer digits does not write them last in their rows.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_DECIMALS = re.compile(rb"(?::\d\d|^[^:]*)[.,](?P<f>\d*)")
_FEWEST, _SHARE, _NEARLY_ALL = 10, 0.9, 0.98


class Tail(NamedTuple):
    """The end of a timestamp's text: a shorter one is less."""

    decimals: bool
    """Whether it has a decimal sign."""
    length: int
    """Characters behind that, or else behind the hour."""


def tail_of(text: bytes) -> Tail:
    """The tail of a text."""
    found = _DECIMALS.search(text)
    if found:
        return Tail(decimals=True, length=len(text) - found.start("f"))
    return Tail(decimals=False, length=len(text.partition(b":")[2]))


def usual_tail(texts: Sequence[bytes]) -> Tail | None:
    """That of nearly all timestamps; None where they differ, or may have lost zeros at their ends."""
    stripped = [text.strip() for text in texts]
    tails = [*map(tail_of, stripped)]
    if len(tails) < _FEWEST:
        return None
    usual, count = Counter(tails).most_common(1)[0]
    zeros = not usual.decimals or any(
        (found := _DECIMALS.search(text)) and tail == usual and found["f"].endswith(b"0")
        for text, tail in zip(stripped, tails, strict=True)
    )
    return usual if count >= (_SHARE if zeros else _NEARLY_ALL) * len(tails) else None
