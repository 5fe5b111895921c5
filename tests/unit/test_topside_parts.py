"""Topside's small pure parts: backlog, published result."""

import json
from fractions import Fraction
from itertools import chain

import pytest

from runtime.clock import Reading
from schemas.base import MAX_MESSAGE_BYTES
from schemas.exchange import Exchange
from schemas.messages import ExchangeBatch
from topside_agent.estimator import Estimate
from topside_agent.measuring.backlog import Backlog
from topside_agent.measuring.offsets import Offsets
from topside_agent.measuring.pace import Pace
from topside_agent.measuring.result import Progress, ceil_ms, floor_ms, result_of
from topside_agent.settings import TopsideSettings

MS = 1_000_000
S = 1_000_000_000


def exchange(seq):
    return Exchange(
        vehicle="rov1",
        topside="laptop",
        seq=seq,
        boot_id="b",
        origin_ns=seq,
        receive_ns=0,
        transmit_ns=0,
        destination_ns=0,
        pi_realtime_minus_raw_ns=0,
        topside_realtime_minus_raw_ns=0,
    )


def seqs(payload):
    return [entry.seq for entry in ExchangeBatch.decode(payload).exchanges]


def test_every_exchange_is_batched_once_and_in_order():
    backlog = Backlog(1800 * S)
    for seq in range(250):
        backlog.add(exchange(seq), seq * S)
    batches = [seqs(payload) for payload in backlog.take_batches()]
    assert [len(batch) for batch in batches] == [100, 100, 50]
    assert list(chain(*batches)) == list(range(250))
    assert list(backlog.take_batches()) == []
    backlog.add(exchange(250), 250 * S)
    assert [seqs(payload) for payload in backlog.take_batches()] == [[250]]


def test_what_an_outage_left_is_taken_by_and_by_oldest_first_and_none_twice():
    backlog = Backlog(1800 * S)
    for seq in range(730):
        backlog.add(exchange(seq), seq * S)
    taken = []
    while backlog.waiting:
        taken.append([seq for payload in backlog.take_batches(250) for seq in seqs(payload)])
    assert [len(part) for part in taken] == [250, 250, 230]
    assert list(chain(*taken)) == list(range(730))


@pytest.mark.parametrize("vehicles", [1, 7, 60, 300, 3000])
@pytest.mark.parametrize("rate", [0.05, 4, 50])
def test_of_a_fleet_no_more_goes_out_at_once_than_may_wait_and_each_catches_up(vehicles, rate):
    pace = Pace(TopsideSettings(rate=rate))
    pace.measures(vehicles)
    interval_s = pace.resting_ns / S
    assert pace.most_exchanges > rate * interval_s
    made = vehicles * rate * interval_s
    assert vehicles * pace.most_exchanges <= max(6_000, 2 * made + 2 * vehicles)


def test_exchanges_with_the_longest_names_and_ids_fit_into_packets_and_none_is_lost():
    backlog = Backlog(1800 * S)
    for seq in range(150):
        longest = {
            "vehicle": "v" * 63,
            "topside": "t" * 63,
            "method": "\x01" * 64,
            "boot_id": "\x01" * 128,
            "topside_boot_id": "\x01" * 128,
            "seq": 2**53 - 150 + seq,
        }
        backlog.add(exchange(seq).model_copy(update=longest), seq * S)
    for payloads in (list(backlog.resend(0, 2**53)), list(backlog.take_batches())):
        assert max(map(len, payloads)) <= MAX_MESSAGE_BYTES
        assert [seq for one in payloads for seq in seqs(one)] == list(range(2**53 - 150, 2**53))
    assert list(backlog.take_batches()) == []


def test_what_was_not_published_before_it_was_too_old_is_left_out():
    backlog = Backlog(100 * S)
    for seq in range(300):
        backlog.add(exchange(seq), seq * S)
    assert [seq for payload in backlog.take_batches() for seq in seqs(payload)] == list(range(199, 300))


def test_what_is_requested_again_is_sent_again_as_far_as_it_is_held():
    backlog = Backlog(100 * S)
    for seq in range(300):
        backlog.add(exchange(seq), seq * S)
    again = [seq for payload in backlog.resend(150, 1000) for seq in seqs(payload)]
    assert again == list(range(199, 300))


def test_batches_are_numbered_without_gaps_resent_ones_too():
    backlog = Backlog(1800 * S)
    numbers = []
    for seq in range(3):
        backlog.add(exchange(seq), 0)
        payloads = (*backlog.take_batches(), *backlog.resend(seq, seq))
        numbers += [json.loads(payload)["batch"] for payload in payloads]
    assert numbers == [0, 1, 2, 3, 4, 5]


def estimate(**changes):
    fields = {
        "measured_at_ns": 1777636800123456789,
        "offset_ns": -150_312_000,
        "lower_ns": -150_730_000,
        "upper_ns": -149_890_000,
        "u95_ns": 30_000,
        "drift_ppm": -3.41,
        "drift_error_ppm": 0.8,
        "delay_min_ns": 610_000,
        "exchanges": 240,
        "segment": 0,
        "boot_id": "b",
        "age_ns": 0,
    }
    return Estimate(**fields | changes)


PROGRESS = Progress(since_cut=8, rejected=2, segment=0, steps=0, error=None)
SETTINGS = TopsideSettings()


def test_the_published_result_is_the_designs_example():
    result = json.loads(result_of("rov1", estimate(), PROGRESS, SETTINGS).encode())
    assert result["offset_ms"] == -150.312
    assert (result["lower_ms"], result["upper_ms"]) == (-150.73, -149.89)
    assert result["max_error_ms"] == 0.422
    assert result["measured_at"] == "2026-05-01T12:00:00.123456Z"
    assert result["measured_unix_ms"] == 1777636800123
    assert result["state"] == "locked"


@pytest.mark.parametrize(
    ("changes", "since_cut", "state"),
    [
        ({}, 7, "acquiring"),
        ({}, 8, "locked"),
        ({"upper_ns": -150_312_000 + 11 * MS}, 8, "acquiring"),
        ({"age_ns": 3 * S}, 8, "holdover"),
        ({"age_ns": 4 * S, "upper_ns": -150_312_000 + 25 * MS}, 8, "holdover"),
        ({"age_ns": 4 * S, "upper_ns": -150_312_000 + 26 * MS}, 8, "stale"),
        ({"age_ns": 900 * S}, 8, "stale"),
    ],
)
def test_the_state_follows_age_and_error(changes, since_cut, state):
    progress = Progress(since_cut=since_cut, rejected=0, segment=0, steps=0, error=None)
    assert result_of("rov1", estimate(**changes), progress, SETTINGS).state == state


def test_nothing_to_go_on_is_unsynced_with_nulls_and_the_reason():
    progress = Progress(since_cut=0, rejected=0, segment=0, steps=0, error="timeout")
    result = json.loads(result_of("rov1", None, progress, SETTINGS).encode())
    assert result["state"] == "unsynced"
    assert result["error"] == "timeout"
    assert result["offset_ms"] is None
    assert result["measured_at"] is None


@pytest.mark.parametrize("ns", [0, 1, -1, -150_312_345, 1777636800123456789, -1777636800123456789, 2**62 + 1])
def test_a_bound_in_ms_is_never_narrower_than_in_ns(ns):
    if abs(ns) < 2**52:
        assert round(floor_ms(ns) * 1e6) == ns == round(ceil_ms(ns) * 1e6)
    else:
        assert Fraction(floor_ms(ns)) * MS < ns < Fraction(ceil_ms(ns)) * MS


def test_an_internal_fault_restarts_the_estimate_of_its_vehicle_and_nothing_else(caplog):
    offsets = Offsets(SETTINGS.estimator, Pace(SETTINGS))
    clean = [
        exchange(seq).model_copy(
            update=dict.fromkeys(("origin_ns", "destination_ns", "receive_ns", "transmit_ns"), (seq + 1) * S)
        )
        for seq in range(4)
    ]
    assert offsets.add(clean[0]) is None
    offsets.estimator.add = lambda _exchange: 1 / 0
    assert offsets.add(clean[1]) == "internal_fault"
    assert "internal fault 1" in caplog.text
    assert offsets.changed
    assert offsets.add(clean[2]) is None
    assert offsets.estimate(Reading(4 * S, 0, 0), 3 * S) is not None
