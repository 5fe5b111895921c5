"""One session from start to end: joins its log and its folder, and decides what the agent has to do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from tidesync.sessions.recorder import resend
from tidesync.sessions.recorder.actions import Actions
from tidesync.sessions.recorder.claim import MOVED, MOVED_AT_END
from tidesync.sessions.recorder.counts import SessionCounts, counts_of
from tidesync.sessions.recorder.held import Held
from tidesync.sessions.recorder.resumption import exchanges_of, resume
from tidesync.sessions.recorder.session_log import SessionLog
from tidesync.sessions.recorder.store import SessionStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runtime.clock import Reading
    from schemas.clock_history import TopsideClock, VehicleClock
    from schemas.exchange import Exchange
    from schemas.messages import Event, OffsetResult, SessionState
    from tidesync.sessions.clock_pieces import Owner
    from tidesync.sessions.recorder.closing import Closing
    from tidesync.sessions.recorder.recording import Recording
    from tidesync.sessions.recorder.resumption import Resumed
    from tidesync.sessions.recorder.settings import RecorderSettings

LINGER_NS = 5_000_000_000
"""After a stop the consumer may write the metadata from an older reading; until then ours is put back."""
LONGEST_STOP_NS = 60_000_000_000
"""Exchanges that are coming back delay a stop up to this."""

REPUBLISH_NS = 5_000_000_000
"""An unchanged state is published this often: without it a recorder looks dead."""

_QUICK_NS = 2_000_000_000
"""A session that is resumed sooner needs no alarm."""

Phase = Literal["recording", "stopping", "smoothing", "stopped"]


class SessionRecorder:
    """Called in the network thread alone."""

    def __init__(self, recording: Recording, folder: Path, settings: RecorderSettings, now: Reading) -> None:
        self.recording = recording
        self.phase: Phase = "recording"
        self.store = SessionStore(folder, settings.memory_exchanges)
        self.log = SessionLog(recording, now)
        self.published: SessionState | None = None
        self.next_update_ns = now.raw_ns
        self._published_ns = self._began_ns = now.raw_ns
        self._settings = settings
        self._stop_ns = self._recorded_ns = self._stopped_ns = now.raw_ns
        self._heard_since_stop: set[str] = set()
        self._newest_at_stop_ns: dict[str, int] = {}
        block = self.store.load_block()
        resumes = block or self.store.resumes
        self._held = Held(settings.memory_exchanges, block) if resumes else None
        for vehicle, exchanges in exchanges_of(block).items():
            self.log.expect(vehicle, exchanges, now)
        if self._held is None and recording.stop_request_id:
            self.stop(recording.stop_request_id, now)

    def begin_to_resume(self, now: Reading) -> bool:
        """Whether `read_folder` is to be called now: until it has succeeded, messages are held."""
        return self._held is not None and self._held.begin(now.raw_ns)

    def read_folder(self, now: Reading) -> Resumed:
        """Read what was recorded before, in any thread; `resumed` takes it. OSError, MemoryError."""
        assert self._held is not None
        return resume(self.store.folder, self.recording, self._held.block, now, self._held.before)

    def resume_failed(self, reason: str, now: Reading) -> None:
        """It could not be read; it is tried again, and messages are still held."""
        assert self._held is not None
        self._held.try_again(now.raw_ns)
        self.log.alarm = f"what was recorded before cannot be read: {reason}; trying again"

    def resumed(self, found: Resumed, now: Reading) -> int:
        """Go on from what was read, with the messages that have come meanwhile.

        Returns how many of their lines there was no memory for.
        """
        held, self._held = self._held, None
        assert held is not None
        found.log.recording, found.log.notice = self.recording, self.log.notice
        self.log = found.log
        self.store.note_resumed(found.unindexed)
        self.store.add(events=found.events)
        for take in held:
            take()
        self.next_update_ns = now.raw_ns
        if self.recording.stop_request_id:
            self.stop(self.recording.stop_request_id, now)
        if self.phase == "stopping":
            self.log.await_last(now)
        return held.dropped

    @property
    def active(self) -> bool:
        """Whether exchanges are still taken."""
        return self.phase in {"recording", "stopping"}

    @property
    def state(self) -> SessionState:
        """The state to publish now."""
        return self.log.state(self.store.problem)

    def note_published(self, state: SessionState, now_raw_ns: int) -> None:
        """The broker has `state`."""
        self.published, self._published_ns = state, now_raw_ns

    def republish_due(self, now: Reading) -> bool:
        """Whether no state was published for so long that the recorder would look dead."""
        return self.phase != "stopped" and now.raw_ns - self._published_ns >= REPUBLISH_NS

    def counts(self, now: Reading) -> SessionCounts:
        """The counts now; any thread may ask."""
        return counts_of(self.log, self.store, now, recording=self.active)

    def includes_clock(self, owner: Owner) -> bool:
        """Whether a machine's clock concerns this session, or may: which topsides do, the folder says."""
        machine, name = owner
        if machine == "vehicle":
            return self.includes(name)
        return self.active and (self._held is not None or self.log.includes_topside(name))

    def includes(self, vehicle: str) -> bool:
        """Whether messages about `vehicle` concern this session."""
        return self.active and self.recording.includes(vehicle) and self.log.admits(vehicle)

    def finished(self, now: Reading) -> bool:
        """Whether nothing is left to do."""
        done = self.phase == "stopped" and self.published == self.state and self.store.problem is None
        return done and now.raw_ns - self._stopped_ns > LINGER_NS

    def answer(self, request_id: str) -> None:
        """The next state published answers `request_id`."""
        self._record(**{"stop_request_id" if self.phase == "stopped" else "request_id": request_id})

    def stop(self, request_id: str, now: Reading) -> None:
        """Begin to stop: ask for what is missing, wait a little for the last exchanges."""
        self._record(stop_request_id=request_id)
        if self.phase == "recording" and self._held is None:
            self.phase = "stopping"
            self._stop_ns = self._recorded_ns = self.next_update_ns = now.raw_ns
            self._newest_at_stop_ns = self.log.newest_ns
            self.log.await_last(now)

    def take_batch(self, exchanges: Sequence[Exchange], batch: int, now: Reading) -> None:
        """Record a batch, unless the memory is full: then its exchanges are missing, and requested later."""
        hold = partial(self.take_batch, exchanges, batch, now)
        if self._hold(hold, len(exchanges)) or self.store.full:
            return
        new = self.log.take(exchanges, batch, now)
        self.store.add(new.exchanges, new.events)
        if new.exchanges:
            self._recorded_ns = now.raw_ns
        if self.phase == "stopping":
            self._note_heard(exchanges)
            self.next_update_ns = now.raw_ns

    def take_event(self, event: Event, now: Reading) -> None:
        """Record a vehicle's event."""
        if self._hold(partial(self.take_event, event, now), 1):
            return
        if self.store.full:
            self.log.refused += 1
        elif self.log.take_event(event, now):
            self.store.add(events=[event])

    def take_clock(self, owner: Owner, message: VehicleClock | TopsideClock, now: Reading) -> None:
        """Record pieces of a clock history, unless the memory is full: then they are missing."""
        hold = partial(self.take_clock, owner, message, now)
        if self._hold(hold, len(message.pieces)) or self.store.full or not self.includes_clock(owner):
            return
        lines = self.log.clock.take(owner, message, now.raw_ns, self.log.elapsed_ns(now))
        self.store.add(clock=lines)
        if lines:
            self._recorded_ns = now.raw_ns
        if self.phase == "stopping":
            self.next_update_ns = now.raw_ns

    def take_result(self, result: OffsetResult, now: Reading, *, stored: bool) -> None:
        """Take a result; a vehicle's first is written at once."""
        if self._hold(partial(self.take_result, result, now, stored=stored), 1):
            return
        if self.log.take_result(result, now, stored=stored):
            self.next_update_ns = now.raw_ns
        if self.log.topsides != self.recording.topsides:
            self._record(topsides=self.log.topsides)

    def slept(self, slept_ns: int, now: Reading) -> None:
        """The recorder's machine slept for `slept_ns`, in which its RAW stood still."""
        if self._hold(partial(self.slept, slept_ns, now), 1):
            return
        self.log.slept(slept_ns, now)
        self.next_update_ns = now.raw_ns

    def update(self, now: Reading) -> Actions:
        """What is due about once a second: alarm, missing exchanges, files."""
        self.next_update_ns = now.raw_ns + round(self._settings.update_s * 1e9)
        actions = Actions(refused=self.log.newly_refused())
        if self._held is not None:
            if now.raw_ns - self._began_ns > _QUICK_NS:
                self.log.alarm = self.log.alarm or "what was recorded before is being read"
            return actions
        if self.active:
            self.store.add(events=self.log.update(now, self._settings.alarm_s))
            actions.lost = list(map(resend.sentence_of_lost, self.log.clock.give_up()))
            requests = self.log.requests(now), self.log.clock.requests(now.raw_ns)
            actions.resend = resend.of_all(self.recording.recorder, *requests, now.raw_ns)
        if self.phase == "stopping":
            actions.smooth = self._try_to_complete(now)
            if actions.smooth:
                actions.lost += map(resend.sentence_of_lost, self.log.clock.end())
        if self._ended:
            self.store.forget()
        self._write(now)
        return actions

    def close(self, closing: Closing, now: Reading) -> None:
        """The track is computed and written, or could not be: write the last metadata."""
        self.log.closing = closing
        self.phase = "stopped"
        self._stopped_ns = now.raw_ns
        self._write(now)

    def _hold(self, take: Callable[[], None], size: int) -> bool:
        """Whether a message of `size` lines has to wait until the folder is read."""
        if self._held is None:
            return False
        self._held.add(take, size)
        return True

    @property
    def _ended(self) -> bool:
        """Whether the end is published, so that a restart need not resume the session."""
        return self.phase == "stopped" and self.published == self.state

    def _write(self, now: Reading) -> None:
        recording = None if self._ended else self.recording
        self.store.write(self.log.metadata_update(), recording, now)
        if self.store.moved and not self.store.problem:
            self._begin_again()
        elif recording and self.store.index_due(self.log.exchanges):
            snapshot, parts = self.log.snapshot()
            self.store.write_index(snapshot.encode(), parts)

    def _begin_again(self) -> None:
        """The folder is another one: go on from what that holds, and ask for everything else.

        After the recording it is not made again: who moves a session that has stopped knows why.
        """
        if self.active:
            self.log.notice = MOVED
            self.store.claim_again()
            if self.store.problem is None:
                most, block = self._settings.memory_exchanges, self.store.load_block()
                self._held = Held(most, block, self.log.sources)
        elif not self._ended:
            self.log.alarm = MOVED_AT_END

    def _try_to_complete(self, now: Reading) -> bool:
        """End the recording when the last exchanges are on the disk, or will not come any more."""
        if not self._last_are_recorded(now) and now.raw_ns < self._deadline_ns():
            self.next_update_ns = min(self.next_update_ns, self._deadline_ns())
            return False
        self._write(now)
        if self.store.problem:
            return False
        self.store.add(events=self.log.end(now))
        self.phase = "smoothing"
        return True

    def _note_heard(self, exchanges: Sequence[Exchange]) -> None:
        """The vehicles whose newest exchanges have come; one that was sent again is not the newest."""
        self._heard_since_stop.update(
            exchange.vehicle
            for exchange in exchanges
            if exchange.destination_ns > self._newest_at_stop_ns.get(exchange.vehicle, 0)
        )

    def _last_are_recorded(self, now: Reading) -> bool:
        heard = self.log.heard_within(round(self._settings.alarm_s * 1e9), now)
        return heard <= self._heard_since_stop and not self.log.waiting

    def _deadline_ns(self) -> int:
        wait_ns = round(self._settings.stop_wait_s * 1e9)
        if not self.log.waiting:
            return self._stop_ns + wait_ns
        return min(max(self._stop_ns, self._recorded_ns) + wait_ns, self._stop_ns + LONGEST_STOP_NS)

    def _record(self, **changes: object) -> None:
        self.recording = self.log.recording = self.recording.model_copy(update=changes)
