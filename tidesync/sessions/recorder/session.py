"""One session's recording, pure: what is new, what is lost, what to ask for, and what to say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.instants import utc_from_ns
from schemas.messages import SessionState
from tidesync.sessions.events import EventLine, Gap, Identity, identity
from tidesync.sessions.recorder.block import part_of
from tidesync.sessions.recorder.counts import VehicleStanding
from tidesync.sessions.recorder.missing import Known, SeqWatch
from tidesync.sessions.recorder.vehicle import VehicleLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.clock import Reading
    from schemas.exchange import Exchange
    from schemas.messages import Event, OffsetResult
    from tidesync.sessions.journal import Stream
    from tidesync.sessions.recorder.ending import Closing
    from tidesync.sessions.recorder.metadata import Part
    from tidesync.sessions.recorder.missing import Lost
    from tidesync.sessions.recorder.recording import Recording


@dataclass(frozen=True, slots=True)
class Taken:
    """What of a batch is new and belongs into the files."""

    exchanges: list[Exchange]
    events: list[EventLine]


class Session:
    """Told of every message with the time of its arrival; touches no file and no socket."""

    def __init__(self, recording: Recording, now: Reading) -> None:
        self.recording = recording
        self.alarm: str | None = None
        self.closing: Closing | None = None
        self._began_ns = now.raw_ns
        self._known = Known()
        self._watches: dict[Stream, SeqWatch] = {}
        self._event_ids: set[Identity] = set()
        self._vehicles = {vehicle: VehicleLog(vehicle, now.raw_ns) for vehicle in recording.vehicles}
        for vehicle, topside in recording.topsides.items():
            self._log(vehicle, now).topside = topside

    @property
    def exchanges(self) -> int:
        """Exchanges recorded, of all vehicles."""
        return sum(log.exchanges for log in self._vehicles.values())

    @property
    def topsides(self) -> dict[str, str]:
        """Whose result stands, by vehicle."""
        return {vehicle: log.topside for vehicle, log in self._vehicles.items() if log.topside}

    @property
    def newest(self) -> dict[str, int]:
        """Topside's realtime (ns) at the newest exchange of each vehicle that has one."""
        return {
            vehicle: log.last_exchange_ns for vehicle, log in self._vehicles.items() if log.last_exchange_ns
        }

    def heard_within(self, span_ns: int, now: Reading) -> set[str]:
        """The vehicles of which something was recorded in the last `span_ns`."""
        return {
            vehicle
            for vehicle, log in self._vehicles.items()
            if log.exchanges and now.raw_ns - log.heard_ns <= span_ns
        }

    @property
    def waiting(self) -> bool:
        """Whether something is missing that may still come."""
        return any(watch.waiting for watch in self._watches.values())

    def replay(
        self, exchanges: Sequence[Exchange], events: Iterable[EventLine], now: Reading
    ) -> list[EventLine]:
        """Learn what an earlier life has recorded; returns events that it was killed too early to write."""
        for event in events:
            self._note_event(event, now)
        return self.take(exchanges, None, now).events

    def take(self, exchanges: Sequence[Exchange], batch: int | None, now: Reading) -> Taken:
        """Take a batch that arrived; duplicates are recognised, whoever sent them again."""
        taken = Taken([], [])
        for exchange in exchanges:
            self._take_one(exchange, batch, now, taken)
        return taken

    def take_event(self, event: Event, now: Reading) -> bool:
        """Whether this event of a vehicle is new."""
        return self._note_event(event, now)

    def take_result(self, result: OffsetResult, now: Reading, *, stored: bool) -> bool:
        """Take a result; whether it is the vehicle's first with an offset, to be written at once."""
        return self._log(result.vehicle, now).note_result(result, now, stored=stored)

    def recall_result(self, result: OffsetResult, now: Reading) -> None:
        """A result that an earlier life had written: it stands until a newer one comes."""
        self._log(result.vehicle, now).note_result(result, now, stored=False)

    def requests(self, now: Reading) -> list[tuple[Stream, int, int]]:
        """What to have sent again now: whose, from and to."""
        return [
            (stream, first, last)
            for stream, watch in self._watches.items()
            for first, last in watch.requests(now.raw_ns)
        ]

    def hurry(self) -> None:
        """Ask for everything that is missing at the next turn."""
        for watch in self._watches.values():
            watch.hurry()

    def turn(self, now: Reading, alarm_s: float) -> list[EventLine]:
        """Look at the alarm and at what cannot be had any more; returns the new events."""
        silent = [
            vehicle for vehicle, log in self._vehicles.items() if log.note_silence(now, round(alarm_s * 1e9))
        ]
        nobody = not self._vehicles and now.raw_ns - self._began_ns > alarm_s * 1e9
        of_whom = f" of {', '.join(silent)}" if silent else ""
        self.alarm = f"nothing recorded{of_whom} for more than {alarm_s:g} s" if silent or nobody else None
        return self._gaps({stream: watch.lost() for stream, watch in self._watches.items()}, now)

    def end(self, now: Reading) -> list[EventLine]:
        """The recording ends: what is missing is lost, what is silent has been so until now."""
        gaps = self._gaps({stream: watch.end() for stream, watch in self._watches.items()}, now)
        outages = [outage for log in self._vehicles.values() for outage in log.end_silence(now)]
        nothing = [vehicle for vehicle, log in self._vehicles.items() if not log.exchanges]
        whom = f" of {', '.join(nothing)}" if nothing else ""
        self.alarm = f"nothing was recorded{whom}" if nothing or not self._vehicles else None
        return gaps + [outage for outage in outages if self._note_event(outage, now)]

    def state(self, problem: str | None) -> SessionState:
        """The state to publish; `problem` is why nothing can be written, if so."""
        newest_ns = max((log.last_exchange_ns or 0 for log in self._vehicles.values()), default=0)
        return SessionState(
            session=self.recording.session,
            request_id=self._answered(problem),
            state="failed" if problem else "stopped" if self.closing else "recording",
            path=self.recording.path,
            mission=self.recording.mission,
            sensors=dict(self.recording.sensors),
            exchanges=self.exchanges,
            last_exchange_at=utc_from_ns(newest_ns) if newest_ns else None,
            alarm=problem or self.alarm,
            error=problem,
        )

    def standings(self, now: Reading) -> list[VehicleStanding]:
        """How each vehicle's recording stands; other threads may ask."""
        return [
            VehicleStanding(
                vehicle=vehicle,
                exchanges=log.exchanges,
                missing=self._missing(vehicle),
                lost=log.lost,
                gaps=log.gaps,
                age_s=max(0, now.raw_ns - log.heard_ns) / 1e9,
                lag_s=None if (newest := log.last_exchange_ns) is None else (now.realtime_ns - newest) / 1e9,
            )
            for vehicle, log in list(self._vehicles.items())
        ]

    def part(self) -> Part:
        """What we have to say in `sync_metadata.json`."""
        missing = {vehicle: self._missing(vehicle) for vehicle in self._vehicles}
        return part_of(self.recording, self._vehicles, missing, closing=self.closing, alarm=self.alarm)

    def _answered(self, problem: str | None) -> str:
        """The command that the state answers: to a stop there is no answer before the end, good or bad."""
        stop = self.recording.stop_request_id
        return stop if stop and (self.closing or problem) else self.recording.request_id

    def _missing(self, vehicle: str) -> int:
        watches = list(self._watches.items())
        return sum(watch.missing for stream, watch in watches if stream[0] == vehicle)

    def _take_one(self, exchange: Exchange, batch: int | None, now: Reading, taken: Taken) -> None:
        stream = (exchange.vehicle, exchange.topside)
        known = not self._known.add(exchange)
        watch = self._watches.setdefault(stream, SeqWatch())
        lost = watch.observe(exchange, now.raw_ns, known=known, batch=batch)
        taken.events.extend(self._gaps({stream: lost}, now))
        if known:
            return
        taken.exchanges.append(exchange)
        shown = self._log(exchange.vehicle, now).note_exchange(exchange, now)
        taken.events.extend(event for event in shown if self._note_event(event, now))

    def _gaps(self, lost: Mapping[Stream, Sequence[Lost]], now: Reading) -> list[EventLine]:
        gaps: list[EventLine] = [
            Gap(
                vehicle=vehicle,
                topside=topside,
                at=utc_from_ns(now.realtime_ns),
                run=gap.run,
                from_seq=gap.first,
                to_seq=gap.last,
                before_origin_ns=gap.before_origin_ns,
            )
            for (vehicle, topside), gaps in lost.items()
            for gap in gaps
        ]
        return [gap for gap in gaps if self._note_event(gap, now)]

    def _note_event(self, event: EventLine, now: Reading) -> bool:
        name = identity(event)
        if name in self._event_ids:
            return False
        self._event_ids.add(name)
        log = self._log(event.vehicle, now)
        log.events += 1
        if isinstance(event, Gap):
            log.gaps += 1
            log.lost += event.to_seq - event.from_seq + 1
        return True

    def _log(self, vehicle: str, now: Reading) -> VehicleLog:
        return self._vehicles.setdefault(vehicle, VehicleLog(vehicle, now.raw_ns))
