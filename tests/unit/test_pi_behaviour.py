"""The agent's behaviour on its connection, over a connection that only notes."""

import json
import logging

import pytest

from broker.address import parse_address
from broker.interface import Incoming, Outgoing
from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.clock import FASTEST_SLEW_PPM, Reading, SimulatedClock, Step, read
from runtime.clock_watch import ClockChange
from schemas.messages import Event, Info, Pong

BASE = "tidesync/v1/vehicle/rov1"
S = 1_000_000_000
AHEAD_NS = 1_777_636_800_000_000_000


class HandClock:
    """A perfect clock, moved by hand."""

    boot_id = "hand"
    resolution_ns = 1

    def __init__(self):
        self.now_ns = 7 * S

    def raw_ns(self):
        self.now_ns += 50
        return self.now_ns

    def realtime_ns(self):
        return AHEAD_NS + self.raw_ns()


class NotedConnection:
    """Notes what an agent asks of its connection."""

    address = parse_address("mqtt://noted:1883")
    failure = None
    last_problem = None
    refusal = None
    reconnects = 0
    receive_stamp = "kernel"
    transmit_stamp = "write"

    def __init__(self, *_, will, **__):
        self.up = False
        self.will = will
        self.published: list[Outgoing] = []
        self.subscribed: list[tuple[str, int]] = []

    def publish(self, message):
        if self.up:
            self.published.append(message)
        return self.up

    def subscribe(self, filters, answered=None):  # noqa: ARG002
        self.subscribed += filters

    def post(self, work):
        work()

    def on(self, level):
        return [message.payload for message in self.published if message.topic == f"{BASE}/{level}"]


class Bench:
    """An agent, its noted connection, and the base clock that the test moves."""

    def __init__(self, *steps, **options):
        self.base = HandClock()
        self.clock = SimulatedClock(self.base, 2 * S, steps=steps)
        self.agent = PiAgent(PiSettings(vehicle="rov1"), self.clock, connect=NotedConnection, **options)
        self.connection: NotedConnection = self.agent._connection

    def connect(self):
        self.connection.up = True
        self.agent.connected()
        return self

    def hear(self, level, payload, *, retain=False):
        self.agent.received(Incoming(f"{BASE}/{level}", payload, retain, read(self.clock)))

    def pass_s(self, seconds):
        self.base.now_ns += round(seconds * S)
        self.agent.tick(read(self.clock))


def ping(seq=17):
    return json.dumps({"v": 1, "seq": seq, "nonce": f"{seq:016x}", "origin_ns": 5}).encode()


def other_info(bench):
    own = Info.decode(bench.connection.on("info")[0])
    return own.model_copy(update={"instance_id": "other-42", "boot_id": "elsewhere"}).encode()


def test_on_every_connect_it_subscribes_and_announces():
    bench = Bench().connect()
    bench.connect()
    assert bench.connection.subscribed == 2 * [
        (f"{BASE}/status", 1),
        (f"{BASE}/info", 1),
        (f"{BASE}/ping/+", 0),
        (f"{BASE}/udp_request/+", 1),
        (f"{BASE}/command", 1),
        ("tidesync/v1/topside/+/status", 1),
    ]
    assert bench.connection.on("status") == [b"online", b"online"]
    assert all(message.retain and message.qos == 1 for message in bench.connection.published)
    assert bench.connection.will == Outgoing(f"{BASE}/status", b"offline", 1, retain=True)


def test_info_says_who_it_is():
    bench = Bench().connect()
    info = Info.decode(bench.connection.on("info")[0])
    assert (info.vehicle, info.boot_id, info.simulated) == ("rov1", bench.clock.boot_id, True)
    assert (info.clock_synchronized, info.http_port) == (False, None)


def test_info_is_published_again_when_stamps_turn_out_to_be_of_another_kind():
    bench = Bench().connect()
    bench.pass_s(1)
    bench.connection.receive_stamp = "user"
    bench.pass_s(1)
    bench.pass_s(1)
    kinds = [Info.decode(payload).receive_stamp for payload in bench.connection.on("info")]
    assert kinds == ["kernel", "user"]


def test_a_pong_has_room_for_the_stamp_at_the_write():
    bench = Bench().connect()
    bench.hear("ping/alpha", ping(3))
    (answer,) = [message for message in bench.connection.published if "/pong/" in message.topic]
    pong = Pong.decode(answer.payload)
    assert answer.one_step is not None
    assert int(answer.payload[answer.one_step.position :][:19]) == pong.transmit_ns
    assert answer.one_step.plus_ns == pong.realtime_minus_raw_ns
    assert pong.transmit_stamp == "write"


def test_a_ping_is_answered_to_its_topside_alone():
    bench = Bench().connect()
    bench.hear("ping/alpha", ping(3))
    (answer,) = [message for message in bench.connection.published if "/pong/" in message.topic]
    assert (answer.topic, answer.qos, answer.retain) == (f"{BASE}/pong/alpha", 0, False)
    pong = Pong.decode(answer.payload)
    assert (pong.seq, pong.nonce) == (3, f"{3:016x}")
    assert pong.receive_ns < pong.transmit_ns
    assert bench.agent.health().last_ping_topside == "alpha"
    assert bench.agent.health().pings_answered == 1


def test_a_retained_ping_is_an_old_message():
    bench = Bench().connect()
    bench.hear("ping/alpha", ping(), retain=True)
    assert bench.connection.on("pong/alpha") == []
    assert bench.agent.health().messages_dropped == {"retained": 1}


@pytest.mark.parametrize(
    "payload",
    [b"", b"rubbish", b"\xff\xfe", b"{}", b"[]", b'{"v":1,"seq":-1}', ping().replace(b"17", b'"17"')],
)
def test_rubbish_is_counted_and_the_next_ping_answered(payload):
    bench = Bench().connect()
    bench.hear("ping/alpha", payload)
    bench.hear("ping/UPPER", ping())
    bench.hear("ping/alpha", ping())
    assert len(bench.connection.on("pong/alpha")) == 1
    assert bench.agent.health().messages_dropped == {"invalid": 1, "topic": 1}


def test_a_flood_is_cut_and_a_burst_every_10_ms_is_not():
    bench = Bench().connect()
    for seq in range(500):
        bench.base.now_ns += S // 100
        bench.hear("ping/sane", ping(seq))
    for seq in range(1000):
        bench.hear("ping/mad", ping(seq))
    assert len(bench.connection.on("pong/sane")) == 500
    assert len(bench.connection.on("pong/mad")) == pytest.approx(100, abs=2)
    assert bench.agent.health().messages_dropped["flood"] == pytest.approx(900, abs=2)


def test_a_flood_under_ever_new_names_is_one_line_a_reason_in_the_log(
    caplog,
):
    bench = Bench().connect()
    for number in range(2000):
        bench.hear(f"ping/t{number}", b"rubbish" if number > 64 else ping())
        bench.hear(f"ping/t{number}", ping(), retain=True)
    assert len(caplog.records) == 2
    assert {reason: count > 1900 for reason, count in bench.agent.health().messages_dropped.items()} == {
        "flood": True,
        "retained": True,
    }


def test_a_step_between_receive_and_transmit_is_answered_and_leaves_raw_as_it_was():
    bench = Bench(Step(1.0, 3 * S)).connect()
    received = read(bench.clock)
    bench.base.now_ns += 2 * S
    bench.agent.received(Incoming(f"{BASE}/ping/alpha", ping(), retain=False, received=received))
    pong = Pong.decode(bench.connection.on("pong/alpha")[0])
    assert pong.receive_ns - pong.realtime_minus_raw_ns == received.raw_ns
    assert pong.realtime_minus_raw_ns - received.realtime_minus_raw_ns == pytest.approx(3 * S, abs=1_000)
    assert bench.agent.health().messages_dropped == {}


def change(step_ns, at_s=9):
    return ClockChange("step", Reading(at_s * S, AHEAD_NS, 100), step_ns)


def test_a_step_is_published_dated_and_measured():
    bench = Bench().connect()
    bench.agent._clock_changed(change(-3 * S))
    (payload,) = bench.connection.on("event")
    event = Event.decode(payload)
    assert (event.kind, event.step_ms, event.at_raw_ns) == ("step", -3000.0, 9 * S)
    assert event.at.isoformat() == "2026-05-01T12:00:09+00:00"
    assert event.boot_id == bench.clock.boot_id


def test_steps_while_the_broker_is_away_are_reported_when_it_is_back_the_newest_hundred_in_order():
    bench = Bench()
    for number in range(150):
        bench.agent._clock_changed(change(S, at_s=number))
    assert bench.connection.published == []
    bench.connect()
    steps = [Event.decode(payload).at_raw_ns // S for payload in bench.connection.on("event")]
    assert steps == list(range(50, 150))
    bench.connect()
    assert len(bench.connection.on("event")) == 100


def test_a_status_cleared_while_others_flood_it_is_restored():
    bench = Bench()
    bench.connect()
    for _ in range(1000):
        bench.hear("status", b"rubbish")
    bench.pass_s(4)
    bench.hear("status", b"")
    bench.pass_s(4)
    assert bench.connection.on("status")[-1] == b"online"
    assert len(bench.connection.on("status")) == 3


def test_offline_on_its_own_status_is_contradicted():
    bench = Bench().connect()
    bench.pass_s(10)
    bench.hear("status", b"offline")
    bench.pass_s(0)
    assert bench.connection.on("status") == [b"online", b"online"]
    bench.hear("status", b"offline")
    bench.pass_s(1)
    assert len(bench.connection.on("status")) == 2
    bench.pass_s(3)
    assert len(bench.connection.on("status")) == 3


def test_an_offline_that_the_broker_had_kept_is_old_news():
    bench = Bench().connect()
    bench.hear("status", b"offline", retain=True)
    bench.pass_s(59)
    assert bench.connection.on("status") == [b"online"]
    assert bench.agent.health().messages_dropped == {}


def test_a_live_namesake_is_warned_of_by_name_and_pings_are_still_answered(
    caplog,
):
    bench = Bench().connect()
    bench.pass_s(90)
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            bench.hear("info", other_info(bench))
            bench.pass_s(1)
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert "rov1" in warnings[0]
    assert "other-42" in warnings[0]
    assert len(bench.connection.on("info")) == 2
    bench.hear("ping/alpha", ping())
    assert len(bench.connection.on("pong/alpha")) == 1


def test_a_predecessors_retained_info_is_no_namesake(caplog):
    bench = Bench().connect()
    bench.hear("info", other_info(bench), retain=True)
    bench.hear("info", bench.connection.on("info")[0])
    bench.pass_s(59)
    assert caplog.records == []
    assert len(bench.connection.on("info")) == 1


def test_info_is_published_again_when_ntp_begins_to_steer_the_clock():
    steered = False
    bench = Bench(synchronized=lambda: steered).connect()
    bench.pass_s(30)
    steered = True
    bench.pass_s(4)
    assert len(bench.connection.on("info")) == 1
    bench.pass_s(2)
    assert [Info.decode(payload).clock_synchronized for payload in bench.connection.on("info")] == [
        False,
        True,
    ]


def test_info_says_that_the_clock_is_free_once_it_has_rested_and_that_it_moves_again():
    bench = Bench().connect()
    for _ in range(60):
        bench.agent.watcher.check()
        bench.pass_s(2)
    first, *_, second = (Info.decode(payload) for payload in bench.connection.on("info"))
    assert (first.clock_free, first.clock_daemons, first.clock_max_slew_ppm) == (False, (), FASTEST_SLEW_PPM)
    assert (second.clock_free, second.clock_daemons, second.clock_max_slew_ppm) == (True, (), 0.0)
    assert bench.agent.health().clock == "free: nothing disciplines it"
