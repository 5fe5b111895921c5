"""Realtime − RAW is read with an error, which a bound from direct exchanges has to allow for."""

import random

import pytest

from schemas.exchange import MQTT, UDP, Exchange
from tests.effort import tries
from topside_agent.estimator import OffsetEstimator, smooth

S, US = 1_000_000_000, 1_000
OFFSET_NS = 250_000_000
SHARP_NS, BLURRED_NS = 100, 9 * US
WAY_NS = {UDP: 900, MQTT: 40 * US}
"""The least delay of a way."""


def exchange(chance, seq, method, *, blurred):
    """Its stamps are right on RAW; what was added to them to show realtime is wrong by half its resolution.

    So much a program is off that was interrupted between RAW and realtime.
    """
    half_ns = BLURRED_NS if blurred else SHARP_NS
    pi_ns, topside_ns = (round(chance.uniform(-half_ns, half_ns)) for _ in range(2))
    origin_ns = (seq + 1) * S // 10
    out, back = (round(WAY_NS[method] + chance.expovariate(1 / US)) for _ in range(2))
    receive_ns = origin_ns + out + OFFSET_NS
    return Exchange(
        vehicle="rov1",
        topside="laptop",
        method=method.name,
        seq=seq,
        boot_id="boot",
        origin_ns=origin_ns + topside_ns,
        receive_ns=receive_ns + pi_ns,
        transmit_ns=receive_ns + pi_ns,
        destination_ns=origin_ns + out + back + topside_ns,
        pi_realtime_minus_raw_ns=pi_ns,
        topside_realtime_minus_raw_ns=topside_ns,
        topside_boot_id="topside",
        resolution_ns=2 * half_ns,
    )


@pytest.mark.parametrize("lost_after", [300, 100])
@pytest.mark.parametrize("seed", range(tries(4)))
def test_what_a_reading_may_be_wrong_by_is_in_the_bound(seed, lost_after):
    chance, estimator = random.Random(seed), OffsetEstimator()
    for seq in range(300):
        method = UDP if seq < lost_after else MQTT
        estimator.add(exchange(chance, seq, method, blurred=chance.random() < 0.1))
        found = estimator.estimate()
        assert found.lower_ns <= OFFSET_NS <= found.upper_ns, seq


@pytest.mark.parametrize("seed", range(tries(4)))
def test_and_in_the_bound_of_a_track(seed):
    chance = random.Random(seed)
    made = [exchange(chance, seq, UDP, blurred=chance.random() < 0.1) for seq in range(100)]
    rows = smooth(made).rows
    assert len(rows) == len(made)
    assert all(row.lower_ns <= OFFSET_NS <= row.upper_ns for row in rows)
