"""Exchanges as numbers, and as the text that their model writes: what many have in common is made once."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from schemas.exchange import UNSTATED, Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LABELS = (
    "vehicle",
    "topside",
    "method",
    "boot_id",
    "topside_boot_id",
    "instance_id",
    "receive_stamp",
    "transmit_stamp",
    "origin_stamp",
    "destination_stamp",
)
"""Fields that successive exchanges have in common."""
NUMBERS = (
    "seq",
    "origin_ns",
    "receive_ns",
    "transmit_ns",
    "destination_ns",
    "pi_realtime_minus_raw_ns",
    "topside_realtime_minus_raw_ns",
    "resolution_ns",
    "even_ns",
    "even_within_ns",
)
NULL = -(2**63)
"""Instead of a number that is null: no field may have it."""
Labels = tuple[str | None, ...]

labels_of: Callable[[Exchange], Labels] = attrgetter(*LABELS)
_numbers_of: Callable[[Exchange], tuple[Any, ...]] = attrgetter(*NUMBERS)


def numbers_of(exchange: Exchange) -> tuple[int, ...]:
    """The numbers of `exchange`, in the order of `NUMBERS`; `NULL` for null."""
    numbers = _numbers_of(exchange)
    return tuple(NULL if number is None else number for number in numbers) if None in numbers else numbers


class LineWriter:
    """Writes the lines of exchanges with these labels: byte for byte as `Exchange.encode`."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        known = {name: to_json(label) for name, label in zip(LABELS, labels, strict=True)}
        self._parts = [
            (name, known[name].replace(b"%", b"%%") if name in known else b"%d")
            for name in Exchange.model_fields
        ]
        self._text = self._template(frozenset())

    def line(self, numbers: Sequence[int]) -> bytes:
        """The line of an exchange with these numbers."""
        if NULL not in numbers:
            return self._text % tuple(numbers)
        null = frozenset(name for name, number in zip(NUMBERS, numbers, strict=True) if number == NULL)
        return self._template(null) % tuple(number for number in numbers if number != NULL)

    def _template(self, null: frozenset[str]) -> bytes:
        """The text of a line, with a place for each number that is not null; they have the model's order."""
        parts = [
            b'"%b":%b' % (name.encode(), b"null" if name in null else text) for name, text in self._parts
        ]
        text = b"{" + b",".join(parts) + b"}"
        return text[: -len(UNSTATED)] + b"}" if text.endswith(UNSTATED) else text
