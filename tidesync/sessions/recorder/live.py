"""A session that is being recorded: joins the pure session and its folder, and takes it to its end."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from schemas.base import InvalidMessageError
from schemas.messages import OffsetResult, ResendCommand, SessionState
from tidesync.sessions.recorder.counts import SessionStanding
from tidesync.sessions.recorder.ending import Closing
from tidesync.sessions.recorder.session import Session
from tidesync.sessions.recorder.store import SessionStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runtime.clock import Reading
    from schemas.exchange import Exchange
    from schemas.messages import Event
    from tidesync.sessions.recorder.recording import Recording
    from tidesync.sessions.recorder.settings import RecorderSettings

LINGER_NS = 5_000_000_000
"""After a stop the consumer may write the metadata from an older reading; ours is put back so long."""
LONGEST_STOP_NS = 60_000_000_000
"""Exchanges that are coming back hold up a stop, but not longer."""

TELL_NS = 5_000_000_000
"""A state is told this often even when nothing changes: without it a recorder looks dead."""

Phase = Literal["recording", "stopping", "smoothing", "stopped"]


@dataclass(slots=True)
class Due:
    """What a turn asks the agent to do."""

    resend: list[tuple[str, ResendCommand]] = field(default_factory=list)
    """To which topside."""
    smooth: bool = False
    """The recording is complete: compute the track, then call `closed`."""


class LiveSession:
    """Called in the network thread alone."""

    def __init__(self, recording: Recording, folder: Path, settings: RecorderSettings, now: Reading) -> None:
        self.recording = recording
        self.phase: Phase = "recording"
        self.store = SessionStore(folder, settings.memory_exchanges)
        self.session = Session(recording, now)
        self.published: SessionState | None = None
        self._published_ns = now.raw_ns
        self.next_turn_ns = now.raw_ns
        self._settings = settings
        self._stop_ns = self._news_ns = self._stopped_ns = now.raw_ns
        self._heard_since_stop: set[str] = set()
        self._newest_at_stop: dict[str, int] = {}
        self._resume(now)
        if recording.stop_request_id:
            self.stop(recording.stop_request_id, now)

    @property
    def active(self) -> bool:
        """Whether exchanges are still taken."""
        return self.phase in {"recording", "stopping"}

    @property
    def state(self) -> SessionState:
        """The state to publish now."""
        return self.session.state(self.store.problem)

    def note_published(self, state: SessionState, now_raw_ns: int) -> None:
        """The broker has been given `state`."""
        self.published, self._published_ns = state, now_raw_ns

    def untold(self, now: Reading) -> bool:
        """Whether nothing was told of the recording for so long that its recorder would look dead."""
        return self.phase != "stopped" and now.raw_ns - self._published_ns >= TELL_NS

    def standing(self, now: Reading) -> SessionStanding:
        """How the recording stands; other threads may ask."""
        return SessionStanding(
            session=self.recording.session,
            recording=self.active,
            alarm=(self.store.problem or self.session.alarm) is not None,
            waiting=self.store.waiting,
            write_errors=self.store.write_errors,
            vehicles=self.session.standings(now),
        )

    def wants(self, vehicle: str) -> bool:
        """Whether messages about `vehicle` concern this session."""
        return self.active and self.recording.wants(vehicle)

    def finished(self, now: Reading) -> bool:
        """Whether nothing is left to do, so that it can be dropped."""
        done = self.phase == "stopped" and self.published == self.state and self.store.problem is None
        return done and now.raw_ns - self._stopped_ns > LINGER_NS

    def answer(self, request_id: str) -> None:
        """The next state published answers `request_id`."""
        self._record(**{"stop_request_id" if self.phase == "stopped" else "request_id": request_id})

    def stop(self, request_id: str, now: Reading) -> None:
        """Begin to stop: ask for what is missing, wait a little for the last exchanges."""
        self._record(stop_request_id=request_id)
        if self.phase == "recording":
            self.phase = "stopping"
            self._stop_ns = self._news_ns = self.next_turn_ns = now.raw_ns
            self._newest_at_stop = self.session.newest
            self.session.hurry()

    def batch(self, exchanges: Sequence[Exchange], batch: int, now: Reading) -> None:
        """Record a batch, unless the memory is full: then it shows up as a hole, and is asked for later."""
        if self.store.full:
            return
        taken = self.session.take(exchanges, batch, now)
        self.store.add(taken.exchanges, taken.events)
        if taken.exchanges:
            self._news_ns = now.raw_ns
        if self.phase == "stopping":
            self._note_heard(exchanges)
            self.next_turn_ns = now.raw_ns

    def event(self, event: Event, now: Reading) -> None:
        """Record a vehicle's event."""
        if self.session.take_event(event, now):
            self.store.add([], [event])

    def result(self, result: OffsetResult, now: Reading, *, stored: bool) -> None:
        """Take a result; a vehicle's first is written at once."""
        if self.session.take_result(result, now, stored=stored):
            self.next_turn_ns = now.raw_ns
        if self.session.topsides != self.recording.topsides:
            self._record(topsides=self.session.topsides)

    def turn(self, now: Reading) -> Due:
        """What is due about once a second: alarm, holes, files."""
        self.next_turn_ns = now.raw_ns + round(self._settings.update_s * 1e9)
        due = Due()
        if self.active:
            self.store.add([], self.session.turn(now, self._settings.alarm_s))
            due.resend = self._resend(now)
        if self.phase == "stopping":
            due.smooth = self._try_to_close(now)
        if self.phase == "stopped" and self.published == self.state:
            self.store.forget()
        self._write(now)
        return due

    def closed(self, closing: Closing, now: Reading) -> None:
        """The track is computed and written, or could not be: say the last of it."""
        self.session.closing = closing
        self.phase = "stopped"
        self._stopped_ns = now.raw_ns
        self._write(now)

    def _write(self, now: Reading) -> None:
        ended = self.phase == "stopped" and self.published == self.state
        self.store.turn(self.session.part(), None if ended else self.recording, now.realtime_ns)

    def _try_to_close(self, now: Reading) -> bool:
        """Close when the last exchanges are here or not to be expected, and on the disk."""
        if not self._last_are_here(now) and now.raw_ns < self._deadline_ns():
            self.next_turn_ns = min(self.next_turn_ns, self._deadline_ns())
            return False
        self._write(now)
        if self.store.problem:
            return False
        self.store.add([], self.session.end(now))
        self.phase = "smoothing"
        return True

    def _note_heard(self, exchanges: Sequence[Exchange]) -> None:
        """Whose newest exchanges are here: what was only sent again says nothing of the last ones."""
        self._heard_since_stop.update(
            exchange.vehicle
            for exchange in exchanges
            if exchange.destination_ns > self._newest_at_stop.get(exchange.vehicle, 0)
        )

    def _last_are_here(self, now: Reading) -> bool:
        heard = self.session.heard_within(round(self._settings.alarm_s * 1e9), now)
        return heard <= self._heard_since_stop and not self.session.waiting

    def _deadline_ns(self) -> int:
        wait_ns = round(self._settings.stop_wait_s * 1e9)
        if not self.session.waiting:
            return self._stop_ns + wait_ns
        return min(max(self._stop_ns, self._news_ns) + wait_ns, self._stop_ns + LONGEST_STOP_NS)

    def _resend(self, now: Reading) -> list[tuple[str, ResendCommand]]:
        return [
            (
                topside,
                ResendCommand(
                    request_id=f"{self.recording.recorder}-{vehicle}-{first}-{now.raw_ns}",
                    vehicle=vehicle,
                    from_seq=first,
                    to_seq=last,
                ),
            )
            for (vehicle, topside), first, last in self.session.requests(now)
        ]

    def _record(self, **changes: object) -> None:
        self.recording = self.session.recording = self.recording.model_copy(update=changes)

    def _resume(self, now: Reading) -> None:
        exchanges, events = self.store.load()
        self.store.add([], self.session.replay(exchanges, events, now))
        vehicles = self.store.load_block().get("vehicles")
        for block in vehicles.values() if isinstance(vehicles, dict) else ():
            result = _result_in(block)
            if result and self.recording.wants(result.vehicle):
                self.session.recall_result(result, now)


def _result_in(block: object) -> OffsetResult | None:
    found = block.get("result") if isinstance(block, dict) else None
    try:
        return OffsetResult.decode(json.dumps(found))
    except InvalidMessageError:
        return None
