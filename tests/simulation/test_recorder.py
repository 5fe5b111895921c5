"""The real recorder beside the real agents: whatever fails, the session has every exchange once."""

import os
from functools import partial

import pytest

from schemas import topics
from schemas.messages import ResendCommand, StartCommand, StopCommand
from tests.simulation.simulated import ROOT, Simulation, jitter
from tests.simulation.simulated_machines import BaseClock, Link, Machine
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.recorder.agent import RecorderAgent
from tidesync.sessions.recorder.settings import RecorderSettings

FAULTS = {
    "quiet": Link(),
    "loss": Link(lost=0.2),
    "duplicates": Link(to_ns=jitter(1, 5), from_ns=jitter(1, 5), doubled=0.5),
    "outage": Link(down=((20, 35),)),
    "short_outages": Link(down=((20, 23), (30, 36), (40, 40.4))),
}


class Recorded:
    """A simulation with a recorder on a machine of its own, and a session from 5 s to 60 s."""

    def __init__(self, root, link):
        self.simulation = Simulation(Link(), simulated={"offset_ns": -1_234_567_000, "drift_ppm": 30.0})
        self.folder = SessionFolder(root / "reef-42" / "session_s1")
        self._settings = RecorderSettings(root=root)
        self._link = link
        self.start()
        self._command(5, StartCommand(request_id="start", mission="reef-42", sensors={"inWater": "rov1"}))
        self._command(60, StopCommand(request_id="stop"))

    def start(self):
        """Start a recorder process; the broker keeps no session for it: its queue is lost as well."""
        self.machine = Machine(self.simulation, BaseClock())
        self.agent = RecorderAgent(
            self._settings,
            self.simulation.clock,
            connect=self._connect,
            background=lambda work, _name: work(),
        )
        self.agent.start()

    def kill(self, at_s, off_s):
        def kill():
            self.machine.on = False
            self.agent._connection.vanish()
            os.close(self.agent._claim)
            self.simulation.after(off_s, self.start)

        self.simulation.at(at_s, kill)

    def states(self):
        return [one.body for one in self.simulation.broker.log if one.topic.kind is topics.SESSION_STATE]

    def _connect(self, *arguments, persistent, **options):
        assert persistent
        return self.simulation.broker.connection(self.machine, self._link, *arguments, **options)

    def _command(self, at_s, command):
        topic = topics.build(ROOT, topics.SESSION_COMMAND, session="s1")
        publish = partial(self.simulation.broker.publish, topic, command.encode(), 1, retain=False)
        for repeated in range(10):
            self.simulation.at(at_s + 2 * repeated, publish)


def assert_complete(recorded):
    """Every exchange between the first and the last once, as topside has it, and all of it reported."""
    journal = recorded.folder.read_exchanges()
    assert journal.malformed == 0
    seqs = sorted(exchange.seq for exchange in journal.exchanges)
    assert seqs == list(range(seqs[0], seqs[-1] + 1))
    finished = {exchange.seq: exchange for exchange in recorded.simulation.finished()}
    assert all(finished[exchange.seq] == exchange for exchange in journal.exchanges)
    (measured,) = recorded.folder.measure().values()
    assert [exchange.seq for exchange in measured.exchanges] == seqs
    block = recorded.folder.read_metadata()["timeSync"]["tidesync"]
    assert (block["state"], block["files"]["offsets"]) == ("stopped", "time_sync/offsets.csv")
    assert (block["vehicles"]["rov1"]["exchanges"], block["vehicles"]["rov1"]["missing"]) == (len(seqs), 0)
    assert recorded.states()[-1].state == "stopped"
    assert not recorded.folder.recording_path.exists()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_session_over_a_faulty_link_has_every_exchange_once(tmp_path, fault):
    recorded = Recorded(tmp_path, FAULTS[fault])
    recorded.simulation.run(90)
    assert_complete(recorded)
    at_s = [exchange.origin_ns for exchange in recorded.folder.read_exchanges().exchanges]
    assert max(at_s) - min(at_s) > 50e9


def test_a_recorder_killed_twice_resumes_and_misses_nothing(tmp_path):
    recorded = Recorded(tmp_path, Link())
    recorded.kill(20, 10)
    recorded.kill(40, 1)
    recorded.simulation.run(90)
    assert_complete(recorded)
    assert any(isinstance(one.body, ResendCommand) for one in recorded.simulation.broker.log)


def test_a_broker_that_restarts_without_memory_loses_nothing(tmp_path):
    recorded = Recorded(tmp_path, Link())
    recorded.simulation.broker.restart(30, off_s=5)
    recorded.simulation.run(90)
    assert_complete(recorded)


def test_a_silent_vehicle_is_an_alarm_and_later_an_outage(tmp_path):
    recorded = Recorded(tmp_path, Link())
    recorded.simulation.suspend(20, 15)
    recorded.simulation.run(90)
    alarms = {state.alarm for state in recorded.states()}
    assert alarms == {None, "nothing recorded of rov1 for more than 8 s"}
    assert recorded.states()[-1].alarm is None
    assert {"suspend", "outage"} <= {event.kind for event in recorded.folder.read_events()}


def test_a_retained_command_starts_nothing(tmp_path):
    recorded = Recorded(tmp_path, Link())
    topic = topics.build(ROOT, topics.SESSION_COMMAND, session="s2")
    command = StartCommand(request_id="old", mission="reef-42", sensors={})
    recorded.simulation.broker.retained[topic] = (command.encode(), 1)
    recorded.simulation.run(4)
    assert recorded.states() == []
    assert recorded.agent.counts().agent.dropped["retained"] == 1
