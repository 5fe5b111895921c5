"""Rubbish on every topic: counted, logged once a minute, and no result moves."""

import json
import logging
import secrets

import pytest

from broker.interface import Outgoing
from schemas import topics
from schemas.base import MAX_MESSAGE_BYTES
from tests.deadline import until
from topside_agent.measuring import instances

S = 1_000_000_000
GOOD_NUMBERS = {"v": 1, "seq": 0, "nonce": "0" * 16, "origin_ns": 0}
RUBBISH = [
    b"\xff\xfe\x00",
    b"{",
    b"[]",
    b"null",
    b'"online"',
    json.dumps(GOOD_NUMBERS | {"v": 99}).encode(),
    json.dumps(GOOD_NUMBERS | {"seq": "seventeen"}).encode(),
    json.dumps(GOOD_NUMBERS | {"origin_ns": 10**30}).encode(),
    json.dumps(GOOD_NUMBERS | {"origin_ns": -1}).encode(),
    b'{"v": 1, "seq": NaN, "nonce": "0000000000000000", "origin_ns": Infinity}',
    b"x" * MAX_MESSAGE_BYTES,
]


def every_topic():
    names = {"vehicle": "rov1", "topside": "topside", "session": "dive-1", "recorder": "main"}
    for kind in topics.TOPICS:
        wanted = {key: name for key, name in names.items() if f"{{{key}}}" in kind.template}
        yield topics.build("tidesync", kind, **wanted)


def test_rubbish_on_every_topic_moves_no_result_and_stops_nothing(boat, caplog):
    checker = boat.checker()
    boat.topside()
    boat.vehicle("rov1", offset_ns=-3 * S, drift_ppm=25.0)
    checker.until_state("rov1", "locked")
    before = checker.last("rov1")
    with caplog.at_level(logging.WARNING):
        for topic in every_topic():
            for payload in RUBBISH:
                checker.connection.post(
                    lambda topic=topic, payload=payload: checker.connection.publish(Outgoing(topic, payload))
                )
        heard = len(checker.heard)
        until(lambda: len(checker.heard) >= heard + 4, 20, "results going on")
    after = until(
        lambda: (last := checker.last("rov1")).state == "locked" and last, what="locked, afterwards"
    )
    assert after.segment == before.segment
    assert checker.wrong == []

    def logged_of(agent_topic):
        logged = [record.getMessage() for record in [*caplog.records] if record.name == "broker.inbox"]
        return sum(f"/{agent_topic}/" in sentence for sentence in logged)

    for agent_topic in ("ping", "pong"):
        until(lambda agent_topic=agent_topic: logged_of(agent_topic), what=f"a line of /{agent_topic}/")
        # The agent that listens there says each kind of fault once, not once a message.
        assert logged_of(agent_topic) <= 3
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def pong(nonce, **changes):
    fields = {
        "v": 1,
        "seq": 0,
        "nonce": nonce,
        "receive_ns": 77 * S,
        "transmit_ns": 77 * S,
        "realtime_minus_raw_ns": 0,
        "boot_id": "forged",
        "instance_id": "forged",
        "receive_stamp": "user",
        "transmit_stamp": "user",
        "resolution_ns": 1,
    }
    return json.dumps(fields | changes).encode()


def test_replayed_and_forged_pongs_move_no_result(mosquitto_boat):
    checker = mosquitto_boat.checker()
    replayed = []
    checker.connection.post(
        lambda: checker.connection.subscribe([("tidesync/v1/vehicle/rov1/pong/topside", 0)])
    )
    inherited = checker.received

    def received(message):
        inherited(message)
        if "/pong/" in message.topic and len(replayed) < 50:
            replayed.append(message.payload)

    checker.received = received
    mosquitto_boat.topside()
    mosquitto_boat.vehicle("rov1", offset_ns=-3 * S, drift_ppm=25.0)
    checker.until_state("rov1", "locked")
    until(lambda: len(replayed) >= 10, 10, "pongs to replay")
    forged = [pong(secrets.token_hex(8)) for _ in range(50)]
    topic = "tidesync/v1/vehicle/rov1/pong/topside"
    heard = len(checker.heard)
    for payload in replayed[:50] + forged:
        checker.connection.post(
            lambda payload=payload: checker.connection.publish(Outgoing(topic, payload, 0))
        )
    until(lambda: len(checker.heard) >= heard + 5, 20, "results going on")
    assert checker.wrong == []
    results = checker.heard[heard:]
    assert {result.segment for result in results} == {0}
    assert {result.error for result in results} <= {None, "timeout"}, "of own pauses, at most"
    assert "forged" not in {result.boot_id for result in results}


def test_two_vehicles_of_one_name_are_reported_and_not_averaged(boat, monkeypatch):
    monkeypatch.setattr(instances, "QUIET_NS", 30 * S)  # the first pauses, on a busy machine, and is not gone
    checker = boat.checker()
    boat.topside()
    boat.vehicle("rov1", offset_ns=-3 * S, drift_ppm=25.0)
    first = boat.clocks["rov1"]
    locked = checker.until_state("rov1", "locked")
    boat.vehicle("rov1", offset_ns=500 * S, drift_ppm=-90.0)
    boat.clocks["rov1"] = first
    reported = until(
        lambda: next((r for r in checker.heard if r.error == "duplicate_vehicle"), None), 5, "the report"
    )
    assert reported.boot_id in {None, locked.boot_id}
    heard = len(checker.heard)
    until(lambda: len(checker.heard) >= heard + 5, 20, "results going on")
    assert [r for r in checker.heard if r.boot_id not in {None, first.boot_id}] == []
    offsets = [r.offset_ms for r in checker.heard if r.offset_ms is not None]
    assert max(offsets) - min(offsets) < 1000  # the other is 503 s away


def test_the_second_vehicle_of_a_name_takes_over_when_the_first_is_gone(boat):
    checker = boat.checker()
    boat.topside()
    first = boat.vehicle("rov1", offset_ns=-3 * S)
    checker.until_state("rov1", "locked")
    boat.vehicle("rov1", offset_ns=500 * S)
    until(lambda: any(r.error == "duplicate_vehicle" for r in checker.heard), 5, "the report")
    first.stop()
    until(lambda: checker.last("rov1").offset_ms == pytest.approx(500_000, abs=50), 6, "the second measured")
