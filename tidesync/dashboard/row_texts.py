"""Rows as JSON: whole, or their numbers alone, which are made once for all pages."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from pydantic_core import to_json

from tidesync.dashboard.presentation import vehicle_view

if TYPE_CHECKING:
    from tidesync.fleet.vehicle import Results, Row

_OF_RESULT = (
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
NUMBERS = ("row", "at_s", "last_seen_s", *_OF_RESULT)
"""The places of a row's numbers: `vehicle/topside`; when the result came and when the vehicle answered last,
by the dashboard's monotonic clock (`now_s`), the latter as an age at the former; then fields of the row."""
_values = attrgetter(*_OF_RESULT)


def row_text(row: Row) -> str:
    """A whole row."""
    return vehicle_view(row).model_dump_json()


class NumberTexts:
    """The numbers of each row as they were made last."""

    def __init__(self) -> None:
        self._removals = 0
        self._made: dict[tuple[str, str | None], tuple[int, str]] = {}

    def begin(self, removals: int) -> None:
        """Forget all when rows were removed: names come from the network."""
        if removals != self._removals:
            self._removals = removals
            self._made.clear()

    def of(self, vehicle: str, topside: str | None, known: Results) -> str:
        """The values of `NUMBERS`, of a result that was heard live."""
        key = (vehicle, topside)
        version, text = self._made.get(key, (0, ""))
        if version != known.version:
            text = _numbers(f"{vehicle}/{topside}", known)
            self._made[key] = (known.version, text)
        return text


def _numbers(row: str, known: Results) -> str:
    at_ns, seen_ns = known.current_raw_ns, known.seen_raw_ns
    at_s = None if at_ns is None else round(at_ns / 1e9, 3)
    seen_s = None if at_ns is None or seen_ns is None else round(max(0, at_ns - seen_ns) / 1e9, 3)
    return to_json((row, at_s, seen_s, *_values(known.result))).decode()
