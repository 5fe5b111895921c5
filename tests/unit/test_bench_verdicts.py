"""What `python -m bench.estimators` calls a failure, and what it does not judge."""

import numpy as np
import pytest

from bench.estimators import jobs
from bench.estimators.extra import extra_rows
from bench.estimators.families import FAMILIES
from bench.estimators.jobs import AFTERWARDS, ONLINE, Job, Result, share_inside
from bench.estimators.ours import Holdover
from bench.estimators.score import Score
from bench.estimators.table import precision_rows, rows
from bench.estimators.targets import PRECISION_SEEDS, SEEDS, TARGETS
from bench.estimators.traces import make_trace
from topside_agent.estimator import online, smooth


def scored(rms_us, held=0.95):
    return Score(rms_us, rms_us, 1.0, held, 1000.0, 1.0, 0.0, 0)


def results(family, seeds, here, afterwards, *, cuts=0):
    scores = {ONLINE: here, AFTERWARDS: afterwards}
    never = Holdover(1.0, 0.0, 0.0)
    return [Result(Job(family, seed, 4.0, False), scores, never, cuts, 1.0, 0.0) for seed in range(seeds)]


@pytest.mark.parametrize(("seeds", "judged"), [(SEEDS, True), (SEEDS - 1, False)])
def test_a_mean_is_judged_over_ten_seeds_and_not_over_fewer(seeds, judged):
    most_us = TARGETS["held"].afterwards_us * 1.1
    (row,) = rows(results("held", seeds, scored(most_us * 2), scored(most_us * 1.01)), seeds)
    assert any(AFTERWARDS in failure for failure in row.failures) == judged
    (row,) = rows(results("held", seeds, scored(most_us), scored(most_us * 0.99)), seeds)
    assert not row.failures


@pytest.mark.parametrize(
    ("here", "afterwards", "passes"),
    [(0.95, 0.95, True), (0.92, 0.95, False), (0.98, 0.95, False), (0.95, 0.92, False), (0.95, 0.98, True)],
)
def test_the_precision_is_judged_over_forty_seeds(here, afterwards, passes):
    for seeds, judged in ((PRECISION_SEEDS, True), (PRECISION_SEEDS - 1, False)):
        found = results("clean", seeds, scored(1.0, here), scored(0.5, afterwards))
        (row,) = precision_rows(found)
        assert row.passes == (passes or not judged)
        assert any("precision" in failure for failure in rows(found, seeds)[0].failures) != row.passes


def test_a_reported_step_that_a_kernel_can_slew_is_expected_to_make_no_cut():
    cuts = {name: family.cuts for name, family in FAMILIES.items()}
    assert (cuts["step_5ms_reported"], cuts["step_50ms_reported"], cuts["step_5ms_unreported"]) == (0, 1, 1)
    assert (cuts["reboot"], cuts["suspend"], cuts["clean"], cuts["outage_30min"]) == (1, 1, 0, 0)
    (row,) = extra_rows(results("step_5ms_reported", 1, scored(1.0), scored(0.5), cuts=1))
    assert row.failures == ["1 cuts, not 0"]


@pytest.mark.parametrize(("family", "failures"), [("route_change_equal", 1), ("route_change", 0)])
def test_afterwards_may_be_worse_than_online_only_where_the_path_becomes_asymmetric(family, failures):
    (row,) = extra_rows(results(family, 1, scored(1.0), scored(2.0)))
    assert len(row.failures) == failures


def test_an_interval_may_reach_beyond_the_online_one_by_what_the_clock_moved_until_its_next_reading():
    trace = make_trace("step_5ms_reported", seed=1, duration_s=40.0)
    track, known = smooth(trace.exchanges), online(trace.exchanges)
    beyond = [row.lower_ns < then.lower_ns for row, then in zip(track.rows, known.rows, strict=True)]
    assert np.count_nonzero(beyond) == 1
    assert share_inside(trace, track) == 1.0


def test_an_interval_that_reaches_beyond_the_online_one_is_noticed(monkeypatch):
    trace = make_trace("clean", seed=1, duration_s=40.0)
    monkeypatch.setattr(jobs, "online", smooth)
    assert share_inside(trace, online(trace.exchanges)) < 0.5
