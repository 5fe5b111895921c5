"""Every number that enters has limits, and the complaint names the value."""

import json

import pytest

from schemas.base import LATEST_NS, InvalidMessageError
from schemas.exchange import MAX_ROUND_TRIP_NS, Exchange, fault_of
from schemas.messages import Event, OffsetResult
from tests.unit import contracts
from tests.unit.test_exchanger import MS, nonce, pong, reading
from tidesync.sessions.journal import decode_event, read_journal
from topside_agent.measuring.exchanger import Exchanger, Refused

EXCHANGE = contracts.EXCHANGE
HOUR_NS = MAX_ROUND_TRIP_NS


def moved(**changes):
    values = EXCHANGE.model_dump()
    return values | {name: values[name] + change for name, change in changes.items()}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"destination_ns": 2 * HOUR_NS}, "between the timestamps of topside"),
        ({"transmit_ns": 2 * HOUR_NS}, "between the timestamps of the Pi"),
        ({"pi_realtime_minus_raw_ns": 2 * 10**18}, "RAW of the Pi from 0"),
        ({"topside_realtime_minus_raw_ns": -8 * 10**18}, "RAW of topside from 0"),
        ({"origin_ns": -(10**19)}, "origin_ns"),
        ({"receive_ns": 10**19}, "receive_ns"),
        ({"resolution_ns": 10**10}, "resolution_ns"),
        ({"seq": 2**60}, "seq"),
    ],
)
def test_a_line_beyond_the_limits_is_named_with_its_value_and_the_others_are_read(changes, complaint):
    values = moved(**changes)
    lines = [EXCHANGE.encode(), json.dumps(values).encode(), EXCHANGE.encode()]
    journal = read_journal(lines)
    assert (len(journal.exchanges), journal.malformed) == (2, 1)
    assert journal.faults[0].startswith("line 2: ")
    assert complaint in journal.faults[0]
    (name,) = changes
    value = values[name]
    given = EXCHANGE.model_dump() | {name: value}
    raw = given["receive_ns"] - given["pi_realtime_minus_raw_ns"]
    other = given["origin_ns"] - given["topside_realtime_minus_raw_ns"]
    assert any(str(each) in journal.faults[0] for each in (value, raw, other))


def test_a_long_round_trip_within_the_limit_is_an_exchange():
    assert fault_of(Exchange(**moved(destination_ns=HOUR_NS // 2))) is None


def test_without_raw_only_the_order_is_left_to_the_estimator():
    values = moved(destination_ns=-10) | {"topside_realtime_minus_raw_ns": None}
    assert fault_of(Exchange(**values)) is None


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z"]
)
def test_an_instant_out_of_reach_is_refused_and_not_an_exception(at):
    payload = json.dumps(json.loads(contracts.VALID["event"].encode()) | {"at": at}).encode()
    with pytest.raises(InvalidMessageError, match="expected an instant from 1970 to 2261"):
        Event.decode(payload)
    assert decode_event(payload) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("offset_ms", 1e300),
        ("drift_ppm", -1e300),
        ("age_s", 1e18),
        ("measured_unix_ms", 10**18),
        ("exchanges", 10**30),
    ],
)
def test_a_result_with_an_absurd_number_is_refused(name, value):
    payload = json.loads(contracts.VALID["offset"].encode()) | {name: value}
    with pytest.raises(InvalidMessageError, match=name):
        OffsetResult.decode(json.dumps(payload).encode())


def test_the_latest_instant_is_within_64_bits_with_all_that_is_computed_from_it():
    assert LATEST_NS + 10 * HOUR_NS < 2**63


@pytest.mark.parametrize(
    "changes",
    [
        {"resolution_ns": 10**9},
        {"receive_ms": 0, "transmit_ms": 2 * HOUR_NS // MS},
        {"realtime_minus_raw_ns": -9 * 10**18, "receive_ns": 10**18, "transmit_ns": 10**18},
        {"receive_ns": 0, "transmit_ns": 0},
    ],
)
def test_a_pong_with_numbers_beyond_the_limits_is_refused_and_its_number_stays_free(changes):
    exchanger = Exchanger("rov1", "laptop", timeout_ns=2000 * MS, resolution_ns=1)
    ping = exchanger.begin(reading(10), nonce(1))
    assert exchanger.finish(pong(ping, **changes), reading(12)) == Refused("invalid_pi_time", ours=True)
    ping = exchanger.begin(reading(20), nonce(2))
    assert exchanger.finish(pong(ping), reading(22)).seq == 0
