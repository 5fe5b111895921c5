"""Intervals of the live benchmark: they hold the truth as often as they say, and remembering widens them."""

from math import isnan

import numpy as np
import pytest

from bench.peers.chance import (
    NOT_KNOWN,
    Between,
    Figure,
    between,
    difference,
    indistinguishable,
    quantiles,
    ratio,
)


def test_an_interval_holds_the_true_median_in_about_95_of_100_runs():
    rng = np.random.default_rng(2)
    true = float(np.log(2))
    held = 0
    for _ in range(200):
        low, high = between(rng.exponential(1.0, 20).tolist())
        held += low <= true <= high
    assert 0.89 <= held / 200 <= 0.99


def test_estimates_that_remember_each_other_have_a_wider_interval():
    rng = np.random.default_rng(3)
    values = np.repeat(rng.normal(0.0, 1.0, 5), 8).tolist()
    one_by_one, in_runs = between(values), between(values, memory=8)
    assert in_runs.high - in_runs.low > 1.3 * (one_by_one.high - one_by_one.low)


def test_an_interval_of_a_quantile_lies_around_it():
    values = [float(value) for value in range(1000)]
    low, high = between(values, quantiles(0.99))
    assert 980 <= low <= 989 <= high <= 999


def test_of_one_value_nothing_is_known():
    assert between([3.0]) == NOT_KNOWN
    assert all(isnan(end) for end in between([]))


def test_the_difference_of_two_figures_is_as_unsure_as_both():
    one, other = Figure(10.0, Between(7.0, 14.0)), Figure(6.0, Between(3.0, 10.0))
    assert difference(one, other) == pytest.approx((-1.0, 9.0))
    low, high = ratio(Figure(10.0, Between(5.0, 20.0)), Figure(5.0, Between(2.5, 10.0))).between
    assert low * high == pytest.approx(4.0)  # around 2, by as much either way
    assert low == pytest.approx(2 / 2**2**0.5)


@pytest.mark.parametrize(
    ("one", "other", "distinct"),
    [
        (Figure(10.0, Between(8.0, 12.0)), Figure(11.0, Between(9.0, 13.0)), False),
        (Figure(10.0, Between(9.0, 11.0)), Figure(20.0, Between(18.0, 22.0)), True),
        (Figure(10.0, Between(8.0, 12.0)), Figure(11.0), False),
        (Figure(10.0, Between(8.0, 10.5)), Figure(11.0), True),
        (Figure(10.0), Figure(10.0), True),
        (Figure(10.0), Figure(11.0), True),
    ],
)
def test_figures_are_alike_when_chance_can_have_put_them_apart(one, other, distinct):
    assert indistinguishable(one, other) is not distinct
