"""Max-margin lines, kept and searched again, against brute force over every pair of bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effort import tries
from topside_agent.estimator.blocks import Bounds
from topside_agent.estimator.max_margin import WindowFits, widest_lines
from topside_agent.estimator.window_set import LineHistory

STEEPEST = 200e3
SPANS = [4, 6, 8, 16, 30]


def blocks_of(rng, count, drift=18e3, empty=0.0):
    at = np.arange(count) * 2.0
    upper = drift * at + 1e6 + rng.exponential(5e5, count)
    lower = drift * (at + 0.5) - 1e6 - rng.exponential(5e5, count)
    without = rng.random(count) < empty
    upper[without], lower[without] = np.inf, -np.inf
    return np.array([at, upper, at + 0.5, lower])


def margin(window, slope):
    """Of a slope or of an array of them."""
    upper_at, upper, lower_at, lower = window
    slope = np.asarray(slope)[..., None]
    return (upper - slope * upper_at).min(axis=-1) - (lower - slope * lower_at).max(axis=-1)


def greatest_margin(window):
    """By definition: the margin turns at a slope along two upper or along two lower bounds, or at an end."""
    known = window[:, np.isfinite(window[1])]
    slopes = [-STEEPEST, STEEPEST]
    for at, ns in (known[:2], known[2:]):
        i, j = np.triu_indices(at.size, 1)
        apart = at[i] != at[j]
        slopes += ((ns[i] - ns[j])[apart] / (at[i] - at[j])[apart]).tolist()
    slopes = np.array(slopes)
    return margin(window, slopes[np.abs(slopes) <= STEEPEST]).max()


@pytest.mark.parametrize("seed", range(tries(6)))
@pytest.mark.parametrize("drift", [18e3, -60e3])
def test_no_line_has_a_greater_margin_than_the_one_kept(seed, drift):
    rng = np.random.default_rng(seed)
    blocks = blocks_of(rng, 100, drift)
    fits = WindowFits(STEEPEST)
    for end in range(30, 101):
        for span, fit in zip(SPANS, fits.close(blocks[:, :end], SPANS, 0, 1), strict=True):
            window = blocks[:, end - span : end]
            assert margin(window, fit.slope) == pytest.approx(fit.margin, abs=1e-3)
            assert fit.margin >= greatest_margin(window) - 0.02


@pytest.mark.parametrize("seed", range(tries(4)))
def test_the_online_and_the_vectorised_search_agree_on_long_windows_and_gaps(seed):
    rng = np.random.default_rng(seed)
    blocks = blocks_of(rng, 400, empty=0.2)
    spans = [8, 32, 64, 90, 180]
    fits = WindowFits(STEEPEST)
    end = 180
    while end + (passed := int(rng.integers(1, 4))) <= 400:
        end += passed
        found = fits.close(blocks[:, :end], spans, 0, passed)
        for span, fit in zip(spans, found, strict=True):
            row = Bounds(*(column[None, end - span : end] for column in blocks))
            vectorised = widest_lines(row, STEEPEST)
            assert fit.margin == pytest.approx(vectorised.margin[0], abs=0.02)
            assert fit.slope == pytest.approx(vectorised.slope[0], abs=0.05)


@settings(max_examples=tries(60))
@given(
    st.lists(
        st.tuples(*[st.integers(0, 10**6)] * 2, st.integers(-20, 20), st.integers(0, 9)),
        min_size=12,
        max_size=40,
    ),
    st.sampled_from([0.0, 18e3, 199e3, -400e3]),
)
def test_whatever_the_bounds_the_line_is_the_widest_within_the_steepest_slopes(drawn, drift):
    """Equal bounds, late ones with times of their own, and a drift beyond what is allowed."""
    columns = []
    for number, (up, down, late, trip) in enumerate(drawn):
        at_s = 2.0 * number + late / 2
        back_s = at_s + trip / 10
        columns.append((at_s, drift * at_s + up, back_s, drift * back_s - down))
    blocks = np.array(columns).T
    fits = WindowFits(STEEPEST)
    for end in range(8, len(drawn) + 1):
        for span, fit in zip([4, 8], fits.close(blocks[:, :end], [4, 8], 0, 1), strict=True):
            window = blocks[:, end - span : end]
            assert abs(fit.slope) <= STEEPEST
            assert margin(window, fit.slope) == pytest.approx(fit.margin, abs=1e-3)
            assert fit.margin >= greatest_margin(window) - 0.02


def test_a_line_is_searched_again_once_a_block_of_its_tangents_leaves_the_window():
    at = np.arange(12) * 2.0
    upper = np.full(12, 100.0)
    upper[2] = 10.0  # the one that holds the line down
    blocks = np.array([at, upper, at, np.full(12, -100.0)])
    fits = WindowFits(STEEPEST)
    margins = [fits.close(blocks[:, :end], [6], 0, 1)[0].margin for end in range(6, 13)]
    assert margins[0] < 200
    assert margins[-1] == pytest.approx(200.0)


def test_a_window_left_out_of_a_call_does_not_miss_the_block_of_that_call():
    at = np.arange(10) * 2.0
    upper = np.full(10, 1e7)
    upper[6:8] = 100.0  # these two make the tangents
    blocks = np.array([at, upper, at + 0.5, -upper])
    blocks[1, 8] = -100.0  # and this one lies within its margin
    fits = WindowFits(STEEPEST)
    fits.close(blocks[:, :8], [4, 6], 0, 1)
    fits.close(blocks[:, :9], [6], 1, 1)
    found = fits.close(blocks[:, :10], [4, 6], 0, 1)[0]
    assert found.margin == pytest.approx(margin(blocks[:, 6:10], found.slope))


def test_most_lines_are_kept_as_they_are():
    blocks = blocks_of(np.random.default_rng(7), 400)
    fits, kept, before = WindowFits(STEEPEST), 0, [None] * len(SPANS)
    for end in range(30, 401):
        found = fits.close(blocks[:, :end], SPANS, 0, 1)
        kept += sum(new is old for new, old in zip(found, before, strict=True))
        before = found
    assert kept > 370 * len(SPANS) / 3


def test_the_history_returns_each_windows_line_of_its_own_length_ago():
    history = LineHistory([2, 3])
    before = [history.rotate([n, 10.0 * n], [-n, -10.0 * n]) for n in map(float, range(6))]
    assert before[5] == [(3.0, -3.0), (20.0, -20.0)]
    assert np.isnan(before[1]).all()


def test_the_history_carries_lines_through_an_empty_block():
    history = LineHistory([1, 2])
    history.rotate([100.0, 50.0], [3.0, -1.0])
    history.carry(2.0)
    assert history.rotate([0.0, 0.0], [0.0, 0.0]) == [(106.0, 3.0), (50.0, -1.0)]
