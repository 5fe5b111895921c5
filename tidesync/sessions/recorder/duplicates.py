"""When two processes used the name of a vehicle or of a topside in a session, pure: as results report it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.events import Duplicate
from schemas.instants import utc_from_ns
from schemas.messages import DUPLICATES
from tidesync.fleet.duplicates import Alternation
from tidesync.sessions.recorder.duplicate_spans import SpanLog

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.messages import OffsetResult

_ENDED_NS = 10_000_000_000
"""One that no result reports for so long has ended; one that comes back sooner is dated as the same."""
_MOST_STREAMS = 5000
_MOST = 100
"""Names come from the network; of more than so many at a time none is dated."""

Key = tuple[str, str, str]
"""Vehicle, topside, error."""


@dataclass(slots=True)
class _Since:
    at_ns: int
    until_ns: int
    heard_raw_ns: int
    doubted: bool = True
    """Whether the stream's last result reports it."""
    written: bool = False
    dated: bool = False
    """Whether topside states when it was, so that it is the span log's to write."""


class DuplicateLog:
    """A line is written at the beginning and at the end of each duplicate.

    It is dated by the recorder's clock; two vehicles also by that of the topside that heard both.
    """

    def __init__(self) -> None:
        self._lasting: dict[Key, _Since] = {}
        self._alternations: dict[tuple[str, str], Alternation] = {}
        self._spans = SpanLog()

    @property
    def sentences(self) -> list[str]:
        """What lasts now, for the alarm: by each stream's last result, unless that is long ago."""
        doubted = [key for key, since in self._lasting.items() if since.doubted]
        vehicles = {vehicle for vehicle, _, error in doubted if error == "duplicate_vehicle"}
        topsides = {topside for _, topside, error in doubted if error == "duplicate_topside"}
        return [f"two vehicles are named {name}" for name in sorted(vehicles)] + [
            f"two topsides are named {name}" for name in sorted(topsides)
        ]

    def take(self, result: OffsetResult, now: Reading, *, stored: bool = False) -> OffsetResult:
        """A live result as it may be relied on: in doubt also where two processes publish by turns."""
        self._spans.take(result, now)
        if stored:
            return result
        stream = (result.vehicle, result.topside)
        if stream in self._alternations or len(self._alternations) < _MOST_STREAMS:
            alternation = self._alternations.setdefault(stream, Alternation())
            result = alternation.take(result, now.raw_ns)
        for error in DUPLICATES:
            if (*stream, error) in self._lasting:
                self._lasting[(*stream, error)].doubted = result.error == error
        if result.error in DUPLICATES:
            self._note((*stream, str(result.error)), now, dated=bool(result.duplicates))
        return result

    def _note(self, key: Key, now: Reading, *, dated: bool) -> None:
        lasting = self._lasting.get(key)
        if lasting:
            lasting.until_ns, lasting.heard_raw_ns = now.realtime_ns, now.raw_ns
        elif len(self._lasting) < _MOST:
            dated = dated and key[2] == "duplicate_vehicle"
            self._lasting[key] = _Since(now.realtime_ns, now.realtime_ns, now.raw_ns, dated=dated)

    def lines(self, now: Reading, *, end: bool = False) -> list[Duplicate]:
        """The lines to write now; at the `end` of the session those of all that last."""
        found = self._spans.lines(end=end)
        for key, since in list(self._lasting.items()):
            ended = end or now.raw_ns - since.heard_raw_ns > _ENDED_NS
            if ended:
                del self._lasting[key]
            if not since.dated and (ended or not since.written):
                since.written = True
                found.append(_line(key, since))
        return found


def _line(key: Key, since: _Since) -> Duplicate:
    vehicle, topside, error = key
    return Duplicate(
        vehicle=vehicle,
        topside=topside,
        error=error,
        at=utc_from_ns(since.at_ns),
        until=utc_from_ns(since.until_ns),
    )
