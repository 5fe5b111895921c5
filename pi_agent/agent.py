"""The vehicle's agent: answers pings, reports what happens to its clock, announces itself."""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import TYPE_CHECKING

from broker.agent import MqttAgent, connect_agent
from broker.interface import Outgoing
from broker.own_clock import OwnClock
from pi_agent.clock_state import ClockState
from pi_agent.health import Health
from pi_agent.http_thread import HttpThread, http_listener
from pi_agent.incoming import MessageFilter
from pi_agent.messages import AnnouncementPolicy, MessageBuilder
from pi_agent.responder import Answerer, answer
from pi_agent.udp.direct import DirectPath
from runtime.clock import SystemClock, process_instance_id, raw_resolution_ns, read
from runtime.version import VERSION
from schemas import topics
from schemas.clock_history import ClockResendCommand
from schemas.direct_path import UdpRequest
from schemas.messages import Info, Ping

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.interface import Connect, Incoming
    from broker.own_clock import Watch
    from pi_agent.messages import Announcement
    from pi_agent.settings import PiSettings
    from runtime.clock import Clock, Reading
    from runtime.clock_watch import ClockChange
    from runtime.watchdog import Loop
    from schemas.exchange import StampKind
    from schemas.topics import Topic

_log = logging.getLogger(__name__)

_MOST_EVENTS = 100
"""The newest are kept while the broker is away; of a clock that steps more often, no more need be known."""
_TICK_NS = 500_000_000
_ONLINE_WAIT_S = 1.0
"""How long HTTP waits for MQTT to be up, so as not to slow it down."""


class PiAgent(MqttAgent):
    """Runs in the connection's network thread; HTTP and the clock's watch have threads of their own.

    A simulation brings its own connection, clock's watch, answer to whether NTP steers the clock, and
    instance id, which decides when the agent answers a topside that comes online.
    """

    def __init__(
        self,
        settings: PiSettings,
        clock: Clock,
        *,
        connect: Connect = connect_agent,
        watch: Watch | None = None,
        synchronized: Callable[[], bool] | None = None,
        instance_id: str | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._real = isinstance(clock, SystemClock)
        self._started = read(clock)
        self._answerer = Answerer(
            clock.boot_id, instance_id or process_instance_id(), raw_resolution_ns(clock)
        )
        self._builder = MessageBuilder(
            settings.topic_root,
            settings.vehicle,
            self._answerer,
            self._started.realtime_ns,
            simulated=not self._real,
        )
        self._status_topic = self._builder.status("online").topic
        self._filter = MessageFilter(settings.topic_root, settings.vehicle, self._started.raw_ns)
        self._announcements = AnnouncementPolicy(self._answerer.instance_id)
        self._events: deque[Outgoing] = deque(maxlen=_MOST_EVENTS)
        self._unanswered: Counter[str] = Counter()
        self._answered = 0
        self._last_ping: tuple[str, int] | None = None
        self._tick_due_ns = 0
        self._receive_stamp: StampKind = "user"
        self._refused: tuple[str, ...] = ()
        self._http: HttpThread | None = None
        self._http_port: int | None = None
        self._own_clock = OwnClock(
            "vehicle",
            settings.vehicle,
            clock,
            self._answerer.instance_id,
            changed=self._clock_changed,
            watch=watch,
        )
        self.watcher = self._own_clock.watcher
        self._clock_state = ClockState(clock, self.watcher, synchronized, self._started.raw_ns)
        self.direct = DirectPath(settings, self._answerer)
        name, will = f"tidesync-pi-{settings.vehicle}", self._builder.status("offline")
        self._connection = connect(settings, self, clock, name=name, will=will)
        self._own_clock.connect(self._connection, settings, self._builder.clock)

    # Service: the main thread

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops that the watchdog watches."""
        http = self._http.loops if self._http else ()
        return (*super().loops, self.watcher.loop, *self.direct.loops, *http)

    def start(self) -> None:
        """Take both ports (ListenError if one cannot be used), then begin; returns at once."""
        listener = http_listener(self._settings)
        self.direct.start(self._clock)
        if listener is not None:
            self._http_port = self._settings.http_port
            self._http = HttpThread(
                listener,
                self._clock,
                self,
                mqtt_ready=lambda: self._connection.wait_until_up(_ONLINE_WAIT_S),
                failed=lambda: self._connection.post(self._http_failed),
            )
        self._connection.start()
        self.watcher.start()
        if self._http is not None:
            self._http.start()

    def stop(self) -> None:
        """Say offline and end, within a second."""
        if self._http is not None:
            self._http.request_stop()
        self._own_clock.stop()
        self.direct.stop()
        self._connection.stop(farewell=[self._builder.status("offline")])
        self._own_clock.write()
        if self._http is not None:
            self._http.join()

    # HealthSource: the HTTP thread

    def health(self) -> Health:
        """Its state now."""
        now_ns = self._clock.raw_ns()
        last = self._last_ping
        return Health(
            vehicle=self._settings.vehicle,
            version=VERSION,
            broker=str(self._connection.address),
            broker_connected=self._connection.up,
            broker_problem=self._connection.last_problem,
            topics_refused=self._refused_now,
            uptime_s=(now_ns - self._started.raw_ns) / 1e9,
            reconnects=self._connection.reconnects,
            pings_answered=self._answered,
            messages_dropped=dict(self._filter.dropped + Counter(self._unanswered)),
            last_ping_topside=last[0] if last else None,
            last_ping_age_s=(now_ns - last[1]) / 1e9 if last else None,
            clock_changes=dict(self._own_clock.changes),
            clock_synchronized=self._clock_state.synchronized,
            clock=str(self._clock_state.discipline),
            udp_port=self.direct.port,
            datagrams_answered=self.direct.answered,
            datagrams_dropped=self.direct.dropped,
            simulated=not self._real,
        )

    @property
    def _refused_now(self) -> tuple[str, ...]:
        refusal = self._connection.refusal
        return (*refusal.filters, *refusal.topics) if refusal else ()

    # Owner: the network thread

    def connected(self) -> None:
        """Subscribe, announce, and publish the clock events of the time without a broker."""
        root, vehicle = self._settings.topic_root, self._settings.vehicle
        self._connection.subscribe(topics.read_by(root, "vehicle", vehicle=vehicle))
        self._announce("info")
        self._announce("status")
        while self._events:
            self._publish_event(self._events.popleft())
        self._own_clock.publish()

    def disconnected(self, reason: str) -> None:
        """Pings find no answer until the connection is back."""
        _log.warning("no longer connected to broker %s: %s", self._connection.address, reason)

    def received(self, message: Incoming) -> None:
        """Answer a ping, a command; take in what others publish as our status and info."""
        if message.topic == self._status_topic and not message.retain:
            self._tick_due_ns = 0  # an announcement that it makes due goes out at once
            self._announcements.heard_status(message.payload, message.received.raw_ns)
        letter = self._filter.open(message)
        if letter is None:
            return
        if isinstance(letter.body, Ping):
            self._answer(letter.body, letter.topic, message)
            return
        if isinstance(letter.body, ClockResendCommand):
            self._own_clock.publisher.resend(letter.body)
            return
        if isinstance(letter.body, UdpRequest):
            topside = str(letter.topic.topside)
            broker, now_ns = self._connection.address.host, message.received.raw_ns
            if reply := self.direct.requested(letter.body, topside, now_ns, broker):
                self._connection.publish(reply)
            return
        if letter.topic.kind is topics.TOPSIDE_STATUS:
            name, word = str(letter.topic.topside), str(letter.body)
            self._announcements.heard_topside(name, word, message.received.raw_ns)
            return
        if isinstance(letter.body, Info):
            self._tick_due_ns = 0
            self._heard_info(letter.body, message.received.raw_ns)

    def tick(self, now: Reading) -> float:
        """Announce again what is due; check now and then who disciplines the clock."""
        left_ns = self._tick_due_ns - now.raw_ns
        if left_ns > 0:
            return left_ns / 1e9
        self._tick_due_ns = now.raw_ns + _TICK_NS
        self._own_clock.tick(now.raw_ns)
        if self._connection.up:
            if self._clock_state.changed(now.raw_ns):
                flag = "synchronized" if self._clock_state.synchronized else "not synchronized"
                _log.info("the clock: %s; the kernel calls it %s", self._clock_state.discipline, flag)
                self._announce("info")
            if (self._connection.receive_stamp, self._refused_now) != (self._receive_stamp, self._refused):
                self._announce("info")
            for what in self._announcements.due(now.raw_ns):
                self._announce(what)
        return _TICK_NS / 1e9

    def _answer(self, ping: Ping, topic: Topic, message: Incoming) -> None:
        assert topic.topside is not None
        pong_topic = self._builder.pong_topic(topic.topside)  # before the stamp, which comes last
        transmit_stamp = self._connection.transmit_stamp
        now = read(self._clock)
        pong = answer(
            ping, message.received, message.stamp, now, self._answerer, transmit_stamp=transmit_stamp
        )
        if isinstance(pong, str):
            self._unanswered[pong] += 1
            _log.debug("no answer to ping %d of %s: %s", ping.seq, topic.topside, pong)
        elif self._connection.publish(self._builder.pong(pong_topic, pong, is_moving=self.watcher.is_moving)):
            self._answered += 1
            self._last_ping = (topic.topside, message.received.raw_ns)

    def _heard_info(self, info: Info, now_ns: int) -> None:
        if self._announcements.heard_info(info, now_ns):
            _log.warning(
                "another agent is called %s: instance %s (boot %s); this is %s (boot %s); rename one of them",
                self._settings.vehicle,
                info.instance_id,
                info.boot_id,
                self._answerer.instance_id,
                self._answerer.boot_id,
            )

    def _http_failed(self) -> None:
        self._http_port = None
        self._announce("info")

    def _announce(self, what: Announcement) -> None:
        if what == "status":
            message = self._builder.status("online")
        else:
            self._receive_stamp, self._refused = self._connection.receive_stamp, self._refused_now
            message = self._builder.info(
                receive_stamp=self._receive_stamp,
                clock_synchronized=self._clock_state.synchronized,
                discipline=self._clock_state.discipline,
                http_port=self._http_port,
                udp=self.direct.version,
                udp_key_public=self.direct.key_public,
                topics_refused=self._refused,
            )
        if self._connection.publish(message):
            self._announcements.announced(what, self._clock.raw_ns())

    def _clock_changed(self, change: ClockChange) -> None:
        self._publish_event(self._builder.event(change))

    def _publish_event(self, event: Outgoing) -> None:
        if not self._connection.publish(event):
            self._events.append(event)
