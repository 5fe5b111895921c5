"""When two vehicles had one name in a session, pure: as the topside that heard both dates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from schemas.events import Duplicate
from schemas.instants import utc_from_ns

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.duplicate_span import DuplicateSpan
    from schemas.messages import OffsetResult

_MOST = 5000
"""Names come from the network; of more spans than these none is noted."""


class _Key(NamedTuple):
    vehicle: str
    topside: str
    instance_id: str | None
    at_raw_ns: int


class _Noted(NamedTuple):
    span: DuplicateSpan
    since_ns: int
    """The recorder's realtime when it heard of it first."""
    until_ns: int
    """And when it heard last that it lasts."""


class SpanLog:
    """A line is written when a span is heard of, and another when it has ended or the session does.

    Each result carries all spans of its topside's process, so that none is lost with a result.
    """

    def __init__(self) -> None:
        self._noted: dict[_Key, _Noted] = {}
        self._written: dict[_Key, DuplicateSpan] = {}

    def take(self, result: OffsetResult, now: Reading) -> None:
        """Note what a result says, live or stored."""
        for span in result.duplicates or ():
            key = _Key(result.vehicle, result.topside, result.instance_id, span.at_raw_ns)
            known = self._noted.get(key)
            if known is None and len(self._noted) >= _MOST:
                continue
            since_ns = known.since_ns if known else now.realtime_ns
            until_ns = known.until_ns if known and span.ended else now.realtime_ns
            self._noted[key] = _Noted(span, since_ns, until_ns)

    def lines(self, *, end: bool) -> list[Duplicate]:
        """The lines to write now; at the `end` of the session those of all that last."""
        found = []
        for key, noted in self._noted.items():
            written = self._written.get(key)
            if written is None or (written != noted.span and (noted.span.ended or end)):
                self._written[key] = noted.span
                found.append(_line(key, noted))
        return found


def _line(key: _Key, noted: _Noted) -> Duplicate:
    return Duplicate(
        vehicle=key.vehicle,
        topside=key.topside,
        error="duplicate_vehicle",
        at=utc_from_ns(noted.since_ns),
        until=utc_from_ns(noted.until_ns),
        instance_id=key.instance_id,
        by_topside=noted.span,
    )
