"""What one session has recorded, pure: what is new, what is lost, what to ask for, what to report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.instants import ns_from_utc, utc_from_ns
from schemas.messages import SessionState
from tidesync.sessions.recorder import alarms
from tidesync.sessions.recorder.actions import NewLines
from tidesync.sessions.recorder.behind import Behind
from tidesync.sessions.recorder.clock_log import ClockLog
from tidesync.sessions.recorder.duplicates import DuplicateLog
from tidesync.sessions.recorder.metadata import MetadataUpdate, update_of
from tidesync.sessions.recorder.recorded import RecordedExchanges
from tidesync.sessions.recorder.resend import not_yet_published
from tidesync.sessions.recorder.snapshot import Snapshot, parts_of
from tidesync.sessions.recorder.sources import SourceState, SourceWatches, gap_of
from tidesync.sessions.recorder.vehicle_log import VehicleLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from runtime.clock import Reading
    from schemas.events import EventLine
    from schemas.exchange import Exchange
    from schemas.messages import OffsetResult
    from schemas.metadata import OffsetRange
    from tidesync.sessions.clock_pieces import ClockPieces
    from tidesync.sessions.journal import Source
    from tidesync.sessions.recorder.closing import Closing
    from tidesync.sessions.recorder.recording import Recording
    from tidesync.sessions.recorder.sources import LostOf
    from tidesync.sessions.recorder.vehicle_log import VehicleCounts


MOST_VEHICLES = MOST_TOPSIDES = 5000


class SessionLog:
    """Takes every message with the time of its arrival; touches no file and no socket."""

    def __init__(self, recording: Recording, now: Reading) -> None:
        self.recording = recording
        self.alarm: str | None = None
        self.notice: str | None = None
        """A sentence for every alarm from now on."""
        self.closing: Closing | None = None
        self.disk: str | None = None
        self.stopped = False
        """The stop is answered, and not all is written yet."""
        self.written = False
        """All is, the end in the metadata too."""
        self.clock = ClockLog()
        self.refused = self.reported = 0
        """Exchanges and events without room, and how many lines without room were reported."""
        self._began_ns = now.raw_ns
        self._slept_ns = 0
        """How long the recorder's machine has slept since the last new exchange."""
        self._recorded = RecordedExchanges()
        self.watches = SourceWatches()
        self._latest: list[tuple[Source, int, int]] = []
        """To ask for once."""
        self._duplicates = DuplicateLog()
        self.behind = Behind()
        self._measuring = set(recording.topsides.values())
        self._vehicles = {vehicle: VehicleLog(vehicle, now.raw_ns) for vehicle in recording.vehicles}
        for vehicle, topside in recording.topsides.items():
            self._log(vehicle, now).use(topside)

    @property
    def exchanges(self) -> int:
        """Exchanges recorded, of all vehicles."""
        return sum(log.exchanges for log in self._vehicles.values())

    @property
    def topsides(self) -> dict[str, str]:
        """The topside whose result is used, by vehicle."""
        return {name: log.topside for name, log in self._vehicles.items() if log.topside}

    def topside_of(self, vehicle: str) -> str | None:
        """The topside whose result is used of a vehicle; None as long as there is none."""
        log = self._vehicles.get(vehicle)
        return log.topside if log else None

    @property
    def newest_ns(self) -> dict[str, int]:
        """Topside's realtime at the newest exchange of each vehicle that has one."""
        return {name: log.last_exchange_ns for name, log in self._vehicles.items() if log.last_exchange_ns}

    @property
    def waiting(self) -> bool:
        """Whether something is missing that may still come."""
        return self.watches.waiting or self.clock.waiting

    def admits(self, vehicle: str) -> bool:
        """Whether there is room for `vehicle`: names come from the network."""
        return vehicle in self._vehicles or len(self._vehicles) < MOST_VEHICLES

    def newly_refused(self) -> int:
        """Lines without room since the last call."""
        before, self.reported = self.reported, self.refused + self.clock.refused
        return self.reported - before

    def includes_topside(self, topside: str) -> bool:
        """Whether its clock concerns this session: it measures one of its vehicles."""
        return not self.recording.sensors or topside in self._measuring

    def elapsed_ns(self, now: Reading) -> int:
        """Since the session began, by the recorder's clocks; realtime counts earlier processes' share too."""
        began_ns = ns_from_utc(self.recording.started_at)
        return max(now.raw_ns - self._began_ns, now.realtime_ns - began_ns)

    def expect(self, vehicle: str, exchanges: int, now: Reading) -> None:
        """A vehicle has so many exchanges, as far as is known before `restore`."""
        self._log(vehicle, now).exchanges = exchanges

    def snapshot(self) -> tuple[Snapshot, Iterator[bytes | memoryview]]:
        """What is known from what was taken so far, and the parts of what is recorded."""
        snapshot = Snapshot(
            watches=self.watches.state,
            recorded=self._recorded.sources,
            vehicles=[log.state for log in self._vehicles.values()],
            topsides=sorted(self._measuring),
            raw_ns=self.clock.raw_state,
            clocks=self.clock.state,
            resumed=self.watches.is_resumed,
        )
        return snapshot, parts_of(snapshot, self._recorded, self.clock.pieces)

    def expect_again(self, sources: list[SourceState], now: Reading) -> None:
        """Everything that these had counted is missing, until it is restored or comes again."""
        self.watches.restore([source.all_missing() for source in sources], now.raw_ns)

    def restore_snapshot(
        self, snapshot: Snapshot, recorded: RecordedExchanges, clocks: list[ClockPieces], now: Reading
    ) -> None:
        """Go on from what an earlier process knew."""
        self._recorded = recorded
        self.watches.restore(snapshot.watches, now.raw_ns)
        self.watches.is_resumed = snapshot.resumed
        for vehicle in snapshot.vehicles:
            self._log(vehicle.vehicle, now).restore(vehicle)
        self._measuring.update(snapshot.topsides)
        self.clock.restore_state(snapshot.raw_ns, snapshot.clocks, clocks, now.raw_ns)

    def restore(
        self, exchanges: Sequence[Exchange], events: Iterable[EventLine], now: Reading
    ) -> list[EventLine]:
        """Take what an earlier process has recorded; returns events that it could not write any more."""
        for event in events:
            self.take_event(event, now)
        return self.take(exchanges, None, now).events

    def restore_result(
        self, result: OffsetResult, topsides: list[str], known: OffsetRange | None, now: Reading
    ) -> None:
        """Go on from the result, the range and the topsides that an earlier process had written."""
        log = self._log(result.vehicle, now)
        log.restore_results(topsides, known)
        log.note_result(result, now, stored=False)

    def take(self, exchanges: Sequence[Exchange], batch: int | None, now: Reading) -> NewLines:
        """Take a batch; duplicates are recognised, also those that another recorder has requested."""
        new = NewLines()
        for exchange in exchanges:
            self._take_one(exchange, batch, now, new)
        return new

    def take_result(self, result: OffsetResult, now: Reading, *, stored: bool) -> bool:
        """Take a result; returns whether it is the vehicle's first with an offset, to be written at once."""
        self._note_measuring(result.topside)
        result = self._duplicates.take(result, now, stored=stored)
        return self._log(result.vehicle, now).note_result(result, now, stored=stored)

    def requests(self, now: Reading) -> list[tuple[Source, int, int]]:
        """What to ask for again now: the source, and the first and last `seq`."""
        latest, self._latest = self._latest, []
        return latest + self.watches.requests(now.raw_ns, self.elapsed_ns(now), self.behind.late_ns)

    def request_all(self, now: Reading) -> None:
        """Make everything that is missing due at the next update: the connection was lost."""
        self.watches.request_all()
        self.clock.request_all(now.raw_ns)

    def slept(self, slept_ns: int, now: Reading) -> None:
        """The recorder's machine slept, in which its RAW stood still: ages count it, all missing is due."""
        self._slept_ns += slept_ns
        self._began_ns -= slept_ns
        for log in self._vehicles.values():
            log.heard_ns -= slept_ns
        self.behind.slept(slept_ns)
        self.request_all(now)

    def await_last(self, now: Reading) -> None:
        """The recording ends: make everything that is missing due, and ask for the clocks up to now."""
        self._latest = not_yet_published(self.watches.newest, self._vehicles)
        self.watches.request_all(again=False)
        self.clock.await_last(now.raw_ns)

    def update(self, now: Reading, alarm_s: float) -> list[EventLine]:
        """Set the alarm, and give up what cannot be had any more; returns the new events."""
        silent = [
            vehicle for vehicle, log in self._vehicles.items() if log.note_silence(now, round(alarm_s * 1e9))
        ]
        no_vehicle = not self._vehicles and now.raw_ns - self._began_ns > alarm_s * 1e9
        slept = [f"this computer slept for {self._slept_ns / 1e9:.1f} s"] if self._slept_ns else []
        nothing = alarms.silence(silent, alarm_s, no_vehicle=no_vehicle)
        late = alarms.lateness(self.watches.awaited, self.behind.settle(now.raw_ns), self.disk)
        self.alarm = alarms.joined([self.notice, *slept, *nothing, *late, *self._duplicates.sentences])
        duplicates = [line for line in self._duplicates.lines(now) if self.take_event(line, now)]
        return self._gaps(self.watches.give_up(now.raw_ns), now) + duplicates

    def end(self, now: Reading) -> list[EventLine]:
        """End the recording: what is missing is lost, and a silence lasts until now."""
        gaps = self._gaps(self.watches.end(), now)
        ends: list[EventLine] = [*self._duplicates.lines(now, end=True)]
        ends += [outage for log in self._vehicles.values() for outage in log.end_silence(now)]
        empty = [vehicle for vehicle, log in self._vehicles.items() if not log.exchanges]
        nothing = alarms.emptiness(empty, no_vehicle=not self._vehicles)
        self.alarm = alarms.joined([self.notice, *nothing])
        return gaps + [line for line in ends if self.take_event(line, now)]

    def state(self, problem: str | None) -> SessionState:
        """The state to publish; `problem` is why nothing can be written, if so."""
        newest_ns = max(self.newest_ns.values(), default=0)
        return SessionState(
            **self.recording.described,
            request_id=self._answered(problem),
            state="failed" if problem else "stopped" if self.written or self.stopped else "recording",
            closing=self.stopped and not (self.written or problem),
            exchanges=self.exchanges,
            last_exchange_at=utc_from_ns(newest_ns) if newest_ns else None,
            alarm=problem or self.alarm,
            error=problem,
        )

    def counts(self, now: Reading) -> list[VehicleCounts]:
        """Each vehicle's counts; any thread may ask."""
        missing = self.watches.missing
        return [log.counts(missing[name], now) for name, log in [*self._vehicles.items()]]

    def metadata_update(self) -> MetadataUpdate:
        """Our part of `sync_metadata.json`."""
        return update_of(
            self.recording,
            self._vehicles,
            self.watches.missing,
            self.clock.counts(),
            self.watches.processes,
            closing=self.closing,
            alarm=self.alarm,
        )

    @property
    def vehicles(self) -> Mapping[str, VehicleLog]:
        """What is known of each."""
        return self._vehicles

    def _answered(self, problem: str | None) -> str:
        """The command that the state answers: a stop is answered at its end, successful or not."""
        stop = self.recording.stop_request_id
        return stop if stop and (self.written or self.stopped or problem) else self.recording.request_id

    def _take_one(self, exchange: Exchange, batch: int | None, now: Reading, new: NewLines) -> None:
        if not (self.admits(exchange.vehicle) and self.watches.admits(exchange)):
            self.refused += 1
            return
        self.behind.note_any(exchange.topside, now.raw_ns)
        known = not self._recorded.add(exchange)
        lost = self.watches.observe(exchange, now.raw_ns, known=known, batch=batch)
        new.events.extend(self._gaps(lost, now))
        if known:
            return
        new.exchanges.append(exchange)
        self._slept_ns = 0
        self._note_measuring(exchange.topside)
        self.clock.note_exchange(exchange)
        events = self._log(exchange.vehicle, now).note_exchange(exchange, now)
        if (watch := self.watches.of(exchange)) and watch.newest_ns == exchange.destination_ns:
            self.behind.note(exchange, now)
        new.events.extend(event for event in events if self.take_event(event, now))

    def _gaps(self, lost: Iterable[LostOf], now: Reading) -> list[EventLine]:
        gaps = [gap_of(*each, now) for each in lost]
        return [gap for gap in gaps if self.take_event(gap, now)]

    def take_event(self, event: EventLine, now: Reading) -> bool:
        """Count an event; returns whether it is new."""
        return self._log(event.vehicle, now).note_event(event)

    def _note_measuring(self, topside: str) -> None:
        self._measuring |= {topside} if len(self._measuring) < MOST_TOPSIDES else set()

    def _log(self, vehicle: str, now: Reading) -> VehicleLog:
        return self._vehicles.setdefault(vehicle, VehicleLog(vehicle, now.raw_ns))
