"""Exchanges over two paths in one estimate: one bound, delays of their own, no step where a path changes."""

import random

import pytest

from schemas.exchange import MQTT, UDP, Exchange
from tests.effort import tries
from topside_agent.estimator import OffsetEstimator, online

S = 1_000_000_000
DIRECT, FAR = (50_000, 5_000), (60_000_000, 1_000_000)
"""The least delay of a way, and the mean of what is added, ns."""
ASYMMETRY_NS = 4_000_000
"""The far path's way out is so much longer."""


class Clocks:
    """A vehicle whose clock is ahead and fast, and the exchanges with it."""

    def __init__(self, seed=1, *, offset_ns=250_000_000, drift=20e-6):
        self.random = random.Random(seed)
        self.offset_ns, self.drift = offset_ns, drift
        self.seq = 0

    def true_ns(self, at_ns):
        return self.offset_ns + round(self.drift * at_ns)

    def exchange(self, method, at_ns):
        """One that topside begins at its RAW `at_ns`."""
        least, mean = DIRECT if method is UDP else FAR
        longer = 0 if method is UDP else ASYMMETRY_NS
        out, back = (round(least + self.random.expovariate(1 / mean)) for _ in range(2))
        arrived_ns = at_ns + out + longer
        pi_ns = arrived_ns + self.true_ns(arrived_ns)
        self.seq += 1
        return Exchange(
            vehicle="rov1",
            topside="laptop",
            method=method.name,
            seq=self.seq - 1,
            boot_id="boot",
            origin_ns=at_ns,
            receive_ns=pi_ns,
            transmit_ns=pi_ns,
            destination_ns=arrived_ns + back,
            pi_realtime_minus_raw_ns=0,
            topside_realtime_minus_raw_ns=0,
            topside_boot_id="topside",
            resolution_ns=1,
        )

    def alternating(self, seconds, *, direct=lambda _: True, far=lambda at_s: at_s % 5 < 0.3):
        """Direct ones four times a second while `direct`, others while `far`, as they finish."""
        made = [
            self.exchange(method, round(quarter * S / 4) + S)
            for quarter in range(seconds * 4)
            for method, wanted in ((UDP, direct), (MQTT, far))
            if wanted(quarter / 4)
        ]
        return sorted(made, key=lambda exchange: exchange.destination_ns)


def estimates(exchanges):
    """The estimator's estimate after each of them that changes it."""
    estimator = OffsetEstimator()
    for exchange in exchanges:
        if not estimator.add(exchange).waits:
            yield exchange, estimator.estimate()


@pytest.mark.parametrize("seed", range(tries(8)))
def test_a_far_paths_exchanges_never_widen_what_direct_ones_know(seed):
    both = Clocks(seed).alternating(60)
    alone = [exchange for exchange in both if exchange.method == UDP.name]
    with_far = {exchange.seq: found for exchange, found in estimates(both) if exchange.method == UDP.name}
    for exchange, found in estimates(alone):
        if exchange.destination_ns > 6 * S:
            known = with_far[exchange.seq]
            assert known.upper_ns - known.lower_ns <= found.upper_ns - found.lower_ns + 2


@pytest.mark.parametrize("seed", range(tries(8)))
def test_a_path_that_comes_and_goes_is_no_step_and_the_bound_holds(seed):
    clocks = Clocks(seed)
    exchanges = clocks.alternating(
        120, direct=lambda s: not 40 <= s < 60, far=lambda s: s % 5 < 0.3 or 41 <= s < 62
    )
    errors = []
    for exchange, found in estimates(exchanges):
        true_ns = found.offset_ns - clocks.true_ns(found.measured_at_ns)
        lower_ns, upper_ns = (
            ns - clocks.true_ns(found.measured_at_ns) for ns in (found.lower_ns, found.upper_ns)
        )
        assert lower_ns - 2 <= 0 <= upper_ns + 2
        if exchange.destination_ns > 20 * S:
            errors.append(abs(true_ns))
    assert max(errors) < ASYMMETRY_NS / 100


def test_a_far_exchange_waits_and_changes_nothing_until_the_next_direct_one():
    clocks, estimator = Clocks(), OffsetEstimator()
    for number in range(40):
        estimator.add(clocks.exchange(UDP, number * S // 4 + S))
    before = estimator.estimate()
    added = estimator.add(clocks.exchange(MQTT, 11 * S))
    assert (added.accepted, added.waits) == (True, True)
    assert estimator.estimate() == before
    assert not estimator.add(clocks.exchange(UDP, 12 * S)).waits
    assert estimator.exchanges_total == 42


def test_a_step_that_a_far_exchange_shows_does_not_wait():
    clocks, estimator = Clocks(), OffsetEstimator()
    for number in range(40):
        estimator.add(clocks.exchange(UDP, number * S // 4 + S))
    stepped = clocks.exchange(MQTT, 11 * S)
    shift = {"pi_realtime_minus_raw_ns": 3 * S, "receive_ns": stepped.receive_ns + 3 * S}
    added = estimator.add(stepped.model_copy(update=shift | {"transmit_ns": stepped.transmit_ns + 3 * S}))
    assert added.cut.cause == "step"
    found = estimator.estimate()
    true_ns = clocks.true_ns(found.measured_at_ns) + 3 * S
    assert found.lower_ns <= true_ns <= found.upper_ns


def test_a_path_that_turns_out_longer_is_given_up_for_the_other():
    clocks, estimator = Clocks(), OffsetEstimator()
    for number in range(20):
        estimator.add(clocks.exchange(MQTT, number * S // 4 + S))
    assert estimator.estimate().delay_min_ns > 100_000_000
    for number in range(20, 40):
        estimator.add(clocks.exchange(UDP, number * S // 4 + S))
    assert estimator.estimate().delay_min_ns < 1_000_000


def test_every_exchange_of_both_has_its_row():
    exchanges = Clocks().alternating(30)
    track = online(exchanges)
    assert len(track.rows) == len(exchanges)
