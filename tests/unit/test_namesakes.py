"""Another process of this topside's name: a living one is noticed, this topside's own past is not one."""

import logging

from broker.inbox import Inbox
from broker.interface import Incoming
from runtime.clock import Reading
from schemas import topics
from schemas.presence import Heartbeat
from topside_agent.measuring.namesakes import REMEMBER_NS, Namesakes
from topside_agent.measuring.publisher import MessageBuilder
from topside_agent.presence import Presence

S = 1_000_000_000
TOPIC, OTHER_TOPIC = "…/rov1/offset/topside", "…/rov2/offset/topside"


def test_a_live_message_of_another_process_is_a_namesake_until_it_has_been_silent_for_a_while():
    namesakes = Namesakes("mine")
    namesakes.heard(TOPIC, "theirs", 10 * S, retained=False)
    assert namesakes.other == "theirs"
    assert namesakes.alive(10 * S + REMEMBER_NS - 1)
    assert not namesakes.alive(10 * S + REMEMBER_NS)


def test_a_namesake_that_publishes_rarely_is_not_forgotten_between_two_results():
    namesakes = Namesakes("mine")
    namesakes.heard(TOPIC, "theirs", 0, retained=False, interval_s=60.0)
    namesakes.heard(TOPIC, "theirs", S, retained=False, interval_s=1.0)
    assert namesakes.alive(149 * S)
    assert not namesakes.alive(151 * S)


def test_its_own_messages_and_what_an_earlier_process_left_are_no_namesake():
    namesakes = Namesakes("mine")
    for topic in (TOPIC, OTHER_TOPIC):
        namesakes.heard(topic, "earlier", 0, retained=True)
        namesakes.heard(topic, "mine", S, retained=False)
    namesakes.heard(TOPIC, "mine", 2 * S, retained=True)
    assert not namesakes.alive(2 * S)


def test_a_retained_message_that_replaced_its_own_is_a_namesakes_and_counts_once():
    namesakes = Namesakes("mine")
    namesakes.heard(TOPIC, "theirs", 0, retained=True)
    assert not namesakes.alive(0)
    namesakes.heard(TOPIC, "mine", S, retained=False)
    namesakes.heard(TOPIC, "theirs", 2 * S, retained=True)
    assert namesakes.alive(2 * S)
    namesakes.heard(TOPIC, "theirs", 9 * S, retained=True)
    assert not namesakes.alive(9 * S)


def test_a_namesake_of_a_version_without_ids_is_one_too():
    namesakes = Namesakes("mine")
    namesakes.heard(TOPIC, None, S, retained=False)
    assert namesakes.alive(S)


# Heartbeats


class FakeConnection:
    def __init__(self):
        self.sent = []

    def publish(self, *messages):
        self.sent += messages
        return True

    def subscribe(self, filters, answered=None):
        pass

    def heartbeats(self):
        return [one for one in self.sent if one.topic.endswith("/heartbeat")]


def presence():
    connection = FakeConnection()
    return Presence(MessageBuilder("tidesync", "topside"), connection, Namesakes("mine"), "boot"), connection


def heartbeat(instance_id, at_ns, *, retain=False):
    message = Heartbeat(topside="topside", instance_id=instance_id, boot_id="boot")
    topic = "tidesync/v1/topside/topside/heartbeat"
    return Inbox("tidesync").open(Incoming(topic, message.encode(), retain, Reading(at_ns, 0, 0)))


def test_a_heartbeat_is_due_every_second_whether_anything_is_measured_or_not():
    made, connection = presence()
    for quarter in range(41):
        made.tick(100 * S + quarter * S // 4)
    sent = connection.heartbeats()
    assert len(sent) == 11
    assert {(one.qos, one.retain) for one in sent} == {(0, False)}
    bodies = [Heartbeat.decode(one.payload) for one in sent]
    assert {(body.topside, body.instance_id, body.boot_id) for body in bodies} == {
        ("topside", "mine", "boot")
    }
    assert [body.uptime_s for body in bodies] == list(range(11))
    made.tick(1000 * S)
    made.tick(1001 * S - 1)
    assert len(connection.heartbeats()) == 12  # what was missed is not made up for


def test_another_process_that_measures_nothing_is_noticed_by_its_heartbeat_until_it_has_gone(caplog):
    made, _ = presence()
    made.received(heartbeat("mine", 100 * S))
    assert not made.tick(100 * S)
    made.received(heartbeat("theirs", 100 * S, retain=True))  # no topside retains one
    made.received(heartbeat("theirs", 101 * S))
    with caplog.at_level(logging.INFO):
        assert made.tick(101 * S)
        assert not made.tick(101 * S + REMEMBER_NS - 1)
        assert made.tick(101 * S + REMEMBER_NS)
    assert "another topside 'topside' is alive (process theirs)" in caplog.text
    assert "the other topside 'topside' is gone" in caplog.text
    assert topics.TOPSIDE_HEARTBEAT.readers == ("topside", "dashboard", "operator")
