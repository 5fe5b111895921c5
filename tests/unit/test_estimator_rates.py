"""The rate of the RAW clocks is proved by the exchanges, whatever it is; an unusual one is reported."""

import random

import pytest

from schemas.exchange import Exchange
from tests.effort import tries
from topside_agent.estimator import EstimatorSettings, OffsetEstimator, smooth

S = 1_000_000_000


def recorded(ppm, seed=0, count=300):
    """Exchanges at 4/s, 0.3 ms + exponential 3 ms either way, with the truths at reading and arrival."""
    source = random.Random(seed)

    def delay_ns():
        return round(3e5 + source.expovariate(1 / 3e6))

    def raw_ns(at_ns):
        return 50_000 * S + round(at_ns * (1 + ppm * 1e-6))

    made = []
    for seq in range(count):
        origin = seq * S // 4
        receive = origin + delay_ns()
        transmit = receive + 100_000
        destination = transmit + delay_ns()
        exchange = Exchange(
            vehicle="rov1", topside="topside", seq=seq, boot_id="boot-0",
            origin_ns=origin + S, receive_ns=raw_ns(receive), transmit_ns=raw_ns(transmit),
            destination_ns=destination + S, pi_realtime_minus_raw_ns=0, topside_realtime_minus_raw_ns=S,
            resolution_ns=2,
        )  # fmt: skip
        made.append((exchange, *(raw_ns(at) - at - S for at in (transmit, destination))))
    return made


@pytest.mark.parametrize("ppm", [18, 300, -300, 1000, 5000, 70_000, -70_000])
def test_no_result_is_outside_its_bound_however_far_apart_the_clocks_run(ppm):
    for seed in range(tries(3)):
        running, made = OffsetEstimator(), recorded(ppm, seed)
        for exchange, truth, _ in made:
            assert running.add(exchange).cut is None
            estimate = running.estimate()
            assert estimate.lower_ns <= truth <= estimate.upper_ns
        for row, (_, _, truth) in zip(smooth([each[0] for each in made]).rows, made, strict=True):
            assert row.lower_ns <= truth <= row.upper_ns
        assert (running.clock_rate_ppm is None) == (abs(ppm) < 200)
        assert running.estimate().drift_ppm == pytest.approx(ppm, abs=5)


def test_an_unusual_rate_is_reported_as_soon_as_it_is_proved():
    running = OffsetEstimator()
    made = recorded(5000)
    running.add(made[0][0])
    assert running.clock_rate_ppm is None
    for exchange, _, _ in made[1:20]:
        running.add(exchange)
    assert running.clock_rate_ppm == pytest.approx(5000, abs=1000)


def test_a_promise_narrows_the_first_seconds():
    widths = []
    for limit_ppm in (100_000, 200):
        running = OffsetEstimator(EstimatorSettings(rate_limit_ppm=limit_ppm))
        for exchange, _, _ in recorded(18, count=3):
            running.add(exchange)
        estimate = running.estimate()
        widths.append(estimate.upper_ns - estimate.lower_ns)
    assert widths[1] < widths[0]


def test_a_promise_is_given_up_at_the_first_contradiction():
    running, cuts, wrong = OffsetEstimator(EstimatorSettings(rate_limit_ppm=200)), [], []
    for exchange, truth, _ in recorded(1000, count=600):
        cuts.append(running.add(exchange).cut)
        estimate = running.estimate()
        wrong.append(not estimate.lower_ns <= truth <= estimate.upper_ns)
    first = next(index for index, cut in enumerate(cuts) if cut is not None)
    assert not any(wrong[first:])
    assert running.clock_rate_ppm == pytest.approx(1000, abs=50)


def test_afterwards_a_contradicted_promise_leaves_no_row_wrong():
    exchanges = [exchange for exchange, _, _ in recorded(1000, count=600)]
    promised = smooth(exchanges, EstimatorSettings(rate_limit_ppm=200))
    without = smooth(exchanges)
    assert promised.rows == without.rows
