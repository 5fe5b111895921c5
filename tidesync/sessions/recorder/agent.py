"""The recorder's agent: commands and measurements in; files, states, and requests to topsides out."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from broker.agent import MqttAgent, agent_counts
from broker.budgets import PeerBudgets
from broker.connection import Connection
from broker.inbox import Inbox, Letter
from broker.interface import Incoming, Outgoing
from runtime.clock import Clock, Reading, read
from runtime.files import free_bytes
from runtime.logs import PeerLog
from runtime.sleep import SleepCounter
from schemas import messages, topics
from schemas.instants import utc_from_ns
from tidesync.sessions.errors import RefusedError
from tidesync.sessions.recorder import command_rules
from tidesync.sessions.recorder.background import Background, DiskThread, in_thread
from tidesync.sessions.recorder.closing import close
from tidesync.sessions.recorder.metrics import RecorderCounts
from tidesync.sessions.recorder.outbox import ClockDirectory, Outbox, TopsideDirectory, status_of
from tidesync.sessions.recorder.recording import Recording
from tidesync.sessions.recorder.resumer import Resumer
from tidesync.sessions.recorder.sessions import Sessions, claim_root

if TYPE_CHECKING:
    from broker.interface import Connect
    from schemas.clock_history import TopsideClock, VehicleClock
    from tidesync.sessions.clock_pieces import Owner
    from tidesync.sessions.recorder.closing import Closing
    from tidesync.sessions.recorder.session_recorder import SessionRecorder
    from tidesync.sessions.recorder.settings import RecorderSettings

_log = logging.getLogger(__name__)

_GATHER_S = 0.04
"""Messages gather for so long before they are read: nothing that is recorded is dated by its arrival here."""
_LINES_PER_MINUTE = 10
"""Of a session, and of all commands that are refused."""
_DISK_LIMIT_S = 60.0
"""Files are written in the network thread, and a memory card can hold a write back for half a minute."""


class RecorderAgent(MqttAgent):
    """Records every session that is started, and resumes those that it was killed in.

    `connect` makes the connection, `background` runs what takes long, `disk` writes (None: a thread for that
    alone); a simulation brings its own.
    """

    def __init__(
        self,
        settings: RecorderSettings,
        clock: Clock,
        *,
        connect: Connect = partial(Connection, gather_s=_GATHER_S),  # noqa: B008 - calls nothing yet
        background: Background = in_thread,
        disk: Background | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = SleepCounter(clock)
        self._inbox = Inbox(settings.topic_root, PeerBudgets(settings))
        self._peer_log = PeerLog(_log, _LINES_PER_MINUTE)
        self._topsides = TopsideDirectory(clock.raw_ns())
        self._clocks = ClockDirectory()
        self._own_disk = None if disk else DiskThread()
        self._sessions = Sessions(settings, disk or self._own_disk or in_thread)
        self._claim: int | None = None
        self._background = background
        name, will = f"tidesync-recorder-{settings.name}", self._status("offline")
        self._connection = connect(settings, self, clock, name=name, will=will, persistent=True)
        self._connection.loop.limit_s = _DISK_LIMIT_S
        self._outbox = Outbox(self._connection, settings.topic_root)
        self._resumer = Resumer(clock, background, self._connection.post, self._publish_state)

    def start(self) -> None:
        """Resume what was being recorded, connect; UnusableRootError when the root cannot be written."""
        self._claim = claim_root(self._settings.root)
        _log.info("recording below %s", self._settings.root.resolve())
        self._sessions.recover(read(self._clock))
        for session in self._sessions:
            self._resumer.look(session)
        self._connection.start()

    def stop(self) -> None:
        """Write what there is, publish that nobody records, and end; the next start resumes the sessions."""
        self._connection.post(self._suspend)
        self._connection.stop([self._status("offline")])
        if self.wait_until_finished(1.0):  # what came until now is acknowledged: it does not come again
            self._sessions.finish()
        if self._own_disk:
            self._own_disk.stop()
        claim, self._claim = self._claim, None
        if claim is not None:
            os.close(claim)

    def counts(self) -> RecorderCounts:
        """The counts now; any thread may ask."""
        agent = agent_counts("recorder", self._connection, self._inbox.dropped)
        sessions = [session.counts(read(self._clock)) for session in self._sessions]
        return RecorderCounts(self._settings.name, agent, free_bytes(self._settings.root), sessions)

    # Callbacks of the connection, in the network thread

    def connected(self) -> None:
        """Subscribe, and publish every session's state."""
        self._topsides.reach.note_connected(self._clock.raw_ns())
        self._connection.publish(self._status("online"))
        self._outbox.subscribe(self._sessions.active, reconnected=True)
        for session in self._sessions:
            session.log.request_all(read(self._clock))
            session.published = None
            self._publish_state(session)

    def disconnected(self, reason: str) -> None:
        """Topside keeps what is missed; it is requested once the broker is back."""
        self._topsides.reach.note_disconnected(self._clock.raw_ns())
        _log.warning("lost the broker (%s); what is missed meanwhile is asked for afterwards", reason)

    def received(self, message: Incoming) -> None:
        """Take a message; measurements of vehicles in no session are not even decoded."""
        self._notice_sleep()
        vehicle = command_rules.measured_vehicle(self._settings.topic_root, message.topic)
        if vehicle is not None and not self._sessions.including(vehicle):
            return
        letter = self._inbox.open(message)
        if letter is None:
            if answer := command_rules.refusal_of_invalid(self._settings.topic_root, message):
                self._outbox.state(answer)
        elif foreign := command_rules.foreign_entries(letter):
            self._inbox.drop("name", f"{foreign} of its entries are not the topic's, or impossible", message)
        else:
            self._handle(letter)

    def tick(self, now: Reading) -> float:
        """Update the sessions that are due; returns the seconds until the next."""
        self._notice_sleep()
        for session in self._sessions:
            self._resumer.look(session)
            if session.next_update_ns <= now.raw_ns:
                self._update(session, now)
            elif session.republish_due(now):
                self._publish_state(session)
        self._sessions.drop_finished(now)
        return self._sessions.wait_s(self._clock.raw_ns())

    def _notice_sleep(self) -> None:
        """Before anything is done: RAW stood still while this computer slept, and no message came."""
        slept_ns = self._sleep.slept_ns()
        if not slept_ns:
            return
        _log.warning("this computer slept for %.1f s; what is missed is asked for", slept_ns / 1e9)
        for session in self._sessions:
            session.slept(slept_ns, read(self._clock))

    def _status(self, status: messages.Status) -> Outgoing:
        return status_of(self._settings.topic_root, self._settings.name, status)

    # Messages

    def _handle(self, letter: Letter) -> None:
        body, now, stored = letter.body, letter.incoming.received, letter.incoming.retain
        if isinstance(body, messages.ExchangeBatch):
            for session in self._sessions.including(letter.topic.vehicle or ""):
                session.take_batch(body.exchanges, body.batch, now)
        elif isinstance(body, messages.OffsetResult):
            self._take_result(body, now, stored=stored)
        elif isinstance(body, messages.Event):
            for session in self._sessions.including(body.vehicle):
                session.take_event(body, now)
        elif clock := command_rules.clock_of(letter):
            self._take_clock(*clock, now)
        elif letter.topic.kind is topics.TOPSIDE_STATUS:
            self._take_status(letter.topic.topside or "", now, online=body == "online")
        elif stored:  # a retained command is an old one
            self._inbox.drop("retained", "a command must not be retained", letter.incoming)
        elif isinstance(body, messages.StartCommand | messages.StopCommand):
            self._execute(letter.topic.session or "", body, now)

    def _take_result(self, result: messages.OffsetResult, now: Reading, *, stored: bool) -> None:
        self._topsides.note_result(result)
        for session in self._sessions.including(result.vehicle):
            session.take_result(result, now, stored=stored)

    def _take_status(self, topside: str, now: Reading, *, online: bool) -> None:
        if self._topsides.reach.note_status(topside, now.raw_ns, online=online):
            for session in self._sessions:
                session.log.watches.request_all(topside)

    def _take_clock(self, owner: Owner, message: VehicleClock | TopsideClock, now: Reading) -> None:
        self._clocks.note(owner, message, now.raw_ns)
        for session in self._sessions:
            if session.includes_clock(owner):
                session.take_clock(owner, message, now)

    def _execute(
        self, name: str, command: messages.StartCommand | messages.StopCommand, now: Reading
    ) -> None:
        try:
            if isinstance(command, messages.StartCommand):
                self._start(name, command, now)
            else:
                self._stop(name, command.request_id, now)
        except RefusedError as error:
            sentence = f"refused to {command.action} session {name}: {error}"
            self._peer_log.warning("commands", sentence, now.raw_ns)
            self._outbox.state(command_rules.refusal(name, command.request_id, str(error)))

    def _start(self, name: str, command: messages.StartCommand, now: Reading) -> None:
        session = self._sessions.get(name)
        if session:
            session.recording.check_same(command)
            session.answer(command.request_id)
        else:
            session = self._open(name, command, now)
        self._publish_state(session)

    def _open(self, name: str, command: messages.StartCommand, now: Reading) -> SessionRecorder:
        started_at = utc_from_ns(now.realtime_ns)
        recording = Recording.from_command(name, command, self._settings.name, started_at)
        session = self._sessions.open(recording, now)
        for result in self._topsides.results:
            if session.includes(result.vehicle):
                session.take_result(result, now, stored=True)
        self._outbox.subscribe(self._sessions.active)
        self._burst(session)
        self._resumer.look(session)
        self._update(session, now)
        for owner, message in self._clocks.alive(now.raw_ns):
            if session.includes_clock(owner):
                session.take_clock(owner, message, now)
        return session

    def _stop(self, name: str, request_id: str, now: Reading) -> None:
        session, ended = self._sessions.get(name), self._sessions.ended(name)
        if session:
            if session.phase == "recording":  # else the command is repeated
                self._burst(session)
            session.stop(request_id, now)
        elif ended:
            self._outbox.state(ended.model_copy(update={"request_id": request_id}))
        else:
            raise RefusedError(f"recorder {self._settings.name!r} does not record it")

    # Sessions

    def _update(self, session: SessionRecorder, now: Reading) -> None:
        name, alarm = session.recording.session, session.log.alarm
        written, actions = session.log.written, session.update(now, self._topsides.reach)
        if session.log.alarm and session.log.alarm != alarm:
            self._peer_log.warning(name, f"session {name}: {session.log.alarm}", now.raw_ns)
        if actions.refused:
            sentence = f"session {name}: there was no room for {actions.refused} lines"
            self._peer_log.warning((name, "room"), sentence, now.raw_ns)
        for lost in actions.lost:
            self._peer_log.warning((name, "lost"), f"session {name}: {lost}", now.raw_ns)
        self._outbox.commands(actions.resend)
        if actions.smooth:
            self._smooth(session)
        if session.state != session.published or session.republish_due(now):
            self._publish_state(session)
        if session.log.written and not written:
            found = session.log.exchanges, session.store.folder.path, session.log.watches.missing.total()
            _log.info("session %s stopped: %d exchanges in %s, %d missing", name, *found)

    def _smooth(self, session: SessionRecorder) -> None:
        """Compute the track in the background: it may take longer than the broker waits for a client."""
        self._outbox.subscribe(self._sessions.active)
        store, topsides, stopped_ns = session.store, session.log.topsides, self._clock.realtime_ns()

        def work() -> None:
            closing = close(store.folder, topsides, stopped_ns, store.is_claimed)
            self._connection.post(lambda: self._close(session, closing))

        self._background(work, f"smooth-{session.recording.session}")

    def _close(self, session: SessionRecorder, closing: Closing) -> None:
        session.close(closing, now := read(self._clock))
        self._update(session, now)

    def _suspend(self) -> None:
        """Publish that nobody records: without it the states would look as if recording went on."""
        for session in self._sessions.suspend(read(self._clock), self._topsides.reach):
            self._outbox.state(command_rules.suspended(session.state))

    def _burst(self, session: SessionRecorder) -> None:
        self._outbox.burst(self._topsides.measured_by(session.recording.vehicles))

    def _publish_state(self, session: SessionRecorder) -> None:
        state = session.state
        if self._outbox.state(state):
            session.note_published(state, self._clock.raw_ns())
        if session.phase == "stopped":
            self._sessions.note_ended(state)
