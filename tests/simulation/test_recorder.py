"""The real recorder beside the real agents: whatever fails, the session has every exchange once."""

import os
from functools import partial

import pytest

from schemas import topics
from schemas.clock_history import ClockResendCommand
from schemas.messages import ExchangeBatch, ResendCommand, StartCommand, StopCommand
from tests.clock_publisher import ClockPublisher
from tests.effort import few, tries
from tests.simulation.simulated import ROOT, Simulation, jitter
from tests.simulation.simulated_machines import Link, Machine, S, VehicleClock
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.recorder.agent import RecorderAgent
from tidesync.sessions.recorder.background import at_once
from tidesync.sessions.recorder.settings import RecorderSettings

FAULTS = {
    "quiet": Link(),
    "loss": Link(lost=0.2),
    "duplicates": Link(to_ns=jitter(1, 5), from_ns=jitter(1, 5), doubled=0.5),
    "outage": Link(down=((20, 35),)),
    "short_outages": Link(down=((20, 23), (30, 36), (40, 40.4))),
}


class Recorded:
    """A simulation with a recorder on a machine of its own, and a session from 5 s to `stop_s`."""

    def __init__(
        self, root, link, *, stop_s=60, vehicle=None, topside=None, topside_link=None, reading_s=0, **more
    ):
        simulated = {"offset_ns": -1_234_567_000, "drift_ppm": 30.0} | (vehicle or {})
        self.simulation = Simulation(
            Link(), simulated=simulated, topside_simulated=topside, topside_link=topside_link, **more
        )
        self.folder = SessionFolder(root / "reef-42" / "session_s1")
        self._settings = RecorderSettings(root=root)
        self._link = link
        self._reading_s = reading_s
        self._clock = VehicleClock(self.simulation.clock)
        self.start()
        self._command(5, StartCommand(request_id="start", mission="reef-42", sensors={"inWater": "rov1"}))
        self._command(stop_s, StopCommand(request_id="stop"))

    def start(self):
        """Start a recorder process; the broker keeps no session for it: its queue is lost as well."""
        self.machine = Machine(self.simulation, self._clock)
        self.agent = RecorderAgent(
            self._settings,
            self._clock,
            connect=self._connect,
            background=self._in_background,
            disk=at_once,
        )
        self.agent.start()

    def kill(self, at_s, off_s):
        def kill():
            self.machine.on = False
            self.agent._connection.vanish()
            os.close(self.agent._claim)
            self.simulation.after(off_s, self.start)

        self.simulation.at(at_s, kill)

    def sleep(self, at_s, for_s):
        def sleep():
            now_ns = self.simulation.clock.now_ns
            self.machine.asleep_until_ns = now_ns + round(for_s * S)
            self._clock.sleeps.append((now_ns, self.machine.asleep_until_ns))
            self.agent._connection.stall(for_s)

        self.simulation.at(at_s, sleep)

    def states(self):
        return [one.body for one in self.simulation.broker.log if one.topic.kind is topics.SESSION_STATE]

    def _in_background(self, work, _name):
        """The machine's disk is slow: what is read in the background takes `reading_s`."""
        if not self._reading_s:
            work()
        else:
            self.simulation.after(self._reading_s, work)

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


@pytest.mark.parametrize("fault", few(FAULTS))
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


@pytest.mark.slow
def test_a_session_that_takes_long_to_read_is_resumed_while_it_is_recorded(tmp_path):
    recorded = Recorded(tmp_path, Link(), reading_s=8)
    recorded.kill(20, 2)
    recorded.kill(40, 2)
    recorded.simulation.run(110)
    assert_complete(recorded)
    alarms = {state.alarm for state in recorded.states()}
    assert "what was recorded before is being read" in alarms


def test_a_stop_that_comes_while_the_session_is_read_is_answered_at_its_end(tmp_path):
    recorded = Recorded(tmp_path, Link(), reading_s=15)
    recorded.kill(50, 2)
    recorded.simulation.run(110)
    assert_complete(recorded)


def test_a_broker_that_restarts_without_memory_loses_nothing(tmp_path):
    recorded = Recorded(tmp_path, Link())
    recorded.simulation.broker.restart(30, off_s=5)
    recorded.simulation.run(90)
    assert_complete(recorded)


@pytest.mark.parametrize(("status", "ends_s"), [(b"offline", 64), (b"online", 50)])
def test_a_stop_waits_for_a_topside_that_may_answer_and_longer_for_one_that_may_come_back(
    tmp_path, status, ends_s
):
    """Of what another topside measured, some time ago, some is missing, and nobody has it."""
    recorded = Recorded(tmp_path, Link(), stop_s=40)
    publish = recorded.simulation.broker.publish

    def other():
        found = recorded.folder.read_exchanges().exchanges[:2]
        changes = {"topside": "other", "instance_id": "other"}
        few = tuple(one.model_copy(update=changes | {"seq": 5 * place}) for place, one in enumerate(found))
        batch = ExchangeBatch(schema_version=1, batch=0, exchanges=few).encode()
        publish(topics.build(ROOT, topics.EXCHANGE, vehicle="rov1", topside="other"), batch, 1, retain=False)
        publish(topics.build(ROOT, topics.TOPSIDE_STATUS, topside="other"), status, 1, retain=True)

    recorded.simulation.at(31, other)
    recorded.simulation.run(44.5)
    state = recorded.states()[-1]
    assert (state.state, state.closing) == ("stopped", True)
    recorded.simulation.run(ends_s - 3)
    assert recorded.states()[-1].closing
    recorded.simulation.run(ends_s + 3)
    assert not recorded.states()[-1].closing
    (gap,) = recorded.folder.read_events()
    assert (gap.topside, gap.from_seq, gap.to_seq) == ("other", 1, 4)


@pytest.mark.parametrize("back_s", few([58, 66, 74]))
def test_what_a_topside_has_that_is_away_at_the_stop_comes_once_it_is_back(tmp_path, back_s):
    """The recorder was away until 55 s; what it asks for from 56 s on is lost."""
    recorded = Recorded(tmp_path, Link(), topside_link=Link(down=((55.9, back_s),)))
    recorded.kill(50, 5)
    recorded.simulation.run(58)
    assert recorded.agent._sessions.get("s1").log.waiting
    recorded.simulation.run(back_s + 15)
    assert "gap" not in {event.kind for event in recorded.folder.read_events()}
    assert_complete(recorded)


def test_a_silent_vehicle_is_an_alarm_and_later_an_outage(tmp_path):
    recorded = Recorded(tmp_path, Link())
    recorded.simulation.suspend(20, 15)
    recorded.simulation.run(90)
    alarms = {state.alarm for state in recorded.states()}
    assert alarms == {None, "nothing recorded of rov1 for more than 8 s"}
    assert recorded.states()[-1].alarm is None
    assert {"suspend", "outage"} <= {event.kind for event in recorded.folder.read_events()}


@pytest.mark.parametrize("slept_s", [3, 25])
def test_a_recorder_that_slept_says_so_and_misses_nothing(tmp_path, slept_s):
    recorded = Recorded(tmp_path, Link())
    recorded.sleep(20, slept_s)
    ages = []
    recorded.simulation.at(
        20 + slept_s, lambda: ages.append(recorded.agent.counts().sessions[0].vehicles[0].age_s)
    )
    recorded.simulation.run(90)
    assert_complete(recorded)
    alarms = [state.alarm for state in recorded.states() if state.alarm]
    assert any(alarm.startswith(f"this computer slept for {slept_s:.1f} s") for alarm in alarms)
    assert recorded.states()[-1].alarm is None


def test_a_retained_command_starts_nothing(tmp_path):
    recorded = Recorded(tmp_path, Link())
    topic = topics.build(ROOT, topics.SESSION_COMMAND, session="s2")
    command = StartCommand(request_id="old", mission="reef-42", sensors={})
    recorded.simulation.broker.retained[topic] = (command.encode(), 1)
    recorded.simulation.run(4)
    assert recorded.states() == []
    assert recorded.agent.counts().agent.dropped["retained"] == 1


class Clocks:
    """Machines that publish the histories of their clocks; `away` is when the vehicle is off the air."""

    def __init__(self, recorded, away=(), **options):
        simulation = recorded.simulation
        for agent in (simulation.topside, simulation.vehicles["rov1"].agent):
            agent._own_clock.publisher._send = lambda _: True  # these publish instead of them
        link = Link(down=away)
        self.publishers = [
            self._start(simulation, ClockPublisher("vehicle", "rov1", simulation.vehicle, **options), link),
            self._start(
                simulation, ClockPublisher("topside", "topside", simulation.clock, **options), Link()
            ),
        ]

    def assert_recorded(self, recorded, from_s, to_s):
        """From before `from_s` to `to_s` each piece as its machine has it, once; nothing is missing."""
        for publisher in self.publishers:
            owner = (publisher.machine, publisher.name)
            pieces = recorded.folder.clock_history(*owner)[publisher.instance_id].pieces
            first, last = pieces[0][0], pieces[-1][0]
            assert [number for number, _ in pieces] == list(range(first, last + 1))
            assert [one for _, one in pieces[:-1]] == publisher.pieces[first:last]
            raw_ns = publisher.clock.raw_at if publisher.machine == "vehicle" else lambda ns: ns
            start_ns = recorded.simulation.start_ns
            assert pieces[0][1].from_raw_ns <= raw_ns(start_ns + round(from_s * S))
            assert pieces[-1][1].to_raw_ns >= raw_ns(start_ns + round((to_s - 0.3) * S))
            (block,) = [one for one in self._blocks(recorded) if (one["machine"], one["name"]) == owner]
            assert (block["pieces"], block["missing"]) == (len(pieces), 0)

    def _blocks(self, recorded):
        return recorded.folder.read_metadata()["timeSync"]["tidesync"]["clocks"]

    def _start(self, simulation, publisher, link):
        machine = Machine(simulation, publisher.clock)
        options = {"name": f"clock-{publisher.name}"}
        publisher.connection = simulation.broker.connection(
            machine, link, None, publisher, publisher.clock, **options
        )
        publisher.connection.start()
        return publisher


@pytest.mark.parametrize("fault", few(FAULTS))
def test_the_clock_histories_of_vehicle_and_topside_are_recorded_from_before_the_start_to_the_stop(
    tmp_path, fault
):
    recorded = Recorded(tmp_path, FAULTS[fault])
    clocks = Clocks(recorded)
    recorded.simulation.run(90)
    assert_complete(recorded)
    clocks.assert_recorded(recorded, 5, 60)


def test_pieces_of_before_the_first_that_is_heard_are_asked_for(tmp_path):
    recorded = Recorded(tmp_path, Link())
    clocks = Clocks(recorded)
    vehicle = clocks.publishers[0]
    send = vehicle._send
    vehicle._send = lambda *numbers: send(*numbers) if recorded.simulation.now_s > 40 else None
    recorded.simulation.run(90)
    clocks.assert_recorded(recorded, 5, 60)
    assert any(isinstance(command, ClockResendCommand) for command in vehicle.commands)


def test_what_a_killed_recorder_missed_of_the_clocks_is_asked_for_when_it_is_back(tmp_path):
    recorded = Recorded(tmp_path, Link())
    clocks = Clocks(recorded, away=((18, 35),))
    recorded.kill(20, 25)
    recorded.simulation.run(90)
    assert_complete(recorded)
    clocks.assert_recorded(recorded, 5, 60)
    commands = [one for publisher in clocks.publishers for one in publisher.commands]
    assert any(isinstance(command, ClockResendCommand) for command in commands)


@pytest.mark.slow
@pytest.mark.timeout(400)  # half a minute of CPU
def test_an_hour_off_the_air_with_a_recorder_killed_meanwhile_has_every_piece_of_both_clocks(tmp_path):
    heard_s = 20 + 60 * min(60, tries(60))
    recorded = Recorded(tmp_path, Link(), stop_s=heard_s + 80)
    recorded.simulation.vehicles["rov1"].link.down = ((20, heard_s),)
    clocks = Clocks(recorded, away=((20, heard_s),), piece_s=0.8)  # a clock that moves all the time
    recorded.kill(100, 500)
    recorded.kill(heard_s - 5, 10)
    recorded.simulation.run(heard_s + 110)
    clocks.assert_recorded(recorded, 5, heard_s + 80)


def test_what_was_published_before_a_broker_forgot_it_is_asked_for(tmp_path):
    recorded = Recorded(tmp_path, Link())
    clocks = Clocks(recorded)
    recorded.simulation.broker.restart(30, off_s=12)
    recorded.simulation.run(90)
    clocks.assert_recorded(recorded, 5, 60)


def test_pieces_that_a_machine_has_not_are_missing_and_named_once(tmp_path, caplog):
    recorded = Recorded(tmp_path, Link())
    vehicle = Clocks(recorded).publishers[0]
    send = vehicle._send
    vehicle._send = lambda first, last: send(
        max(first, vehicle.number), last
    )  # it keeps the open piece alone
    recorded.kill(20, 25)
    recorded.simulation.run(90)
    (block,) = [
        one
        for one in recorded.folder.read_metadata()["timeSync"]["tidesync"]["clocks"]
        if one["machine"] == "vehicle"
    ]
    assert block["missing"] > 0
    lost = [one for one in caplog.messages if "clock history of vehicle rov1 (i1) cannot be had" in one]
    assert len(lost) == len(set(lost)) > 0


def test_a_topside_that_measures_none_of_the_sessions_vehicles_is_not_recorded(tmp_path):
    recorded = Recorded(tmp_path, Link())
    clocks = Clocks(recorded)
    other = ClockPublisher("topside", "other", recorded.simulation.clock)
    clocks._start(recorded.simulation, other, Link())
    recorded.simulation.run(90)
    assert recorded.folder.clock_history("topside", "other") == {}
