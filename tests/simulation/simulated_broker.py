"""A simulated MQTT broker and the links to it: delay, loss, duplication, reordering, outages, a restart.

QoS, retained messages, wills and subscriptions follow MQTT 3.1.1, with clean sessions. A message of QoS 0
may be lost, doubled or overtaken; those of QoS 1 arrive in their order, perhaps late or twice, and those that
were under way when a connection ended are sent again over the next one, as the client does.
"""

from collections import deque
from functools import lru_cache
from typing import NamedTuple

from broker.address import parse_address
from broker.client.one_step import OneStepPacket
from broker.interface import Incoming
from broker.reconnect import Backoff
from broker.subscriptions import REFUSED
from runtime.clock import read
from runtime.watchdog import Loop
from schemas import topics

S = 1_000_000_000
ROOT = "tidesync"
KEEPALIVE_S = 7.5
"""Both ends of a connection take it for lost after a silence of 1.5 keepalives."""
RETRANSMISSION_S = 0.2
LEAST_TURN_S = 1e-6


class Logged(NamedTuple):
    """A message as it came to the broker."""

    at_s: float
    name: str
    payload: bytes
    topic: topics.Topic
    body: object
    """Decoded; None of what clears a retained message."""
    retain: bool
    difference_ns: int
    """Topside's realtime − RAW then."""


class SimulatedBroker:
    """Delivers messages between the connections."""

    def __init__(self, simulation):
        self.simulation = simulation
        self.up = True
        self.retained = {}
        self.refuses = set()
        """Filters to which nobody may subscribe."""
        self.retained_to_wildcards = True
        """RabbitMQ 3.10 sends what is retained to subscriptions without wildcards alone."""
        self.connections = []
        self.log = []
        self.others = []
        """(topic, payload, retain) of topics that are not ours."""

    def connection(self, machine, link, _settings, callbacks, clock, **options):
        """What an agent gets in place of a connection."""
        made = SimulatedConnection(self, machine, link, callbacks, clock, **options)
        self.connections.append(made)
        return made

    def publish(self, topic, payload, qos, *, retain):
        """A message arrived."""
        self._note(topic, payload, retain)
        self.forge(topic, payload, qos, retain=retain)

    def forge(self, topic, payload, qos=0, *, retain=False):
        """The same, of one that is not to be in the log."""
        if retain and payload:
            self.retained[topic] = (payload, qos)
        elif retain:
            self.retained.pop(topic, None)
        for connection in self.connections:
            granted = connection.granted(topic)
            if granted is not None:
                connection.carry_in(topic, payload, min(qos, granted), retain=False)

    def restart(self, after_s, *, off_s=1.0, keeps_retained=False):
        """Kill the broker: every connection ends, no will is sent; start it again `off_s` later."""

        def kill():
            self.up = False
            if not keeps_retained:
                self.retained.clear()
            for connection in self.connections:
                connection.end("connection lost")
            self.simulation.after(off_s, start)

        def start():
            self.up = True

        self.simulation.at(after_s, kill)

    def _note(self, topic, payload, retain):
        try:
            parsed = topics.parse(ROOT, topic)
        except topics.InvalidTopicError:
            self.others.append((topic, payload, retain))
            return
        body = parsed.kind.decode(payload) if payload else None
        at_s, difference_ns = self.simulation.now_s, self.simulation.clock.difference_ns
        self.log.append(Logged(at_s, topic, payload, parsed, body, retain, difference_ns))


class SimulatedConnection:
    """Serves an agent as `broker.connection.Connection` does, without a thread."""

    address = parse_address("mqtt://127.0.0.1:1883")
    failure = last_problem = problem = refusal = None
    nodelay = True
    receive_stamp = "kernel"
    transmit_stamp = "write"

    def __init__(self, broker, machine, link, callbacks, clock, *, name, will=None, persistent=False):
        assert not persistent
        self.broker, self.machine, self.link = broker, machine, link
        self.simulation = broker.simulation
        self.name, self.will = name, will
        self.up = False
        self.connects = 0
        self.loop = Loop("the simulation")
        self._callbacks, self._clock = callbacks, clock
        self._filters = {}
        self._posted = deque()
        self._unacknowledged = {}
        self._in_order_ns = {"out": 0, "in": 0}
        self._next_turn = 0
        self._stopped = False
        self._backoff = Backoff(broker.simulation.random)

    # As an agent sees it

    @property
    def reconnects(self):
        return max(0, self.connects - 1)

    @property
    def status_text(self):
        return "connected" if self.up else "waiting"

    def start(self):
        self.simulation.after(0, self._connect)

    def stop(self, farewell=()):
        self._turn()
        self.publish(*farewell)
        self._stopped = True
        self.up = False
        self._filters.clear()

    def wait_until_finished(self, _timeout_s):
        return self._stopped

    @property
    def carries_pings(self):
        return self.up

    @property
    def loops(self):
        return (self.loop,)

    def post(self, work):
        self._posted.append(work)
        self.simulation.after(0, self._wake)

    def publish(self, *messages):
        if not self.up:
            return False
        for message in messages:
            self._send(message.topic, self._stamped(message), message.qos, message.retain)
        return True

    def subscribe(self, filters, answered=None):
        """The broker answers with a code for each filter, and with what it has retained."""
        granted = [(name, qos) for name, qos in filters if name not in self.broker.refuses]
        self._filters |= dict(granted)
        codes = dict.fromkeys(dict(filters), REFUSED) | dict(granted)
        if answered is not None:
            self.post(lambda: answered(codes))
        filters = granted
        for topic, (payload, qos) in list(self.broker.retained.items()):
            granted = max((g for f, g in filters if self._is_sent_retained(f, topic)), default=None)
            if granted is not None:
                self.carry_in(topic, payload, min(qos, granted), retain=True)

    def _is_sent_retained(self, name, topic):
        return name == topic or (self.broker.retained_to_wildcards and _matches(name, topic))

    def unsubscribe(self, filters):
        for topic in filters:
            self._filters.pop(topic, None)

    # What happens to it

    def granted(self, topic):
        """The QoS of its subscription to `topic`, if it has one."""
        return max((qos for filter_, qos in self._filters.items() if _matches(filter_, topic)), default=None)

    def end(self, reason, *, will=False):
        """The connection ends at both ends; what was under way is lost, or sent again if it has QoS 1."""
        if not self.up:
            return
        self.up = False
        self._filters.clear()
        if will and self.will:
            self.broker.publish(self.will.topic, self.will.payload, self.will.qos, retain=self.will.retain)
        self.machine.do(lambda: self._callbacks.disconnected(reason))
        self._retry()

    def vanish(self):
        """Its machine lost power: the broker notices when the keepalive is over."""
        self.simulation.after(KEEPALIVE_S, lambda: self.end("power", will=True))

    def stall(self, for_s):
        """Its machine sleeps: the broker ends the connection if that takes longer than the keepalive."""
        if for_s > KEEPALIVE_S:
            self.simulation.after(KEEPALIVE_S, lambda: self.end("connection lost", will=True))

    # Under way

    def carry_in(self, topic, payload, qos, *, retain):
        """From the broker to the agent."""

        def arrive():
            if self._stopped:
                return
            message = Incoming(topic, payload, retain, read(self._clock), self.receive_stamp)
            self._callbacks.received(message)
            self._turn()

        self._carry("in", self.link.from_ns, qos, lambda: self.machine.do(arrive))

    def _send(self, topic, payload, qos, retain, number=None):
        number = object() if number is None else number
        if qos:
            self._unacknowledged[number] = (topic, payload, qos, retain)

        def arrive():
            self._unacknowledged.pop(number, None)
            self.broker.publish(topic, payload, qos, retain=retain)

        self._carry("out", self.link.to_ns, qos, arrive)

    def _carry(self, way, delay_ns, qos, arrive):
        source, now_s = self.simulation.random, self.simulation.now_s
        starts_s = self.link.until_s(now_s)
        lost = source.random() < self.link.lost
        if lost and not qos:
            return
        if starts_s - now_s > KEEPALIVE_S:
            self.simulation.after(KEEPALIVE_S, self._break_if_down)
        connect = self.connects

        def arrive_if_connected():
            if self.connects == connect and (self.up or self._stopped):
                arrive()

        for _ in range(2 if source.random() < self.link.doubled else 1):
            at_ns = self.simulation.start_ns + round(starts_s * S + delay_ns(source))
            if qos:
                at_ns = max(at_ns + lost * round(RETRANSMISSION_S * S), self._in_order_ns[way] + 1)
                self._in_order_ns[way] = at_ns
            self.simulation.push(max(at_ns, self.simulation.clock.now_ns), arrive_if_connected)

    def _break_if_down(self):
        if self.link.until_s(self.simulation.now_s) > self.simulation.now_s:
            self.end("connection lost", will=True)

    def _connect(self):
        if self._stopped or not self.machine.on or self.up:
            return
        away = self.link.until_s(self.simulation.now_s) > self.simulation.now_s or not self.broker.up
        if away or self.machine.asleep_until_ns > self.simulation.clock.now_ns:
            self._retry()
            return
        self.up = True
        self.connects += 1
        self._backoff.reset()
        for number, message in list(self._unacknowledged.items()):
            self._send(*message, number=number)
        self._callbacks.connected()
        self._turn()

    def _retry(self):
        self.simulation.after(self._backoff.next_s(), self._connect)

    def _stamped(self, message):
        stamp = message.one_step
        if stamp is None:
            return message.payload
        return bytes(OneStepPacket(message.payload, stamp.position, stamp, self._clock.raw_ns)[0:])

    # The network thread

    def _wake(self):
        self.machine.do(self._turn)

    def _turn(self):
        """What the network thread does between two waits."""
        if self._stopped:
            return
        while self._posted:
            self._posted.popleft()()
        wait_s = max(LEAST_TURN_S, min(self._callbacks.tick(read(self._clock)), 0.5))
        self._next_turn += 1
        turn = self._next_turn
        self.simulation.after(wait_s + 1e-9, lambda: self._wake() if turn == self._next_turn else None)


@lru_cache(10_000)
def _matches(filter_, topic):
    levels, wanted = topic.split("/"), filter_.split("/")
    if wanted[-1] == "#":
        return levels[: len(wanted) - 1] == wanted[:-1]
    return len(levels) == len(wanted) and all(
        w in {"+", level} for w, level in zip(wanted, levels, strict=True)
    )
