"""What a session knows of one vehicle, pure: counts, silence, boots, and the result in use."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.base import Message
from schemas.choice import chosen, fresh_for_s
from schemas.doubtful import is_doubtful
from schemas.events import EventLine, Gap, Identity, Outage, Reboot, identity
from schemas.exchange import Identifier
from schemas.instants import ns_from_utc, utc_from_ns
from schemas.metadata import OffsetRange, range_of
from schemas.names import Vehicle
from tidesync.sessions.recorder.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Hashable

    from runtime.clock import Reading
    from schemas.exchange import Exchange
    from schemas.messages import OffsetResult

MOST_EVENT_IDS = 10_000
"""Of a vehicle: an event that is redelivered after more others than these is written once more."""
MOST_BOOTS = 1000
"""Of a vehicle: later ones make no event; the exchanges have them."""
MOST_TOPSIDES = 64
"""Of a vehicle: the results of later ones are not considered; their exchanges are recorded."""
CURRENT_NS = 5_000_000_000
"""A retained result older than this, by its own stamp, says nothing about now."""

_ON_ITS_WAY_NS = 3_000_000_000
"""Exchanges come by so much later than results that tell of them: direct ones wait, and then for others."""


@dataclass(frozen=True, slots=True)
class VehicleCounts:
    """One vehicle in one session, for metrics."""

    vehicle: str
    exchanges: int
    """Recorded, by earlier recorder processes too."""
    missing: int
    """Not recorded yet, lost ones of topside's present process included."""
    lost: int
    """Given up for good."""
    gaps: int
    """Ranges of lost ones."""
    age_s: float
    """Since an exchange was last recorded, else since this process began the session."""
    lag_s: float | None
    """Age of the newest recorded exchange, by this computer's wall clock."""


class VehicleState(Message):
    """What the exchanges say of a vehicle, as an index keeps it."""

    vehicle: Vehicle
    exchanges: int
    last_exchange_ns: int | None
    boots: list[Identifier]


@dataclass(slots=True)
class VehicleLog:
    """`heard_ns` is the recorder's RAW when an exchange was last recorded, at first the session's start."""

    vehicle: str
    heard_ns: int
    topside: str | None = None
    """The one whose results are used, from its first offset until it has no fresh one and another has."""
    topsides: list[str] = field(default_factory=list)
    """All whose results were used, in the order in which they were chosen."""
    result: OffsetResult | None = None
    """The newest of that topside."""
    measured: OffsetResult | None = None
    """The newest of them that has an offset: the consumer's entry is made from it."""
    offset_range: OffsetRange | None = None
    """Of all its results in this session."""
    exchanges: int = 0
    events: int = 0
    gaps: int = 0
    lost: int = 0
    """Exchanges in those gaps."""
    last_exchange_ns: int | None = None
    """Topside's realtime at the destination of the newest exchange."""
    silent_since_ns: int | None = None
    """The recorder's realtime since which nothing was recorded, once that is an alarm."""
    _results: dict[str, tuple[OffsetResult, int]] = field(default_factory=dict)
    """Each topside's newest, and when it came."""
    _boots: set[str] = field(default_factory=set)
    _event_ids: Recent[Identity] = field(default_factory=lambda: Recent(MOST_EVENT_IDS))

    def note_event(self, event: EventLine) -> bool:
        """Count an event; returns whether it is new."""
        if not self._event_ids.add(identity(event)):
            return False
        self.events += 1
        if isinstance(event, Gap):
            self.gaps += 1
            self.lost += event.to_seq - event.from_seq + 1
        return True

    @property
    def mark(self) -> tuple[Hashable, ...]:
        """Changes when what is known of the vehicle becomes something else, not only newer."""
        result, first = self.result, self.measured is not None
        if result is None:
            return (self.topside, first, self.events)
        return (self.topside, first, self.events, result.state, result.error, result.segment, result.boot_id)

    @property
    def state(self) -> VehicleState:
        """What `restore` goes on from."""
        return VehicleState(
            vehicle=self.vehicle,
            exchanges=self.exchanges,
            last_exchange_ns=self.last_exchange_ns,
            boots=sorted(self._boots),
        )

    def restore(self, state: VehicleState) -> None:
        """Go on from what the exchanges of an earlier process said."""
        self.exchanges, self.last_exchange_ns = state.exchanges, state.last_exchange_ns
        self._boots = set(state.boots)

    def restore_results(self, topsides: list[str], known: OffsetRange | None) -> None:
        """Go on from whose results an earlier process had used, and their range."""
        self.topsides, self.offset_range = list(dict.fromkeys([*topsides, *self.topsides])), known

    def note_exchange(self, exchange: Exchange, now: Reading) -> list[Reboot | Outage]:
        """Count a new exchange; returns the events that follow from it."""
        events: list[Reboot | Outage] = [*self.end_silence(now), *self._reboot(exchange)]
        self.exchanges += 1
        self.heard_ns = now.raw_ns
        self.last_exchange_ns = max(self.last_exchange_ns or 0, exchange.destination_ns)
        return events

    def note_silence(self, now: Reading, alarm_ns: int) -> bool:
        """Whether the vehicle has been silent for longer than `alarm_ns`."""
        silence_ns = now.raw_ns - self.heard_ns
        if silence_ns > alarm_ns and self.silent_since_ns is None:
            self.silent_since_ns = now.realtime_ns - silence_ns
        return self.silent_since_ns is not None

    def end_silence(self, now: Reading) -> list[Outage]:
        """The outage that ends now, if there is one."""
        since_ns, self.silent_since_ns = self.silent_since_ns, None
        if since_ns is None:
            return []
        return [Outage(vehicle=self.vehicle, at=utc_from_ns(since_ns), until=utc_from_ns(now.realtime_ns))]

    @property
    def reporting(self) -> list[str]:
        """The topsides of which a result has come."""
        return list(self._results)

    def reported_more_ns(self, topside: str, newest_ns: int) -> int | None:
        """When a result came last, by RAW, if it is of a later exchange than `newest_ns`, by that clock."""
        if topside not in self._results:
            return None
        result, heard_ns = self._results[topside]
        return heard_ns if (_last_exchange_ns(result) or 0) > newest_ns + _ON_ITS_WAY_NS else None

    def interval_ns(self, topside: str) -> int:
        """Between results of a topside; 0: not known."""
        known = self._results.get(topside)
        return round(1e9 * ((known[0].interval_s if known else None) or 0))

    def rest_ns(self, topside: str) -> int:
        """Between what comes of a topside: results with exchanges, and exchanges; 0: not known."""
        known = self._results.get(topside)
        rate = known[0].rate if known else None
        return max(self.interval_ns(topside), round(1e9 / rate) if rate else 0)

    def is_reported(self, topside: str, since_ns: int, until_ns: int) -> bool:
        """Whether a result came since then, or none is due until then; by RAW."""
        if topside not in self._results:
            return False
        heard_ns = self._results[topside][1]
        return heard_ns > since_ns or heard_ns + self.interval_ns(topside) > until_ns

    def note_result(self, result: OffsetResult, now: Reading, *, stored: bool) -> bool:
        """Use a result if it may be used; returns whether it is the first with an offset.

        `stored`: it was retained by the broker, and may be old.
        """
        if stored and not _current(result, now):
            return False
        if result.topside in self._results or len(self._results) < MOST_TOPSIDES:
            self._results[result.topside] = result, now.raw_ns
        if self.topside != result.topside and not self._is_chosen(result, now):
            return False
        first = self.measured is None and result.offset_ms is not None
        self.result = result
        if is_doubtful(result.error):
            return False  # whose offset it is, is in doubt
        if result.offset_ms is not None:
            self.use(result.topside)
            self.measured = result
        if found := range_of(result):
            self.offset_range = found.including(self.offset_range)
        return first

    def use(self, topside: str) -> None:
        """Use the results of `topside` from now on."""
        self.topside = topside
        if topside not in self.topsides:
            self.topsides.append(topside)

    def _is_chosen(self, result: OffsetResult, now: Reading) -> bool:
        """Whether `result`, of a topside not in use, is to be used from now on.

        Another topside's offset is to another clock: one that is in use stays while it measures.
        """
        if self.topside is None:
            return True
        if result.offset_ms is None:
            return False
        fresh = [
            each
            for each, heard_ns in self._results.values()
            if each.offset_ms is not None and now.raw_ns - heard_ns <= fresh_for_s(each) * 1e9
        ]
        return chosen(fresh, self.topside, stays_within=math.inf) is result

    def counts(self, missing: int, now: Reading) -> VehicleCounts:
        """The counts now, with the number of exchanges `missing`."""
        newest_ns = self.last_exchange_ns
        return VehicleCounts(
            vehicle=self.vehicle,
            exchanges=self.exchanges,
            missing=missing,
            lost=self.lost,
            gaps=self.gaps,
            age_s=max(0, now.raw_ns - self.heard_ns) / 1e9,
            lag_s=None if newest_ns is None else (now.realtime_ns - newest_ns) / 1e9,
        )

    def _reboot(self, exchange: Exchange) -> list[Reboot]:
        boot_id, others = exchange.boot_id, bool(self._boots)
        if boot_id is None or boot_id in self._boots or len(self._boots) >= MOST_BOOTS:
            return []
        self._boots.add(boot_id)
        if not others or exchange.destination_ns < (self.last_exchange_ns or 0):
            return []  # the first, or sent again from an earlier boot
        return [Reboot(vehicle=self.vehicle, at=utc_from_ns(exchange.destination_ns), boot_id=boot_id)]


def _last_exchange_ns(result: OffsetResult) -> int | None:
    """Topside's realtime at the end of the last exchange; None: there is none."""
    if result.measured_at is None or result.age_s is None:
        return None
    return ns_from_utc(result.measured_at) - round(result.age_s * 1e9)


def _current(result: OffsetResult, now: Reading) -> bool:
    if result.measured_at is None:
        return False
    return abs(now.realtime_ns - ns_from_utc(result.measured_at)) <= CURRENT_NS
