"""Rows as JSON: whole, or their numbers alone."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from pydantic_core import to_json

from tidesync.dashboard.presentation import vehicle_view
from tidesync.fleet.renewal import LISTED

if TYPE_CHECKING:
    from tidesync.fleet.removals import RowKey
    from tidesync.fleet.vehicle import Results, Row

NUMBERS = ("row", "at_s", "last_seen_s", *LISTED)
"""The places of a row's numbers: `vehicle/topside`; when the result came and when the vehicle answered last,
by the dashboard's monotonic clock (`now_s`), the latter as an age at the former; then fields of the row."""
_values = attrgetter(*LISTED)


def row_text(row: Row) -> bytes:
    """A whole row."""
    return to_json(vehicle_view(row))


def row_name(key: RowKey) -> str:
    """What a row is named by: `vehicle/topside`."""
    return f"{key.vehicle}/{key.topside or ''}"


def numbers_text(key: RowKey, known: Results) -> bytes:
    """The values of `NUMBERS`, of a result that was heard live."""
    at_ns, seen_ns = known.current_raw_ns, known.seen_raw_ns
    at_s = b"null" if at_ns is None else b"%.3f" % (at_ns / 1e9)
    seen_s = b"null" if at_ns is None or seen_ns is None else b"%.3f" % (max(0, at_ns - seen_ns) / 1e9)
    listed = known.listed or to_json(_values(known.result))[1:-1]
    return b'["%b",%b,%b,%b]' % (row_name(key).encode(), at_s, seen_s, listed)
