"""Whatever a journal holds: no exception, no empty interval, and a true line never makes a bound wrong."""

import random
from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.exchange import Exchange
from tests.effort import tries
from topside_agent.estimator import OffsetEstimator, online, smooth

S = 1_000_000_000
START = 1_777_000_000 * S
UPTIME = 1000 * S


def exchange_at(sent_ns, out_ns, turnaround_ns, back_ns, *, seq=0, drift=0.0, offset_ns=3 * S):
    """An exchange sent so long after the start, and the true offset at its destination."""
    arrived_ns, answered_ns = sent_ns + out_ns, sent_ns + out_ns + turnaround_ns
    received_ns = answered_ns + back_ns

    def pi_ns(at_ns):
        return START + offset_ns + at_ns + int(drift * at_ns)

    exchange = Exchange(
        vehicle="rov1",
        topside="topside",
        seq=seq,
        boot_id="boot-0",
        origin_ns=START + sent_ns,
        receive_ns=pi_ns(arrived_ns),
        transmit_ns=pi_ns(answered_ns),
        destination_ns=START + received_ns,
        pi_realtime_minus_raw_ns=START + offset_ns - UPTIME,
        topside_realtime_minus_raw_ns=START - UPTIME,
        resolution_ns=2,
    )
    return exchange, pi_ns(received_ns) - START - received_ns


WAYS = st.one_of(st.just(0), st.integers(0, 2_000_000), st.integers(0, 2 * S), st.integers(0, 1500 * S))
TRIPS = st.lists(
    st.tuples(st.integers(0, 200 * S), WAYS, st.integers(0, 50_000_000), WAYS), min_size=1, max_size=30
)


def check(track):
    for row in track.rows:
        assert row.lower_ns <= row.offset_ns <= row.upper_ns
    final = track.final
    assert final is None or final.lower_ns <= final.offset_ns <= final.upper_ns
    assert final is None or final.drift_ppm is None or isfinite(final.drift_ppm)


@pytest.mark.parametrize("estimate", [online, smooth])
def test_a_round_trip_of_many_minutes_takes_nothing_from_the_others(estimate):
    trips = [(9_836_417_116, 500_000, 0, 1000 * S), *((at * S, 700_000, 0, 600_000) for at in range(10, 40))]
    pairs = [exchange_at(*trip, seq=seq) for seq, trip in enumerate(trips)]
    rows = {row.topside_unix_ns: row for row in estimate([exchange for exchange, _ in pairs]).rows}
    alone = {row.topside_unix_ns: row for row in estimate([exchange for exchange, _ in pairs[1:]]).rows}
    assert len(rows) == len(pairs)
    for exchange, truth_ns in pairs:
        row = rows[exchange.destination_ns]
        assert row.lower_ns <= truth_ns <= row.upper_ns
    for at_ns, row in alone.items():
        assert rows[at_ns].upper_ns - rows[at_ns].lower_ns <= row.upper_ns - row.lower_ns + 2


@settings(max_examples=tries(30), derandomize=True)
@given(TRIPS, st.floats(-190e-6, 190e-6))
def test_round_trips_of_any_length_that_overlap_keep_the_truth_in_every_bound(trips, drift):
    pairs = [exchange_at(*trip, seq=seq, drift=drift) for seq, trip in enumerate(trips)]
    truths = {exchange.destination_ns: truth_ns for exchange, truth_ns in pairs}
    for estimate in (online, smooth):
        track = estimate([exchange for exchange, _ in pairs])
        check(track)
        for row in track.rows:
            assert row.lower_ns - 1 <= truths[row.topside_unix_ns] <= row.upper_ns + 1


STAMPS = ("origin_ns", "receive_ns", "transmit_ns", "destination_ns")
DIFFERENCES = ("pi_realtime_minus_raw_ns", "topside_realtime_minus_raw_ns")
MOVES = st.one_of(
    st.integers(-(10**7), 10**7), st.integers(-(10**12), 10**12), st.integers(-(10**19), 10**19)
)
CHANGES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys((*STAMPS, *DIFFERENCES), MOVES)
    | {
        "boot_id": st.sampled_from([None, "boot-1"]),
        "method": st.sampled_from(["ntp_handshake_v1", "other"]),
        "resolution_ns": st.sampled_from([0, 1, 10**9]),
        "seq": st.integers(0, 2**53),
        "unknown": st.just(None),
    },
)


def changed(exchange, changes):
    """`exchange` as a line with these values moved would have it, or as it is where none can."""
    values = exchange.model_dump()
    for name, change in changes.items():
        values[name] = (values[name] or 0) + change if name in STAMPS + DIFFERENCES else change
    if "unknown" in changes:
        values["pi_realtime_minus_raw_ns"] = None
    try:
        return Exchange(**values)
    except ValueError:
        return exchange


@settings(max_examples=tries(60), derandomize=True)
@given(TRIPS, st.lists(st.tuples(st.integers(0, 29), CHANGES), min_size=1, max_size=8))
def test_no_line_makes_an_exception_or_an_empty_interval(trips, lies):
    exchanges = [exchange_at(*trip, seq=seq)[0] for seq, trip in enumerate(trips)]
    for place, changes in lies:
        exchanges.insert(place, changed(exchanges[place % len(exchanges)], changes))
    check(online(exchanges))
    check(smooth(exchanges))
    estimator = OffsetEstimator()
    for exchange in exchanges:
        estimator.add(exchange)
        estimate = estimator.estimate()
        assert estimate is None or estimate.lower_ns <= estimate.offset_ns <= estimate.upper_ns


def test_delays_of_zero_have_an_estimate_too():
    exchanges = [exchange_at(seq * S // 4, 0, 0, 0, seq=seq)[0] for seq in range(600)]
    for estimate in (online, smooth):
        track = estimate(exchanges)
        check(track)
        assert {row.offset_ns for row in track.rows} == {3 * S}


@pytest.mark.parametrize("seed", range(tries(8)))
def test_lines_that_are_years_apart_come_to_an_end(seed):
    rng, at_ns, exchanges = random.Random(seed), 0, []
    drift = rng.uniform(-0.09, 0.09)
    for seq in range(40):
        at_ns += rng.choice([S // 4, 3 * S, 10**5 * S, 10**7 * S])
        ways = [rng.randint(0, 10**6) for _ in range(3)]
        exchanges.append(exchange_at(at_ns, *ways, seq=seq, drift=drift)[0])
    check(online(exchanges))
    check(smooth(exchanges))
