"""Links whose delays scatter little: their averages are used where they beat the edges, and only there."""

import numpy as np
import pytest

from bench.estimators.chrony import chrony
from bench.estimators.robust_line import pyxdf
from bench.estimators.samples import samples_of
from schemas.exchange import Exchange
from tests.effort import tries
from topside_agent.estimator import EstimatorSettings, OffsetEstimator, online, smooth
from topside_agent.estimator.between import bounds_between
from topside_agent.estimator.blocks import Bounds
from topside_agent.estimator.bound import ClockLimits
from topside_agent.estimator.least_squares import Reference, least_squares, sums_of, sums_of_newest

START_NS = 1_777_636_800_000_000_000
KAPPA = 500.0


def light_tailed(rng, count):
    return np.abs(rng.normal(40e-6, 10e-6, count))


def exchanged(seed, *, out, back, seconds=1200, rate_hz=1.0, wander=1e-9, drift=12e-6, gap=(0, 0)):
    """Exchanges and the true offset (ns) at their destinations; delays in s, wander in 1/√s.

    Those with the numbers of the gap are left out.
    """
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    sent = np.arange(count) / rate_hz
    grid = np.arange(0.0, seconds + 30)
    frequency = drift + np.cumsum(rng.normal(0, wander, grid.size))
    phase = np.concatenate([[0.0], np.cumsum((frequency[1:] + frequency[:-1]) / 2)])
    received = sent + out(rng, count)
    answered = received + 1e-4
    arrived = answered + back(rng, count)
    heard = (np.arange(count) < gap[0]) | (np.arange(count) >= gap[1])
    sent, received, answered, arrived = (each[heard] for each in (sent, received, answered, arrived))

    def pi(at):
        return [START_NS + round(s * 1e9) for s in (at + np.interp(at, grid, phase)).tolist()]

    def topside(at):
        return [START_NS + round(s * 1e9) for s in at.tolist()]

    columns = zip(topside(sent), pi(received), pi(answered), topside(arrived), strict=True)
    exchanges = [
        Exchange(
            vehicle="rov1",
            topside="topside",
            seq=seq,
            boot_id="boot",
            origin_ns=origin,
            receive_ns=receive,
            transmit_ns=transmit,
            destination_ns=destination,
            pi_realtime_minus_raw_ns=START_NS,
            topside_realtime_minus_raw_ns=START_NS,
        )
        for seq, (origin, receive, transmit, destination) in enumerate(columns)
    ]
    return exchanges, np.interp(arrived, grid, phase) * 1e9


def errors_of(track, truth, *, after_s=200):
    at_s = np.array([(row.topside_unix_ns - START_NS) / 1e9 for row in track.rows])
    return np.array([row.offset_ns for row in track.rows])[at_s >= after_s] - truth[at_s >= after_s]


def peer_errors(peer, exchanges, truth, *, after_s=200):
    samples = samples_of(exchanges)
    error = peer(samples).offset_ns + samples.reference_ns - truth
    return error[samples.destination_ns >= after_s * 1e9]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(tries(3)))
def test_on_a_quiet_lan_ours_spreads_less_than_the_best_peer(seed):
    exchanges, truth = exchanged(seed, out=light_tailed, back=light_tailed)
    assert errors_of(online(exchanges), truth).std() < peer_errors(chrony, exchanges, truth).std()
    assert errors_of(smooth(exchanges), truth).std() < peer_errors(pyxdf, exchanges, truth).std()


@pytest.mark.slow
@pytest.mark.parametrize("quiet_way", ["out", "back"])
def test_one_quiet_way_is_enough_to_follow_the_offset(quiet_way):
    ways = {
        "out": lambda rng, n: 0.013 + rng.uniform(0, 7e-3, n),
        "back": lambda rng, n: 0.013 + rng.uniform(0, 7e-3, n),
    }
    ways[quiet_way] = lambda rng, n: 0.012 + rng.gamma(3, 1e-4, n)
    exchanges, truth = exchanged(1, **ways)
    assert errors_of(online(exchanges), truth).std() < peer_errors(chrony, exchanges, truth).std()
    assert errors_of(smooth(exchanges), truth).std() < 15_000


@pytest.mark.parametrize("seed", range(tries(2)))
def test_delays_of_different_shapes_do_not_move_the_level(seed):
    """The mean delays differ by 60 us, the least ones do not: that must not enter the offset."""
    exchanges, truth = exchanged(
        seed,
        out=lambda rng, n: 1e-4 + rng.gamma(2, 1e-5, n),
        back=lambda rng, n: 1e-4 + rng.gamma(2, 4e-5, n),
    )
    assert abs(errors_of(online(exchanges), truth).mean()) < 10_000
    assert abs(errors_of(smooth(exchanges), truth).mean()) < 10_000


def best_bounds(exchange_bounds, at_s):
    """The least upper and greatest lower bound at `at_s` from every pair around it, by trying all."""
    sides = []
    for times, values in (
        (exchange_bounds.upper_at, exchange_bounds.upper),
        (exchange_bounds.lower_at, -exchange_bounds.lower),
    ):
        raised = values + KAPPA * np.abs(times - at_s) ** 1.5
        before, after = times <= at_s, times >= at_s
        away, ahead = (at_s - times[before])[:, None], (times[after] - at_s)[None, :]
        whole = np.maximum(away + ahead, 1e-9)
        sides.append(((raised[before][:, None] * ahead + raised[after][None, :] * away) / whole).min())
    return -sides[1], sides[0]


def test_the_bound_between_is_that_of_the_best_pair():
    rng = np.random.default_rng(3)
    at_s = np.sort(rng.uniform(0, 240, 200))
    offset = 12_000 * at_s + 3e4 * np.sin(at_s / 40)
    upper, lower = offset + 1e6 + rng.exponential(5e5, 200), offset - 1e6 - rng.exponential(2e6, 200)
    bounds = Bounds(at_s - 1e-3, upper, at_s, lower)
    number = np.floor(at_s / 2).astype(np.int64)
    limits = ClockLimits(1e8, KAPPA, tangents=True)
    low, high = bounds_between(bounds, number, np.full(200, 12_000.0), limits, 2.0)
    inner = slice(10, 190)
    assert (low[inner] <= offset[inner]).all()
    assert (offset[inner] <= high[inner]).all()
    best = [best_bounds(bounds, instant) for instant in at_s[inner].tolist()]
    narrowest = np.array([b - a for a, b in best])
    width = (high - low)[inner]
    assert (width >= narrowest - 1).all()  # a linear program cannot prove more than all pairs together
    assert np.median(width / narrowest) < 1.002


def test_the_bound_between_claims_nothing_beyond_the_exchanges_or_without_tangents():
    at_s = np.array([10.0, 20.0, 30.0])
    bounds = Bounds(at_s - 1e-3, np.full(3, 1e6), at_s, np.full(3, -1e6))
    number = np.array([5, 10, 15])
    _, high = bounds_between(bounds, number, np.zeros(3), ClockLimits(1e8, KAPPA, tangents=True), 2.0)
    assert np.isinf(high[2])  # no upper bound was taken after it
    _, high = bounds_between(bounds, number, np.zeros(3), ClockLimits(1e8, KAPPA, tangents=False), 2.0)
    assert np.isinf(high).all()


@pytest.mark.parametrize("seed", range(tries(3)))
def test_the_smoothed_bound_holds_while_the_clock_wanders_as_far_as_is_allowed(seed):
    """A cold dunk of 21 ppm within minutes, between exchanges that are rare."""
    rng = np.random.default_rng(seed)
    exchanges, truth = exchanged(
        seed,
        out=lambda rng, n: 0.013 + rng.exponential(5e-4, n),
        back=lambda rng, n: 0.014 + rng.uniform(0, 7e-3, n),
        rate_hz=0.5,
        wander=rng.uniform(1e-9, 1e-7),
        drift=-21e-6 * -np.expm1(-np.maximum(np.arange(1230.0) - 300, 0) / 300),
    )
    track = smooth(exchanges)
    held = [
        row.lower_ns <= true <= row.upper_ns for row, true in zip(track.rows, truth.tolist(), strict=True)
    ]
    assert all(held)


def test_least_squares_from_sums_is_the_textbooks_weighted_line():
    rng = np.random.default_rng(5)
    at_s = 2.0 * np.arange(40) + 1000
    weight, values = rng.uniform(0.5, 2, (2, 40)), rng.normal(0, 1000, (2, 40)) + 5e9 + 18_000 * at_s
    reference = Reference(1000.0, 5e9, 18_000.0)
    sums = sums_of(at_s, weight, values, reference)
    fits = least_squares(sums[:, :, 30:31] - sums[:, :, 10:11], np.array([20.0]), reference)
    for way in range(2):
        line = np.polynomial.Polynomial.fit(at_s[10:30], values[way, 10:30], 1, w=np.sqrt(weight[way, 10:30]))
        assert fits.at(1060.0)[way, 0] == pytest.approx(line(1060.0), abs=0.01)


def test_sums_of_the_newest_blocks_are_those_of_all_blocks():
    rng = np.random.default_rng(6)
    at_s, reference = 2.0 * np.arange(40) + 1000, Reference(1078.0, 5e9, 18_000.0)
    blocks = rng.normal(5e9, 1000, (7, 40)) + 18_000 * at_s
    blocks[0], blocks[6] = 1.0, rng.uniform(0.5, 2, 40)
    blocks[:, [3, 20, 21]] = 0.0
    least_out, least_back, mean_out, mean_back, both = blocks[1:6]
    values = np.array([least_out, least_back, (least_out + least_back) / 2, mean_out, mean_back, both])
    weights = np.array([*[blocks[0]] * 5, blocks[6]])
    before = sums_of(at_s, weights, values, reference)
    counts = (4, 8, 40, 8, 25)
    found = sums_of_newest(blocks, 2.0, reference, counts)
    for place, count in enumerate(counts):
        expected = before[..., -1] - before[..., 40 - count]
        assert found[..., place] == pytest.approx(expected, rel=1e-9, abs=1e-3)


def test_estimates_stay_inside_their_bounds_and_precision_covers_on_a_quiet_lan():
    shares = []
    for seed in range(tries(4)):
        exchanges, truth = exchanged(seed, out=light_tailed, back=light_tailed, rate_hz=2.0)
        track = smooth(exchanges, EstimatorSettings(asymmetry_share=0))
        assert all(row.lower_ns <= row.offset_ns <= row.upper_ns for row in track.rows)
        likely = np.array([row.u95_ns for row in track.rows])[-errors_of(track, truth).size :]
        shares.append(np.mean(np.abs(errors_of(track, truth)) <= likely))
    assert np.mean(shares) > 0.9


@pytest.mark.parametrize("gap_s", [30, 700, 4_000, 90_000])
def test_after_a_gap_of_any_length_the_offset_is_measured_as_before(gap_s):
    gap = (400, 400 + gap_s)
    exchanges, truth = exchanged(1, out=light_tailed, back=light_tailed, seconds=gap_s + 800, gap=gap)
    rows = [row for row in online(exchanges).rows if row.topside_unix_ns >= exchanges[420].destination_ns]
    true_ns = dict(zip((each.destination_ns for each in exchanges), truth.tolist(), strict=True))
    assert len(rows) > 300
    for row in rows:
        assert row.lower_ns <= true_ns[row.topside_unix_ns] <= row.upper_ns
        assert abs(row.offset_ns - true_ns[row.topside_unix_ns]) < 40_000


def test_an_estimator_that_has_heard_little_takes_little_memory():
    exchanges, _ = exchanged(1, out=light_tailed, back=light_tailed, seconds=40)
    estimator = OffsetEstimator()
    for exchange in exchanges:
        estimator.add(exchange)
    averages = estimator.timebase.averages
    assert 8 * len(averages._blocks) < 2_000
