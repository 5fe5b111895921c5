"""One session from start to end: joins its log and its folder, and decides what the agent has to do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tidesync.sessions.recorder import resend
from tidesync.sessions.recorder.actions import Actions
from tidesync.sessions.recorder.after_stop import awaited_until_ns, pass_over, sent
from tidesync.sessions.recorder.background import at_once
from tidesync.sessions.recorder.claim import MOVED, MOVED_AT_END
from tidesync.sessions.recorder.counts import SessionCounts, counts_of
from tidesync.sessions.recorder.held import Held
from tidesync.sessions.recorder.resumption import exchanges_of, resume
from tidesync.sessions.recorder.session_log import SessionLog
from tidesync.sessions.recorder.stopping import Phase, Stopping
from tidesync.sessions.recorder.store import SessionStore
from tidesync.sessions.recorder.upkeep import MOST_URGENT, Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runtime.clock import Reading
    from schemas.clock_history import TopsideClock, VehicleClock
    from schemas.exchange import Exchange
    from schemas.messages import Event, OffsetResult, SessionState
    from tidesync.sessions.clock_pieces import Owner
    from tidesync.sessions.recorder.background import Background
    from tidesync.sessions.recorder.closing import Closing
    from tidesync.sessions.recorder.reach import Reach
    from tidesync.sessions.recorder.recording import Recording
    from tidesync.sessions.recorder.resumption import Resumed
    from tidesync.sessions.recorder.settings import RecorderSettings

LINGER_NS = REPUBLISH_NS = 5_000_000_000
"""After a stop the consumer may write the metadata from an older reading; until then ours is put back. An
unchanged state is published this often: without it a recorder looks dead."""
_QUICK_NS, _AGAIN_NS = 2_000_000_000, 20_000_000
"""A session that is resumed sooner needs no alarm; when the disk is looked at again."""
_VEHICLE_NS = 50_000
"""An update takes this long a vehicle: one that is due at once comes no sooner after the last."""


class SessionRecorder:
    """Called in the network thread alone."""

    def __init__(
        self,
        recording: Recording,
        folder: Path,
        settings: RecorderSettings,
        now: Reading,
        background: Background = at_once,
    ) -> None:
        self.recording = recording
        self.phase: Phase = "recording"
        self.store = SessionStore(folder, settings.memory_exchanges, background)
        self.log = SessionLog(recording, now)
        self.published: SessionState | None = None
        self.next_update_ns = self._updated_ns = now.raw_ns
        self._settings = settings
        self._upkeep = Upkeep(self.store, settings.metadata_s)
        self._stopped_ns = self._published_ns = self._began_ns = now.raw_ns
        self._stopping: Stopping | None = None
        block = self.store.load_block()
        self._held = Held(settings.memory_exchanges, block) if block or self.store.resumes else None
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
        self._upkeep.begin()
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
        return self.phase in ("recording", "stopping")

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
        return self._ended and not self.store.problem and now.raw_ns - self._stopped_ns > LINGER_NS

    def answer(self, request_id: str) -> None:
        """The next state published answers `request_id`."""
        self._record(**{"stop_request_id" if self.phase == "stopped" else "request_id": request_id})

    def stop(self, request_id: str, now: Reading) -> None:
        """Begin to stop: ask for what is missing, wait a little for the last exchanges."""
        self._record(stop_request_id=request_id)
        if self.phase == "recording" and self._held is None:
            self.phase, self.next_update_ns = "stopping", now.raw_ns
            self._stopping = Stopping(self._settings.stop_wait_s, now.raw_ns)
            self.log.await_last(now)

    def take_batch(self, exchanges: Sequence[Exchange], batch: int, now: Reading) -> None:
        """Record a batch, unless the memory is full: then its exchanges are missing, and requested later."""
        if self._hold(partial(self.take_batch, exchanges, batch, now), len(exchanges)) or self.store.full:
            return
        if self._stopping:
            exchanges, passed = self._stopping.wanted(exchanges, partial(sent, self.log, now), now.raw_ns)
            self.store.add(events=pass_over(self.log, passed, now))
        new = self.log.take(exchanges, batch, now)
        self.store.add(new.exchanges, new.events)
        self._note_taken(new.exchanges, now)

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
        held = self._hold(partial(self.take_clock, owner, message, now), len(message.pieces))
        if held or self.store.full or not self.includes_clock(owner):
            return
        lines = self.log.clock.take(owner, message, now.raw_ns, self.log.elapsed_ns(now))
        self.store.add(clock=lines)
        self._note_taken(self._stopping and self.log.clock.waiting and lines, now)

    def take_result(self, result: OffsetResult, now: Reading, *, stored: bool) -> None:
        """Take a result; a vehicle's first is written at once."""
        if self._hold(partial(self.take_result, result, now, stored=stored), 1):
            return
        if self.log.take_result(result, now, stored=stored) and len(self.log.vehicles) <= MOST_URGENT:
            self.next_update_ns = min(self.next_update_ns, self._soon_ns)
        used = self.log.topside_of(result.vehicle)
        if used and used != self.recording.topsides.get(result.vehicle):
            self._record(topsides=self.log.topsides)

    def slept(self, slept_ns: int, now: Reading) -> None:
        """The recorder's machine slept for `slept_ns`, in which its RAW stood still."""
        if self._hold(partial(self.slept, slept_ns, now), 1):
            return
        self.log.slept(slept_ns, now)
        if self._stopping:
            self._stopping.slept(slept_ns)
        self.next_update_ns = now.raw_ns

    def update(self, now: Reading, reach: Reach | None = None) -> Actions:
        """What is due about once a second: alarm, missing exchanges, files. No `reach`: nobody was away."""
        self._updated_ns, self.next_update_ns = now.raw_ns, now.raw_ns + round(self._settings.update_s * 1e9)
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
        if self.phase == "stopping" and self._is_complete(now, reach):
            actions.lost += map(resend.sentence_of_lost, self.log.clock.end())
            self.store.add(events=self.log.end(now))
            self.phase = "ending"
        if self.phase == "ending" and self._disk_has(self.store.settled, now):
            actions.smooth, self.phase = True, "smoothing"
        if self._stopping:
            self.log.stopped = self._stopping.is_answered(now.raw_ns, saved=self.store.knows_long_end)
            if not self.log.stopped:
                soon_ns = self._soon_ns if self.store.compressed else self._stopping.answer_ns
                self.next_update_ns = min(self.next_update_ns, soon_ns)
        if self.log.closing and self._disk_has(self._upkeep.is_done(self.log, now), now):
            self.phase, self.log.written = "stopped", True
        self._write(now)
        return actions

    def close(self, closing: Closing, now: Reading) -> None:
        """The track is computed and written, or could not be: write the last metadata."""
        self.log.closing, self._stopped_ns = closing, now.raw_ns
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
        self._upkeep.write(self.log, None if self._ended else self.recording, now, flush=not self.active)
        if self.store.moved and not (self.store.problem or self.store.busy):
            self._begin_again()

    @property
    def _soon_ns(self) -> int:
        """At once; with many vehicles a little after the last."""
        return self._updated_ns + len(self.log.vehicles) * _VEHICLE_NS

    def _begin_again(self) -> None:
        """The folder is another one: go on from what that holds, and ask for everything else.

        After the recording it is not made again: who moves a session that has stopped knows why.
        """
        if self.active:
            self.log.notice = MOVED
            self.store.claim_again()
            if self.store.problem is None:
                most, block = self._settings.memory_exchanges, self.store.load_block()
                self._held = Held(most, block, self.log.watches.state)
        elif not self._ended:
            self.log.alarm = MOVED_AT_END

    def _is_complete(self, now: Reading, reach: Reach | None) -> bool:
        """Whether the last exchanges have come, or will not come any more."""
        assert self._stopping is not None
        silent_ns = round(self._settings.alarm_s * 1e9)
        until_ns = awaited_until_ns(self.log, self._stopping, reach, silent_ns, now)
        if now.raw_ns >= until_ns:
            return True
        self.next_update_ns = min(self.next_update_ns, until_ns)
        return False

    def _disk_has(self, it: bool, now: Reading) -> bool:
        """Whether the disk has it, or never will; while it takes it, it is looked at again soon."""
        if not (it or self.store.moved or self.store.problem):
            self.next_update_ns = min(self.next_update_ns, now.raw_ns + _AGAIN_NS)
        return it or self.store.moved

    def _note_taken(self, new: object, now: Reading) -> None:
        if self._stopping:
            self.next_update_ns = min(self.next_update_ns, self._soon_ns)
            if new:
                self._stopping.note_recorded(now.raw_ns)

    def _record(self, **changes: object) -> None:
        self.recording = self.log.recording = self.recording.model_copy(update=changes)
