"""The recorder's shell: commands and measurements in; files, states, and requests to topsides out."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from broker.connection import Connection, Incoming
from broker.inbox import Inbox, Letter
from runtime.clock import Clock, Reading, read
from runtime.metrics import counts_of
from schemas import messages, topics
from schemas.instants import utc_from_ns
from tidesync.sessions import files
from tidesync.sessions.errors import RefusedError
from tidesync.sessions.recorder import command_rules as desk
from tidesync.sessions.recorder.closing import close
from tidesync.sessions.recorder.counts import RecorderCounts
from tidesync.sessions.recorder.directory import Directory
from tidesync.sessions.recorder.outbox import Outbox
from tidesync.sessions.recorder.sessions import Sessions

if TYPE_CHECKING:
    from broker.errors import BrokerError
    from runtime.loop import Loop
    from tidesync.sessions.recorder.ending import Closing
    from tidesync.sessions.recorder.live import LiveSession
    from tidesync.sessions.recorder.settings import RecorderSettings

_log = logging.getLogger(__name__)

_IDLE_S = 0.5
_LONGEST_WAIT_S = 1.0
"""Turns may be a minute apart; whether a state must be told again is looked at this often."""
_DISK_PATIENCE_S = 60.0
"""Files are written in the network thread, and a memory card can hold a write back for half a minute."""


class RecorderAgent:
    """Records every session it is told to, and goes on with those that it was killed in."""

    def __init__(self, settings: RecorderSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._inbox = Inbox(settings.topic_root)
        self._directory = Directory()
        self._sessions = Sessions(settings)
        self._claim: int | None = None
        self._connection = Connection(
            settings, self, clock, name=f"tidesync-recorder-{settings.name}", persistent=True
        )
        self._connection.loop.patience_s = _DISK_PATIENCE_S
        self._outbox = Outbox(self._connection, settings.topic_root)

    # Service

    @property
    def failure(self) -> BrokerError | None:
        """Why it ended by itself, once it has."""
        return self._connection.failure

    @property
    def loops(self) -> tuple[Loop, ...]:
        """What must come round for it to be alive."""
        return (self._connection.loop,)

    @property
    def standing(self) -> str:
        """How it stands with the broker, in words."""
        return self._connection.standing

    def start(self) -> None:
        """Take up what was being recorded, connect; UnusableRootError when the root cannot be written."""
        self._claim = files.claim_root(self._settings.root)
        _log.info("recording below %s", self._settings.root.resolve())
        self._sessions.recover(read(self._clock))
        self._connection.start()

    def stop(self) -> None:
        """Write what there is, say that nobody records, and end; the next start goes on with the sessions."""
        self._connection.post(self._leave)
        self._connection.stop([])
        claim, self._claim = self._claim, None
        if claim is not None:
            os.close(claim)

    def wait_until_finished(self, timeout_s: float | None) -> bool:
        """Whether it has ended by itself within `timeout_s`."""
        return self._connection.wait_until_finished(timeout_s)

    def counts(self) -> RecorderCounts:
        """How it stands now; any thread may ask."""
        now = read(self._clock)
        return RecorderCounts(
            self._settings.name,
            counts_of("recorder", self._connection, self._inbox.dropped),
            files.free_bytes(self._settings.root),
            [live.standing(now) for live in self._sessions],
        )

    # Owner of the connection: called in the network thread

    def connected(self) -> None:
        """Subscribe, and tell how every session stands."""
        self._subscribe(anew=True)
        for live in self._sessions:
            live.session.hurry()
            live.published = None
            self._publish_state(live)

    def disconnected(self, reason: str) -> None:
        """Topside keeps what we miss; it is asked for once the broker is back."""
        _log.warning("lost the broker (%s); what is missed meanwhile is asked for afterwards", reason)

    def received(self, message: Incoming) -> None:
        """One message; measurements of vehicles in no session are not even decoded."""
        vehicle = desk.measured_vehicle(self._settings.topic_root, message.topic)
        if vehicle is not None and not self._sessions.wanting(vehicle):
            return
        letter = self._inbox.open(message)
        if letter is None:
            if answer := desk.answer_to_invalid(self._settings.topic_root, message):
                self._outbox.state(answer)
        elif strange := desk.strangers(letter):
            self._inbox.drop("name", f"{strange} of its names are not the topic's", message)
        else:
            self._handle(letter)

    def tick(self, now: Reading) -> float:
        """Give each session its turn; returns the seconds until the next."""
        for live in self._sessions:
            if live.next_turn_ns <= now.raw_ns:
                self._turn(live, now)
            elif live.untold(now):
                self._publish_state(live)
        self._sessions.drop_finished(now)
        due_ns = self._sessions.next_turn_ns()
        if due_ns is None:
            return _IDLE_S
        return min(_LONGEST_WAIT_S, max(0.0, (due_ns - self._clock.raw_ns()) / 1e9))

    # What messages do

    def _handle(self, letter: Letter) -> None:
        body, now, stored = letter.body, letter.incoming.received, letter.incoming.retain
        if isinstance(body, messages.ExchangeBatch):
            for live in self._sessions.wanting(letter.topic.vehicle or ""):
                live.batch(body.exchanges, body.batch, now)
        elif isinstance(body, messages.OffsetResult):
            self._directory.note_result(body)
            for live in self._sessions.wanting(body.vehicle):
                live.result(body, now, stored=stored)
        elif isinstance(body, messages.Event):
            for live in self._sessions.wanting(body.vehicle):
                live.event(body, now)
        elif letter.topic.kind is topics.TOPSIDE_STATUS:
            self._directory.note_status(letter.topic.topside or "", online=body == "online")
        elif stored:  # an order that somebody left lying about is not given now
            self._inbox.drop("retained", "a command must not be retained", letter.incoming)
        elif isinstance(body, messages.StartCommand | messages.StopCommand):
            self._obey(letter.topic.session or "", body, now)

    def _obey(self, name: str, command: messages.StartCommand | messages.StopCommand, now: Reading) -> None:
        try:
            if isinstance(command, messages.StartCommand):
                self._start(name, command, now)
            else:
                self._stop(name, command.request_id, now)
        except RefusedError as error:
            _log.warning("refused to %s session %s: %s", command.action, name, error)
            self._outbox.state(desk.refusal(name, command.request_id, str(error)))

    def _start(self, name: str, command: messages.StartCommand, now: Reading) -> None:
        live = self._sessions.get(name)
        if live:
            desk.check_same(live.recording, command)
            live.answer(command.request_id)
        else:
            asked = desk.recording_of(name, command, self._settings.name, utc_from_ns(now.realtime_ns))
            live = self._sessions.open(asked, now)
            for result in self._directory.results:
                if live.wants(result.vehicle):
                    live.result(result, now, stored=True)
            self._subscribe()
            self._burst(live)
            self._turn(live, now)
        self._publish_state(live)

    def _stop(self, name: str, request_id: str, now: Reading) -> None:
        live, ended = self._sessions.get(name), self._sessions.ended(name)
        if live:
            if live.phase == "recording":  # else it is asked again
                self._burst(live)
            live.stop(request_id, now)
        elif ended:
            self._outbox.state(ended.model_copy(update={"request_id": request_id}))
        else:
            raise RefusedError(f"recorder {self._settings.name!r} is not recording a session {name}")

    # What is due

    def _turn(self, live: LiveSession, now: Reading) -> None:
        alarm = live.session.alarm
        due = live.turn(now)
        if live.session.alarm and live.session.alarm != alarm:
            _log.warning("session %s: %s", live.recording.session, live.session.alarm)
        for topside, command in due.resend:
            self._outbox.command(topside, command)
        if due.smooth:
            self._smooth(live)
        if live.state != live.published or live.untold(now):
            self._publish_state(live)

    def _smooth(self, live: LiveSession) -> None:
        """Compute the track in a thread of its own: it may take longer than the broker waits for us."""
        self._subscribe()
        store, topsides, stopped_ns = live.store, live.session.topsides, self._clock.realtime_ns()

        def work() -> None:
            closing = close(store.folder, topsides, stopped_ns)
            self._connection.post(lambda: self._closed(live, closing))

        threading.Thread(target=work, name=f"smooth-{live.recording.session}", daemon=True).start()

    def _closed(self, live: LiveSession, closing: Closing) -> None:
        live.closed(closing, read(self._clock))
        self._publish_state(live)
        name, exchanges = live.recording.session, live.session.exchanges
        _log.info("session %s stopped: %d exchanges in %s", name, exchanges, live.store.folder.path)

    def _leave(self) -> None:
        """The last that is said of what is recorded: without it the states would look as if it went on."""
        for live in self._sessions:
            live.turn(read(self._clock))
            if live.active:
                self._outbox.state(desk.left_alone(live.state))

    # To the broker

    def _subscribe(self, *, anew: bool = False) -> None:
        self._outbox.subscribe(self._sessions.active, anew=anew)

    def _burst(self, live: LiveSession) -> None:
        self._outbox.burst(self._directory.measured_by(live.recording.vehicles))

    def _publish_state(self, live: LiveSession) -> None:
        state = live.state
        if self._outbox.state(state):
            live.note_published(state, self._clock.raw_ns())
        if live.phase == "stopped":
            self._sessions.note_ended(state)
