"""The peers are who they claim to be: exact on a noise-free path, and reacting as their sources do."""

import numpy as np
import pytest

from bench.estimators import delays, families
from bench.estimators.chrony import chrony
from bench.estimators.clocks import ClockLaw
from bench.estimators.families import Family
from bench.estimators.peers import AFTERWARDS, ONLINE, PEERS
from bench.estimators.robust_line import clock_resets, huber_line
from bench.estimators.runs_test import critical_runs, student
from bench.estimators.samples import Samples, samples_of, truth_of
from bench.estimators.score import Answers, answers_of_peer, score
from bench.estimators.single_best import handshake, lsl, ntp
from bench.estimators.ticsync import Hulls
from bench.estimators.timesync_filter import TimesyncFilter
from bench.estimators.traces import make_trace
from tests.effort import few

pytestmark = pytest.mark.slow


def quiet_trace(monkeypatch, *, drift=0.0, delay=None, offset_ns=-4_000_000_000):
    law = ClockLaw(drift=drift, wander_per_sqrt_s=0.0, offset_ns=offset_ns)
    family = Family("quiet", clock=lambda _s: law, delays=lambda _s: delay or delays.constant())
    monkeypatch.setitem(families.FAMILIES, "quiet", family)
    return make_trace("quiet", seed=0, duration_s=900.0)


def samples_from(middle_ns, delay_ns, every_s=0.25):
    middle, delay = np.asarray(middle_ns, dtype=float), np.asarray(delay_ns, dtype=float)
    origin = np.arange(middle.size) * every_s * 1e9
    return Samples(origin, origin + delay, middle + delay / 2, middle - delay / 2, delay, 0)


@pytest.mark.parametrize("peer", few(PEERS))
def test_every_peer_finds_a_constant_offset_on_equal_delays_exactly(monkeypatch, peer):
    trace = quiet_trace(monkeypatch)
    samples = samples_of(trace.exchanges)
    answers = PEERS[peer](samples)
    late = trace.at_s > 500.0
    assert np.abs(answers.offset_ns - truth_of(trace, samples))[late].max() < 2.0


@pytest.mark.parametrize("peer", few(PEERS))
def test_half_of_a_fixed_asymmetry_goes_into_every_peer(monkeypatch, peer):
    trace = quiet_trace(monkeypatch, delay=delays.constant(1e-3, 3e-3))
    samples = samples_of(trace.exchanges)
    error = PEERS[peer](samples).offset_ns - truth_of(trace, samples)
    assert error[trace.at_s > 500.0] == pytest.approx(-1e6, abs=5.0)


def test_a_handshake_every_ten_seconds_lags_by_five_seconds_of_drift(monkeypatch):
    trace = quiet_trace(monkeypatch, drift=20e-6)
    samples = samples_of(trace.exchanges)
    error = handshake(samples).offset_ns - truth_of(trace, samples)
    assert -error[trace.at_s > 100.0].mean() == pytest.approx(20e3 * 5.0, rel=0.05)


@pytest.mark.parametrize("peer", ["chrony", "ticsync", "px4"])
def test_a_peer_with_drift_follows_a_straight_line(monkeypatch, peer):
    trace = quiet_trace(monkeypatch, drift=20e-6)
    samples = samples_of(trace.exchanges)
    error = ONLINE[peer](samples).offset_ns - truth_of(trace, samples)
    assert np.abs(error[trace.at_s > 800.0]).max() < 2000.0


def test_online_peers_know_nothing_of_the_future():
    """Cutting the log changes no answer before the cut."""
    samples = samples_of(make_trace("lognormal", seed=2, duration_s=120.0).exchanges)
    columns = (
        samples.origin_ns,
        samples.destination_ns,
        samples.upper_ns,
        samples.lower_ns,
        samples.round_trip_ns,
    )
    half = Samples(*(column[:240] for column in columns), samples.reference_ns)
    for name, peer in ONLINE.items():
        whole, begun = peer(samples).offset_ns[:240], peer(half).offset_ns
        assert np.array_equal(whole, begun, equal_nan=True), name


def test_the_handshake_uses_one_exchange_in_forty():
    samples = samples_from(np.arange(120.0), np.full(120, 1e6))
    assert set(handshake(samples).offset_ns) == {0.0, 40.0, 80.0}


def test_liblsl_takes_the_least_delay_of_each_wave_of_eight():
    delay = np.full(24, 5e6)
    delay[[3, 14]] = 1e6
    answers = lsl(samples_from(np.arange(24.0), delay))
    assert np.isnan(answers.offset_ns[:8]).all()
    assert set(answers.offset_ns[8:16]) == {3.0}
    assert set(answers.offset_ns[16:]) == {14.0}


def test_ntp_never_goes_back_to_a_sample_older_than_the_last_used():
    delay = np.full(12, 5e6)
    delay[4] = 1e6
    answers = ntp(samples_from(np.arange(12.0), delay))
    assert list(answers.offset_ns[4:12]) == [4.0] * 8


def test_px4_begins_again_after_six_samples_a_tenth_of_a_second_off():
    state = TimesyncFilter()
    for _ in range(600):
        state.update(1e6, 2e6)
    for _ in range(5):
        state.update(300e6, 2e6)
    assert state.offset_ns == pytest.approx(1e6)
    state.update(300e6, 2e6)
    state.update(300e6, 2e6)
    assert state.offset_ns == 300e6


def test_px4_ignores_round_trips_of_ten_milliseconds():
    state = TimesyncFilter()
    state.update(5.0, 10e6)
    assert state.accepted == 0


@pytest.mark.parametrize(("residuals", "runs"), [(7, 0), (8, 2), (10, 3), (20, 7), (40, 15), (50, 20)])
def test_too_few_runs_are_those_of_the_wald_wolfowitz_distribution(residuals, runs):
    assert critical_runs(residuals) == runs


def test_students_quantile_falls_with_the_degrees_of_freedom():
    assert student(1) == pytest.approx(636.6)
    assert student(62) < student(40) + 1e-9 < student(5)


def test_chrony_corrects_jitter_that_is_always_on_one_side():
    rng = np.random.default_rng(1)
    excess = rng.exponential(5e6, 400)
    answers = chrony(samples_from(-excess / 2, 2e6 + excess))
    assert np.abs(answers.offset_ns[100:]).max() < 2e4


def test_chrony_drops_what_was_before_a_step():
    rng = np.random.default_rng(2)
    middle = rng.normal(0.0, 1e4, 200) + np.where(np.arange(200) >= 100, 50e6, 0.0)
    answers = chrony(samples_from(middle, np.full(200, 2e6)))
    assert np.abs(answers.offset_ns[115:] - 50e6).max() < 1e5


def test_the_hulls_hold_every_point_and_the_gap_is_the_widest():
    rng = np.random.default_rng(3)
    hulls = Hulls()
    at = np.arange(100.0)
    upper = 5.0 * at + 100.0 + rng.exponential(50.0, 100)
    lower = 5.0 * at - 100.0 - rng.exponential(50.0, 100)
    for t, high, low in zip(at, upper, lower, strict=True):
        hulls.add(t, high, t, low)
    middle, half = hulls.middle_at(50.0)
    slopes = np.linspace(0.0, 10.0, 4001)[:, None]
    gaps = (upper - slopes * at).min(axis=1) - (lower - slopes * at).max(axis=1)
    assert half == pytest.approx(gaps.max() / 2, rel=1e-3)
    assert half >= gaps.max() / 2 - 1e-9
    assert abs(middle - 250.0) < 30.0


def test_hubers_line_is_not_moved_by_outliers():
    at_s = np.arange(0.0, 3600.0, 5.0)
    offset_s = 0.2 + 18e-6 * at_s
    offset_s[::10] += 0.05
    intercept_s, slope = huber_line(at_s, offset_s)
    assert slope == pytest.approx(18e-6, rel=1e-3)
    assert intercept_s == pytest.approx(0.2, abs=3e-5)


def test_pyxdf_cuts_only_where_a_pause_and_a_jump_coincide():
    at_s = np.arange(0.0, 1000.0, 5.0)
    jump = np.where(at_s >= 500.0, 7.0, 0.0)
    assert clock_resets(at_s, jump) == []
    assert clock_resets(at_s + np.where(at_s >= 500.0, 60.0, 0.0), jump) == [100]


def test_pyxdf_states_one_line_for_a_whole_log():
    samples = samples_of(make_trace("clean", seed=0, duration_s=600.0).exchanges)
    offset = AFTERWARDS["pyxdf"](samples).offset_ns
    slopes = np.diff(offset) / np.diff(samples.destination_ns)
    assert np.ptp(slopes) < 1e-12


def test_a_bound_that_misses_once_is_not_scored_as_held():
    at_s = np.arange(0.0, 400.0, 0.25)
    lower, upper = np.full(at_s.size, -10.0), np.full(at_s.size, 10.0)
    upper[7] = -1.0
    every = np.ones(at_s.size, dtype=bool)
    answers = Answers(at_s, np.zeros(at_s.size), lower, upper, np.full(at_s.size, 5.0), every)
    scored = score(answers, ())
    assert scored.covered == pytest.approx(1.0 - 1.0 / at_s.size)
    assert scored.covered_u95 == 1.0


def test_recovery_is_when_the_error_stays_small():
    trace = make_trace("step", seed=0, duration_s=600.0)
    samples = samples_of(trace.exchanges)
    truth = truth_of(trace, samples)
    offset = truth.copy()
    offset[(trace.at_s > 300.0) & (trace.at_s < 304.0)] += 1e6
    answers = lsl(samples)._replace(offset_ns=offset)
    scored = score(answers_of_peer(trace, answers, truth), trace.steps)
    assert scored.recovery_s == pytest.approx(4.0, abs=0.3)


def test_an_instant_without_an_answer_is_an_infinite_error():
    trace = make_trace("clean", seed=0, duration_s=300.0)
    samples = samples_of(trace.exchanges)
    nothing = np.full(trace.at_s.size, np.nan)
    answers = lsl(samples)._replace(offset_ns=nothing, lower_ns=nothing, upper_ns=nothing)
    assert score(answers_of_peer(trace, answers, truth_of(trace, samples)), ()).rms_us == np.inf
