"""How far realtime may be off the line between two samples, by what is known around it."""

from runtime.clock_samples import Interval, Sample, bend_ns
from runtime.kernel_clock import KernelState

MS, US = 1_000_000, 1_000
AT_REST = KernelState()


def sample(at_ms, moved_ns, half_ns=50, state=AT_REST, *, notified=False):
    return Sample(round(at_ms * MS), moved_ns, half_ns, state, notified=notified)


def slewing(offset_ns):
    return KernelState(offset_ns=offset_ns, constant=2, status=1)


def test_a_step_is_not_explained_by_a_blurred_interval_that_would_agree_with_any_rate():
    samples = sample(0, 0), sample(200, 0), sample(400, 27 * US), sample(420, 27 * US, half_ns=20 * US)
    before, stepped, after = map(Interval, samples, samples[1:])
    assert bend_ns(stepped, before, after) >= 27 * US
    assert bend_ns(stepped, before, None) >= 27 * US


def test_what_all_neighbours_agree_with_is_straight():
    samples = sample(0, 0), sample(200, 20), sample(400, 0), sample(420, 30 * US, half_ns=20 * US)
    before, resting, after = map(Interval, samples, samples[1:])
    assert bend_ns(resting, before, after) == 0


def turned(gap_ms=200):
    """A loop that slews by 100 ppm until a full second at 500 ms, then by -100; turned after 200 ms."""
    one, turn, other = slewing(1_500 * US), slewing(-1_600 * US), slewing(-1_500 * US)
    begin = sample(200 - gap_ms, 20 * US - 100 * gap_ms, state=one)
    return (
        begin,
        sample(200, 20 * US, state=one),
        sample(400, 40 * US, state=turn),
        sample(600, 40 * US, state=other),
    )


def test_a_loop_that_was_turned_goes_on_with_what_it_slewed_until_the_next_full_second():
    before, turns, passes_second = map(Interval, turned(), turned()[1:])
    assert bend_ns(passes_second, turns, None) >= 10 * US
    assert bend_ns(passes_second, turns, None) < 20 * US
    assert bend_ns(turns, before, passes_second) < 10.5 * US


def test_nor_is_it_known_what_it_slewed_at_the_start_or_after_a_gap():
    begin, _, turn, last = turned()
    passes_second = Interval(turn, last)
    assert bend_ns(passes_second, None, None) >= 10 * US
    assert bend_ns(passes_second, Interval(begin._replace(raw_ns=-600 * MS), turn), None) >= 10 * US


def test_a_small_step_that_was_noticed_is_not_explained_by_neighbours_that_resolve_no_less():
    samples = sample(0, 0), sample(20, 0), sample(400, 1_700, notified=True), sample(420, 1_700)
    before, stepped, after = map(Interval, samples, samples[1:])
    assert bend_ns(stepped, before, after) >= 1_700


def test_nor_by_a_change_of_the_state_that_it_came_with():
    fast = KernelState(frequency=100 * 65_536)
    samples = (
        sample(0, 0),
        sample(20, 0),
        sample(40, 1_000, state=fast, notified=True),
        sample(60, 3_000, state=fast),
    )
    before, stepped, after = map(Interval, samples, samples[1:])
    assert bend_ns(stepped, before, after) >= 1_000
