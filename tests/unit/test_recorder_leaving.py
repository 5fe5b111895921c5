"""A recorder that ends has on the disk all that it acknowledged: the broker does not send it again."""

import threading

import pytest

from broker.interface import Incoming
from runtime.clock import SystemClock, read
from runtime.watchdog import Loop
from schemas import topics
from schemas.messages import ExchangeBatch, StartCommand
from tests.unit.test_recorder_session import exchange
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.recorder.agent import RecorderAgent
from tidesync.sessions.recorder.settings import RecorderSettings

DISK_S = 0.02
BATCHES = 20


class Leaving:
    """A connection that reads, while it is left, what was on its way, as a real one."""

    up, refusal = True, None

    def __init__(self, on_its_way):
        self.loop = Loop("a test")
        self._on_its_way, self._posted, self._finished = on_its_way, [], False

    def connect(self, _settings, agent, _clock, **_options):
        self._agent = agent
        return self

    def post(self, work):
        self._posted.append(work)

    def publish(self, *_messages):
        return True

    def subscribe(self, *_filters):
        pass

    start = unsubscribe = subscribe

    def stop(self, _farewell):
        for work in self._posted:
            work()
        for message in self._on_its_way:
            self._agent.received(message)
        self._finished = True

    def wait_until_finished(self, _timeout_s):
        return self._finished


def slow_disk(work, _name):
    threading.Timer(DISK_S, work).start()


@pytest.mark.parametrize("in_frames", [False, True])
def test_what_comes_while_it_leaves_is_written(tmp_path, in_frames):
    clock, names = SystemClock(), ("rov1", "rov2")

    def arrives(kind, body, **where):
        return Incoming(topics.build("tidesync", kind, **where), body.encode(), False, read(clock), "user")

    def batch(seq, name):
        one = ExchangeBatch(schema_version=1, batch=seq, exchanges=(exchange(seq, seq, vehicle=name),))
        return arrives(topics.EXCHANGE, one, vehicle=name, topside="topside")

    on_its_way = [batch(seq, name) for seq in range(1, BATCHES) for name in names]
    settings = RecorderSettings(root=tmp_path, broker="mqtt://localhost")
    agent = RecorderAgent(settings, clock, connect=Leaving(on_its_way).connect, disk=slow_disk)
    agent.start()
    start = StartCommand(request_id="start", mission="reef-42", sensors={})
    agent.received(arrives(topics.SESSION_COMMAND, start, session="s1"))
    if in_frames:
        agent._sessions.get("s1").store.compress()
    for name in names:
        agent.received(batch(0, name))
    agent.stop()
    recorded = SessionFolder(tmp_path / "reef-42" / "session_s1").read_exchanges().exchanges
    assert sorted((one.vehicle, one.seq) for one in recorded) == sorted(
        (name, seq) for name in names for seq in range(BATCHES)
    )
