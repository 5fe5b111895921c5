"""An estimator of a large fleet takes two blocks at a time into its windows: as accurate, for less work."""

import numpy as np
import pytest

from bench.estimators.ours import run_online
from bench.estimators.score import score
from bench.estimators.traces import make_trace
from tests.effort import few
from topside_agent.estimator import EstimatorSettings, OffsetEstimator, timebase
from topside_agent.estimator.timebase import Timebase


def estimates(trace, stride):
    estimator = OffsetEstimator(EstimatorSettings())
    estimator.stride = stride
    found = []
    for exchange in trace.exchanges:
        estimator.add(exchange)
        found.append(estimator.estimate())
    return found


@pytest.mark.parametrize("family", few(["lognormal", "thermal", "clean"]))
def test_errors_grow_little_and_the_bound_is_the_same(family):
    trace = make_trace(family, seed=3, rate_hz=1.0, duration_s=1200.0)
    truth = trace.truth_at(np.array([each.measured_at_ns for each in estimates(trace, 1)]))
    offsets, bounds = [], []
    for stride in (1, 2):
        found = estimates(trace, stride)
        offsets.append(np.array([each.offset_ns for each in found])[200:] - truth[200:])
        bounds.append([(each.upper_ns - each.lower_ns) for each in found])
    rms = [np.sqrt(np.mean(np.square(errors))) for errors in offsets]
    assert rms[1] < 1.1 * rms[0]
    assert max(abs(a - b) for a, b in zip(*bounds, strict=True)) <= 2


def test_a_step_is_found_as_soon(monkeypatch):
    begin = Timebase.__init__

    def slower(self, *arguments, **named):
        begin(self, *arguments, **named)
        self.stride = 2

    trace = make_trace("step", seed=1, rate_hz=1.0, duration_s=900.0)
    covered = [score(run_online(trace, EstimatorSettings()).answers, trace.steps)]
    monkeypatch.setattr(timebase.Timebase, "__init__", slower)
    covered.append(score(run_online(trace, EstimatorSettings()).answers, trace.steps))
    assert [each.covered for each in covered] == [1.0, 1.0]
    assert covered[1].rms_us < 1.1 * covered[0].rms_us
