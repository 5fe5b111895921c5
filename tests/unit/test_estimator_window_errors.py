"""Max-margin lines against brute force, the windows' errors, steps."""

import numpy as np
import pytest

from tests.effort import tries
from topside_agent.estimator.blocks import Bounds
from topside_agent.estimator.max_margin import widest_lines
from topside_agent.estimator.segments import StepDetector
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.symmetric import KnownDriftFit
from topside_agent.estimator.window_errors import Line, WindowErrors, disagreement, expected, most_certain


def windows(rng, rows, blocks, drift=18e3):
    at = np.tile(np.arange(blocks) * 2.0, (rows, 1))
    upper = drift * at + 1e6 + rng.exponential(5e5, at.shape)
    lower = drift * at - 1e6 - rng.exponential(5e5, at.shape)
    return Bounds(at, upper, at + 0.5, lower + drift * 0.5)


def margin(row, slope):
    upper_at, upper, lower_at, lower = row
    return (upper - slope * upper_at).min() - (lower - slope * lower_at).max()


def test_no_slope_has_a_greater_margin():
    many = windows(np.random.default_rng(1), 20, 30)
    lines = widest_lines(many, 200e3)
    for index in range(20):
        row = [column[index] for column in many]
        best = max(margin(row, slope) for slope in np.linspace(0, 36e3, 3001))
        assert lines.margin[index] >= best - 1e-3
        assert margin(row, lines.slope[index]) == pytest.approx(lines.margin[index])


def test_a_margin_that_never_turns_ends_at_the_steepest_slope():
    lone = Bounds(*(np.array([[value]]) for value in (0.0, 10.0, 1.0, -10.0)))
    assert abs(widest_lines(lone, 200e3).slope[0]) == 200e3


def test_two_equal_lines_disagree_by_nothing_and_a_bend_is_charged():
    assert disagreement(5.0, 5.0, 0.0, 64.0) == 0.0
    assert disagreement(5.0, 7.0, 0.0, 64.0) == 2.0
    assert disagreement(5.0, 5.0, 1.0, 64.0) == 64.0


def test_an_unmeasured_window_is_expected_to_be_bent_by_the_fourth_power_of_its_length():
    windows_s, nothing = [8.0, 16.0, 32.0], [0.0, 0.0]
    bent = expected([100.0, *nothing], [1e9, *nothing], windows_s, 100.0, 0.0, bends=[3.0, None, None])
    assert bent == pytest.approx([100.0, 50.0 + 3.0 * 16, (50.0 + 3.0 * 16) / 2 + 3.0 * 256])
    steady = expected([100.0, *nothing], [1e9, *nothing], windows_s, 100.0, 0.0, bends=[0.0, None, None])
    assert steady == pytest.approx([100.0, 50.0, 25.0])


def test_an_unmeasured_window_is_expected_to_be_as_good_as_the_shorter_one_suggests():
    short, long = expected([100.0, 0.0], [50.0, 0.0], [8.0, 16.0], 100.0, 0.0)
    assert short == pytest.approx(100.0)
    assert long == pytest.approx(50.0)


def test_a_measured_window_is_believed():
    assert expected([100.0, 9.0], [1e6, 1e6], [8.0, 16.0], 1.0, 0.0)[1] == pytest.approx(9.0, rel=1e-3)


def test_measured_errors_are_forgotten():
    errors = WindowErrors(EstimatorSettings())
    errors.add(0, 100.0, 0.0)
    errors.forget(600)
    errors.add(0, 0.0, 0.0)
    assert errors.means()[0] == pytest.approx(100 * np.exp(-1) / (1 + np.exp(-1)))


def test_u95_is_larger_until_the_clocks_have_been_watched_for_a_while():
    errors = WindowErrors(EstimatorSettings())
    assert errors.warmup_factor(600.0) == 11.0
    for _ in range(300):
        errors.add(0, 1.0, 0.0)
    assert errors.warmup_factor(600.0) == 2.0


def test_the_error_of_an_extrapolated_line_grows():
    line = Line(0.0, 10.0, 2.0, variance=4.0, slope_variance=1.0, window_s=64.0)
    assert line.at(3.0) == 16.0
    assert line.variance_at(0.0, 0.1) == 4.0
    assert line.variance_at(3.0, 0.1) == pytest.approx(4 + 9 + 0.01 * 9)


def test_along_a_known_drift_the_middle_needs_no_window():
    known = KnownDriftFit(18e3, 0.0)
    for at_s in (0.0, 1.0, 2.0):
        known.add(at_s, 18e3 * at_s + 1e6, at_s + 0.1, 18e3 * (at_s + 0.1) - 1e6)
    assert known.line(2.1, None).offset == pytest.approx(18e3 * 2.1)


def edges(rng, blocks, high, low):
    at = np.arange(blocks) * 2.0
    noise = rng.exponential(5e4, (2, blocks))
    return np.array([at, high + noise[0], at + 0.5, low - noise[1]])


@pytest.mark.parametrize(
    ("moved_up", "moved_down", "stepped"),
    [
        (1.5e6, 1.5e6, True),  # both edges up: the offset
        (-1.5e6, -1.5e6, True),
        (1.5e6, 0.0, False),  # a longer way out
        (-1.5e6, 1.5e6, False),  # a shorter way both ways
        (0.0, 0.0, False),
    ],
)
def test_a_small_step_is_distinguished_from_a_change_of_route(moved_up, moved_down, stepped):
    rng = np.random.default_rng(4)
    columns = edges(rng, 120, np.full(120, 2e6), np.full(120, -2e6))
    columns[1, 80:] += moved_up
    columns[3, 80:] += moved_down
    detector = StepDetector(2.0)
    found = [detector.stepped(columns[:, :count], 0.0, 5e3) for count in range(8, 121)]
    assert any(found[:60]) is False
    assert any(blocks is not None for blocks in found) is stepped


DELAYS = {
    "exponential": lambda rng, size: rng.exponential(5e6, size),
    "slow": lambda rng, size: rng.exponential(3e8, size),
    "lognormal": lambda rng, size: 2e6 * np.exp(1.2 * rng.standard_normal(size)),
    "uniform": lambda rng, size: rng.uniform(0, 1e8, size),
}


@pytest.mark.parametrize("law", DELAYS)
def test_jitter_alone_is_no_step(law):
    cut, runs = 0, tries(20)
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        least = DELAYS[law](rng, (2, 150, 1 + seed % 8)).min(2)
        at = np.arange(150) * 2.0
        columns = np.array([at, least[0], at + 0.5, -least[1]])
        detector = StepDetector(2.0)
        cut += any(detector.stepped(columns[:, :count], 0.0, 0.0) for count in range(8, 151))
    assert cut <= 0.05 * runs


def test_the_average_of_several_windows_is_the_same_in_parts():
    rng = np.random.default_rng(3)
    values, squared = rng.normal(0, 1e3, (9, 5000)), rng.exponential(1e4, (9, 5000)) + 1
    squared[3, 100:200] = np.inf
    average, least, best = most_certain(values, squared, 5)
    weights = (squared.min(axis=0) / squared) ** 5
    assert average == pytest.approx((weights * values).sum(axis=0) / weights.sum(axis=0), rel=1e-9)
    assert (least == squared[best, np.arange(5000)]).all()
    assert (least == squared.min(axis=0)).all()
