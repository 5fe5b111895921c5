"""Two disciplined machines a fraction of a microsecond apart: no result is off by more than its bound."""

import random
from statistics import median

import pytest

from tests.effort import tries
from tests.simulation.kernel_pair import Pair
from tests.simulation.test_kernel_time import KINDS, drawn, machine
from topside_agent.estimator import OffsetEstimator, smooth


@pytest.mark.parametrize("seed", range(tries(2)))
@pytest.mark.parametrize("kinds", [*((kind,) for kind in KINDS), KINDS], ids="+".join)
def test_no_result_is_off_by_more_than_its_bound(kinds, seed):
    chance = random.Random(seed)
    pi, topside = (drawn(chance, 15, kinds=kinds) if chance.random() < 0.8 else () for _ in range(2))
    machines = machine(chance), machine(chance)
    pair = Pair(chance, pi=pi, topside=topside, machines=machines, drift_ppm=chance.uniform(-80, 80)).run(10)
    assert pair.wrong() == []
    assert pair.contradictions == 0
    assert pair.results
    assert [(row, beyond_ns) for row, beyond_ns in pair.rows() if beyond_ns > 2] == []


@pytest.mark.parametrize("seed", range(tries(2)))
def test_how_well_the_clocks_are_read_widens_nothing_while_they_run_evenly(seed):
    pair = Pair(random.Random(seed), drift_ppm=20).run(10)
    assert pair.wrong() == []
    assert pair.contradictions == 0
    rows, without = (
        smooth([each.model_copy(update=also) for each in pair.exchanges]).rows
        for also in ({}, {"even_ns": 0})
    )
    assert all(beyond_ns <= 2 for _, beyond_ns in pair.rows())
    estimator, on_raw = OffsetEstimator(), []
    for each in pair.exchanges:
        estimator.add(each.model_copy(update={"even_ns": 0}))
        on_raw.append(estimator.estimate().max_error_ns)
    stated = [bound_ns for _, bound_ns, _ in pair.results]
    resolution_ns = median(each.resolution_ns for each in pair.exchanges)
    assert median(stated[20:]) < median(on_raw[20:]) - 1.5 * resolution_ns
    widths_ns = [
        median((each.column("upper_ns") - each.column("lower_ns")).tolist()) for each in (rows, without)
    ]
    assert widths_ns[0] < widths_ns[1] - 3 * resolution_ns
