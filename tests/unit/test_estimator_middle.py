"""How much surer a line is in the middle of its window than at its ends is measured, not assumed."""

import numpy as np
import pytest

from tests.effort import tries
from topside_agent.estimator import EstimatorSettings
from topside_agent.estimator.smoother_windows import WindowLines, middle_factor

SETTINGS = EstimatorSettings()
BLOCKS = 1_800


def made(seed, *, surer):
    """Values in the middle that are means of the window's noise, and ends that err by 1/`surer` as much."""
    noise = np.random.default_rng(seed).normal(scale=1_000.0, size=3 * BLOCKS)
    offsets, fits, errors = [], [], []
    for index, span in enumerate(SETTINGS.window_blocks):
        means = np.convolve(noise, np.ones(span) / span, mode="same")
        offsets.append(means[BLOCKS : 2 * BLOCKS + 1])
        ends = np.arange(span - 1, BLOCKS)
        fits.append(WindowLines(index, span, ends, np.zeros(ends.size), np.zeros(ends.size)))
        errors.append(1_000.0**2 / span / surer**2)
    return np.array(offsets), fits, errors


@pytest.mark.parametrize(("surer", "factor"), [(0.5, 0.98), (0.6, 1.176)])
def test_the_middle_is_as_sure_as_the_lines_show(surer, factor):
    found = [middle_factor(*made(seed, surer=surer), SETTINGS) for seed in range(tries(20))]
    assert np.median(found) == pytest.approx(factor, rel=0.06)


@pytest.mark.parametrize(
    ("surer", "factor"), [(0.2, SETTINGS.u95_factor_smoother), (2.0, SETTINGS.u95_factor)]
)
def test_it_is_never_surer_than_usual_nor_less_sure_than_the_end(surer, factor):
    assert middle_factor(*made(1, surer=surer), SETTINGS) == factor


def test_an_edge_that_lies_off_alike_everywhere_is_not_the_middle_s_error():
    offsets, fits, errors = made(1, surer=0.5)
    lifted = offsets + 3 * np.sqrt(errors)[:, np.newaxis]
    expected = middle_factor(offsets, fits, errors, SETTINGS)
    assert middle_factor(lifted, fits, errors, SETTINGS) == pytest.approx(expected)


def test_where_longer_lines_are_no_surer_the_usual_factor_holds():
    offsets, fits, errors = made(1, surer=0.5)
    assert middle_factor(offsets, fits, errors[::-1], SETTINGS) == SETTINGS.u95_factor_smoother
    assert middle_factor(offsets[:2], fits[:2], errors, SETTINGS) == SETTINGS.u95_factor_smoother
