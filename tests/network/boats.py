"""A boat: agents with known clocks on one broker, and a checker that holds every result against the truth."""

import threading

from broker.interface import Outgoing
from broker.settings import ConnectionSettings
from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.clock import SimulatedClock, SystemClock
from schemas import topics
from tests.deadline import until, within
from tidesync.demo.checker import Checker
from tidesync.sessions.recorder.agent import RecorderAgent
from tidesync.sessions.recorder.settings import RecorderSettings
from topside_agent.group.agent import GroupAgent
from topside_agent.settings import TopsideSettings

A_MOMENT_NS = 100_000_000


class Boat:
    """Agents on one broker, in this process; everything is stopped at the end."""

    def __init__(self, url, stack, **connection):
        self.url = url
        self.connection = connection
        self.clock = SystemClock()
        self.clocks = {}
        self._stack = stack

    def vehicle(self, name, clock=None, **simulated):
        clock = clock or SimulatedClock(self.clock, **simulated)
        self.clocks[name] = clock
        return self.start(PiAgent(PiSettings(vehicle=name, no_http=True, **self._settings), clock))

    def step(self, name, step_ns):
        """Step a simulated clock, a moment later: no reading of it is under way then."""
        clock = self.clocks[name]
        at_ns = clock.base.raw_ns() - clock.started_raw_ns + A_MOMENT_NS
        clock._step_instants.append((at_ns, step_ns))

    def topside(self, **settings):
        return self.start(GroupAgent(TopsideSettings(**self._settings, **settings), self.clock))

    def recorder(self, root):
        agent = self.start(RecorderAgent(RecorderSettings(broker=self.url, root=root), self.clock))
        assert agent._connection.wait_until_subscribed(60)  # a command that comes sooner is lost
        return agent

    @property
    def _settings(self):
        return {"broker": self.url} | self.connection

    def checker(self):
        checker = AttentiveChecker(ConnectionSettings(**self._settings), self.clock, self.clocks, 0.25)
        self.start(checker.connection)
        assert checker.connection.wait_until_subscribed(60)
        return checker

    def start(self, service):
        service.start()
        self._stack.callback(service.stop)
        return service


class AttentiveChecker(Checker):
    """Also keeps every result, the last retained one and every event."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.heard = []
        self.retained = {}
        self.events = []
        self.session = None
        self._session_changed = threading.Condition()
        self.topside_is_online = False

    def connected(self):
        super().connected()
        filters = ("vehicle/+/event", "topside/+/status", "session/+/state")
        self.connection.subscribe([(f"tidesync/v1/{rest}", 1) for rest in filters])

    def received(self, message):
        letter = self._inbox.open(message)
        super().received(message)
        if letter and letter.topic.kind is topics.EVENT:
            self.events.append(letter.body)
        if letter and letter.topic.kind is topics.SESSION_STATE:
            with self._session_changed:
                self.session = letter.body
                self._session_changed.notify_all()
        if letter and letter.topic.kind is topics.TOPSIDE_STATUS:
            self.topside_is_online = letter.body == "online"
        if letter and letter.topic.kind is topics.OFFSET:
            self.heard.append(letter.body)
            if message.retain:
                self.retained[letter.topic.vehicle] = letter.body

    def command(self, session, command):
        """Command the recorder, as an operator would."""
        topic = topics.build("tidesync", topics.SESSION_COMMAND, session=session)
        self.connection.post(lambda: self.connection.publish(Outgoing(topic, command.encode())))

    def wait_for_session(self, fits, timeout_s):
        """The recorder's state once it `fits`, or None after `timeout_s`."""
        with self._session_changed:
            return self._session_changed.wait_for(
                lambda: self.session and fits(self.session) and self.session, timeout_s
            )

    def states(self, vehicle, after=0):
        """The states that `vehicle` went through, in order, without repetition."""
        seen = []
        for result in self.heard[after:]:
            if result.vehicle == vehicle and seen[-1:] != [result.state]:
                seen.append(result.state)
        return seen

    def last(self, vehicle):
        results = [result for result in self.heard if result.vehicle == vehicle]
        return results[-1] if results else None

    def until_state(self, vehicle, state, timeout_s=10.0, after=0, *, within_s=None):
        """The first result of `vehicle` in `state` after the first `after` results of all.

        `within_s`, where it is given, is promised.
        """

        def found():
            return next((r for r in self.heard[after:] if r.vehicle == vehicle and r.state == state), None)

        def what():
            return f"{vehicle} {state} (was {self.states(vehicle)})"

        return until(found, timeout_s, what) if within_s is None else within(found, within_s, what)


def drift_is_known(result):
    """Whether the bound ages slowly: that of a vehicle stopped at once leaves `holdover` within a second."""
    return bool(result and result.drift_error_ppm and result.drift_error_ppm < 1000)
