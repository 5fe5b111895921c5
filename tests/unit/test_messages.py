"""Messages: the design's examples are decoded, anything else is refused with the value named."""

import json

import pytest

from schemas import topics
from schemas.base import InvalidMessageError
from schemas.exchange import Exchange
from schemas.messages import Event, ExchangeBatch, OffsetResult, Ping, Pong, SessionState

PING = {"v": 1, "seq": 17, "nonce": "9f1c000000000000", "origin_ns": 1777636800123456789}
PONG = {
    "v": 1,
    "seq": 17,
    "nonce": "9f1c000000000000",
    "receive_ns": 0,
    "transmit_ns": 0,
    "realtime_minus_raw_ns": -5,
    "boot_id": "b",
    "instance_id": "i",
    "receive_stamp": "kernel",
    "transmit_stamp": "write",
    "resolution_ns": 1,
}
EXCHANGE = {
    "vehicle": "rov1",
    "topside": "topside",
    "method": "mqtt_exchange_v1",
    "seq": 17,
    "boot_id": "b",
    "origin_ns": 0,
    "receive_ns": 0,
    "transmit_ns": 0,
    "destination_ns": 0,
    "pi_realtime_minus_raw_ns": None,
    "topside_realtime_minus_raw_ns": None,
}
RESULT = {
    "schema_version": 1,
    "vehicle": "rov1",
    "topside": "topside",
    "method": "mqtt_exchange_v1",
    "state": "locked",
    "offset_ms": -150.312,
    "lower_ms": -150.73,
    "upper_ms": -149.89,
    "max_error_ms": 0.42,
    "u95_ms": 0.03,
    "drift_ppm": -3.41,
    "drift_error_ppm": 0.8,
    "delay_min_ms": 0.61,
    "exchanges": 240,
    "rejected": 2,
    "segment": 0,
    "steps": 0,
    "boot_id": "b",
    "measured_at": "2026-05-01T12:00:00.123456Z",
    "measured_unix_ms": 1777636800123,
    "age_s": 0.0,
    "error": None,
}


@pytest.mark.parametrize(
    ("model", "document"),
    [(Ping, PING), (Pong, PONG), (Exchange, EXCHANGE), (OffsetResult, RESULT)],
)
def test_a_document_of_the_design_survives_decoding_and_encoding(model, document):
    again = json.loads(model.decode(json.dumps(document)).encode())
    assert {key: again[key] for key in document} == document


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": "1"},
        {"seq": 1.5},
        {"seq": "1"},
        {"seq": True},
        {"seq": -1},
        {"seq": 2**60},
        {"nonce": "9F1C000000000000"},
        {"nonce": "9f1c"},
        {"nonce": None},
        {"origin_ns": -1},
        {"origin_ns": 2**63},
        {"origin_ns": 1e18},
    ],
)
def test_a_ping_with_one_wrong_value_is_refused_and_the_field_named(change):
    with pytest.raises(InvalidMessageError, match=next(iter(change))):
        Ping.decode(json.dumps(PING | change))


@pytest.mark.parametrize("rubbish", [b"", b"\xff\xfe", b"[]", b"null", b"{", b"NaN", b'"x"', b"{}" * 600_000])
@pytest.mark.parametrize("kind", [kind for kind in topics.TOPICS if kind.payload is not None])
def test_rubbish_is_refused_on_every_topic(kind, rubbish):
    with pytest.raises(InvalidMessageError):
        kind.decode(rubbish)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_is_not_finite_is_refused(number):
    document = json.dumps(RESULT).replace("-150.312", number)
    with pytest.raises(InvalidMessageError):
        OffsetResult.decode(document)


def test_a_one_step_timestamp_padded_with_spaces_is_a_number():
    padded = b'{"v":1,"seq":1,"nonce":"9f1c000000000000","origin_ns":                  1}'
    assert Ping.decode(padded).origin_ns == 1


def test_an_unknown_key_of_a_newer_peer_is_ignored():
    assert Ping.decode(json.dumps(PING | {"colour": "red"})).seq == 17


def test_a_pong_of_an_older_agent_with_two_more_keys_is_accepted():
    older = PONG | {"previous_nonce": None, "previous_transmit_ns": None}
    assert Pong.decode(json.dumps(older)) == Pong.decode(json.dumps(PONG))


def test_nulls_stay_nulls():
    empty = dict.fromkeys(
        ["offset_ms", "lower_ms", "upper_ms", "max_error_ms", "u95_ms", "drift_ppm", "drift_error_ppm"]
    )
    again = json.loads(OffsetResult.decode(json.dumps(RESULT | empty)).encode())
    assert {key: again[key] for key in empty} == empty


def test_an_instant_keeps_its_microseconds_and_is_written_in_utc():
    event = {
        "vehicle": "rov1",
        "kind": "step",
        "at": "2026-05-01T14:00:00+02:00",
        "at_raw_ns": 5,
        "step_ms": 3000.0,
        "boot_id": "b",
    }
    assert json.loads(Event.decode(json.dumps(event)).encode())["at"] == "2026-05-01T12:00:00.000000Z"


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(InvalidMessageError, match="measured_at"):
        OffsetResult.decode(json.dumps(RESULT | {"measured_at": "2026-05-01T12:00:00"}))


def test_a_batch_of_more_than_a_hundred_is_refused():
    with pytest.raises(InvalidMessageError, match="exchanges"):
        ExchangeBatch.decode(json.dumps({"batch": 1, "exchanges": [EXCHANGE] * 101}))


def test_a_command_is_known_by_its_action():
    burst = topics.TOPSIDE_COMMAND.decode(b'{"request_id":"r","action":"burst","vehicle":"rov1"}')
    assert burst.action == "burst"
    with pytest.raises(InvalidMessageError, match="action"):
        topics.TOPSIDE_COMMAND.decode(b'{"request_id":"r","action":"halt","vehicle":"rov1"}')


def test_messages_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Ping(**PING).seq = 3


def test_a_session_state_of_the_design_is_understood():
    state = {
        "schema_version": 1,
        "session": "s",
        "request_id": "r",
        "state": "recording",
        "path": "reef-42/session_s",
        "mission": "reef-42",
        "sensors": {"inWater": "rov1"},
        "exchanges": 812,
        "last_exchange_at": None,
        "alarm": None,
        "error": None,
    }
    assert SessionState.decode(json.dumps(state)).exchanges == 812
