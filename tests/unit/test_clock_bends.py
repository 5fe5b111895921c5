"""How far realtime may be off the line between two samples, where one of their neighbours is blurred."""

from runtime.clock_samples import Interval, Sample, bend_ns
from runtime.kernel_clock import KernelState

MS, US = 1_000_000, 1_000
AT_REST = KernelState()


def sample(at_ms, moved_ns, half_ns=50):
    return Sample(round(at_ms * MS), moved_ns, half_ns, AT_REST)


def test_a_step_is_not_explained_by_a_blurred_interval_that_would_agree_with_any_rate():
    samples = sample(0, 0), sample(200, 0), sample(400, 27 * US), sample(420, 27 * US, half_ns=20 * US)
    before, stepped, after = map(Interval, samples, samples[1:])
    assert bend_ns(stepped, before, after) >= 27 * US
    assert bend_ns(stepped, before, None) >= 27 * US


def test_what_all_neighbours_agree_with_is_straight():
    samples = sample(0, 0), sample(200, 20), sample(400, 0), sample(420, 30 * US, half_ns=20 * US)
    before, resting, after = map(Interval, samples, samples[1:])
    assert bend_ns(resting, before, after) == 0
