"""A kernel stamp becomes a reading that is never before the arrival, or is not used at all."""

import pytest

from broker.client.stamps import MOST_AGE_NS, Arrivals, ArrivalStamper, KernelStamp
from runtime.clock import Reading, SimulatedClock, Slew, Suspend, asleep_s, earlier, machine_clock, read

US = 1_000
MS = 1_000_000
S = 1_000_000_000
AHEAD_NS = 1_777_636_800_000_000_000


class HandClock:
    """A clock moved by hand; each look at it takes `look_ns`."""

    boot_id = "hand"
    resolution_ns = 1

    def __init__(self, look_ns=50):
        self.now_ns = 7 * S
        self.ahead_ns = AHEAD_NS
        self.look_ns = look_ns

    def raw_ns(self):
        self.now_ns += self.look_ns
        return self.now_ns

    def realtime_ns(self):
        return self.ahead_ns + self.raw_ns()


class Bench:
    """A stamper on a clock moved by hand, and what the kernel would stamp."""

    def __init__(self, clock=None):
        self.clock = clock or HandClock()
        self.stamper = ArrivalStamper(self.clock)

    def arrival(self, *, exact=True, shifted_ns=0):
        self.arrived_raw_ns = self.clock.now_ns
        return KernelStamp(self.clock.ahead_ns + self.clock.now_ns + shifted_ns, exact)

    def observe(self):
        self.stamper.observe(read(self.clock))

    def wait(self, ns):
        self.clock.now_ns += ns


@pytest.mark.parametrize("age_ns", [0, 10 * US, MS, 900 * MS])
@pytest.mark.parametrize("look_ns", [0, 1, 50, 5 * US])
def test_the_stamp_is_the_arrivals_and_never_earlier(age_ns, look_ns):
    bench = Bench(HandClock(look_ns))
    bench.observe()
    arrival = bench.arrival()
    bench.wait(age_ns)
    reading, kind = bench.stamper.arrived(arrival)
    late_ns = reading.raw_ns - bench.arrived_raw_ns
    assert kind == "kernel"
    assert 0 <= late_ns <= age_ns // 2000 + 5 * look_ns + 2  # slewing at 500 ppm, and the reading's width


@pytest.mark.parametrize("slew_ppm", [-500, 500])
@pytest.mark.parametrize("age_ns", [20 * US, 900 * MS])
def test_a_clock_slewed_at_its_fastest_makes_it_no_earlier(age_ns, slew_ppm):
    bench = Bench()
    bench.wait(MS)
    arrival = bench.arrival()
    bench.wait(age_ns)
    bench.clock.ahead_ns += age_ns * slew_ppm // 1_000_000
    reading, kind = bench.stamper.arrived(arrival)
    assert kind == "kernel"
    assert 0 <= reading.raw_ns - bench.arrived_raw_ns <= age_ns // 990 + 400


def test_with_bytes_queued_behind_it_is_called_inexact():
    bench = Bench()
    arrival = bench.arrival(exact=False)
    bench.wait(MS)
    assert bench.stamper.arrived(arrival)[1] == "kernel_inexact"


@pytest.mark.parametrize("rate_ppm", [-100_000, -83_333, -20_000, 20_000, 83_333, 100_000])
@pytest.mark.parametrize("age_ns", [20 * US, MS, 90 * MS])
def test_a_steady_slew_of_any_rate_leaves_a_kernel_stamp_that_is_not_too_early(age_ns, rate_ppm):
    bench = Bench()

    def run(ns):
        bench.wait(ns)
        bench.clock.ahead_ns += ns * rate_ppm // 1_000_000

    for _ in range(8):
        run(100 * MS)
        bench.observe()
    arrival = bench.arrival()
    run(age_ns)
    reading, kind = bench.stamper.arrived(arrival)
    assert kind == "kernel"
    assert 0 <= reading.raw_ns - bench.arrived_raw_ns <= age_ns / 4 + US


@pytest.mark.parametrize("rate_ppm", [-100_000, 83_333])
@pytest.mark.parametrize("age_ns", [20 * US, MS, 90 * MS])
def test_a_slew_that_begins_within_the_age_makes_it_no_earlier(age_ns, rate_ppm):
    bench = Bench()
    bench.wait(100 * MS)
    bench.observe()
    arrival = bench.arrival()
    bench.wait(age_ns)
    bench.clock.ahead_ns += age_ns * rate_ppm // 1_000_000
    assert bench.stamper.arrived(arrival)[0].raw_ns >= bench.arrived_raw_ns


@pytest.mark.parametrize("step_ns", [-20 * MS, -2 * MS, -MS // 2, 100 * US, MS, 2 * MS, 20 * MS])
@pytest.mark.parametrize("age_ns", [20 * US, MS, 5 * MS])
def test_a_small_step_between_arrival_and_reading_makes_it_no_earlier(age_ns, step_ns):
    bench = Bench()
    bench.wait(100 * MS)
    bench.observe()
    arrival = bench.arrival()
    bench.wait(age_ns // 2)
    bench.clock.ahead_ns += step_ns
    bench.observe()
    bench.wait(age_ns // 2)
    assert bench.stamper.arrived(arrival)[0].raw_ns >= bench.arrived_raw_ns


@pytest.mark.parametrize("step_ns", [-3 * S, -200 * MS, 200 * MS, 3 * S])
def test_a_step_between_arrival_and_reading_makes_it_a_user_space_stamp(step_ns):
    bench = Bench()
    bench.wait(100 * MS)
    bench.observe()
    arrival = bench.arrival()
    bench.wait(MS)
    bench.clock.ahead_ns += step_ns
    reading, kind = bench.stamper.arrived(arrival)
    assert kind == "user"
    assert reading.raw_ns > bench.arrived_raw_ns + MS


def test_a_step_that_was_seen_before_the_reading_still_counts_for_what_arrived_before_it():
    bench = Bench()
    arrival = bench.arrival()
    bench.wait(MS)
    bench.clock.ahead_ns += 100 * MS
    bench.observe()
    bench.wait(MS)
    assert bench.stamper.arrived(arrival)[1] == "user"
    later = bench.arrival()
    bench.wait(MS)
    assert bench.stamper.arrived(later)[1] == "kernel"


@pytest.mark.parametrize("shifted_ns", [10 * US, S, -MOST_AGE_NS - MS, -AHEAD_NS])
def test_a_stamp_from_the_future_or_too_old_is_not_believed(shifted_ns):
    bench = Bench()
    bench.wait(5 * S)
    bench.observe()
    assert bench.stamper.arrived(bench.arrival(shifted_ns=shifted_ns))[1] == "user"


def test_a_reading_wide_enough_to_hide_a_step_is_no_ground_for_a_conversion():
    bench = Bench()
    arrival = bench.arrival()
    bench.clock.look_ns = 100 * US
    assert bench.stamper.arrived(arrival)[1] == "user"
    bench.clock.look_ns = 50
    assert bench.stamper.arrived(bench.arrival())[1] == "kernel"


def test_without_a_kernel_stamp_the_clock_now_is_the_stamp():
    bench = Bench()
    before_ns = bench.clock.now_ns
    reading, kind = bench.stamper.arrived(None)
    assert kind == "user"
    assert reading.raw_ns > before_ns


@pytest.mark.parametrize("drift_ppm", [-500.0, -35.0, 0.0, 18.0, 500.0])
@pytest.mark.parametrize("age_ns", [0, 37 * US, 900 * MS])
def test_a_simulated_clock_takes_the_age_at_its_own_rate(age_ns, drift_ppm):
    base = HandClock()
    clock = SimulatedClock(SimulatedClock(base, offset_ns=-3 * S, drift_ppm=drift_ppm), drift_ppm=drift_ppm)
    base.now_ns += 3600 * S
    stamper = ArrivalStamper(clock)
    arrived_ns = base.now_ns
    base.now_ns += age_ns
    reading, kind = stamper.arrived(KernelStamp(base.ahead_ns + arrived_ns, exact=True))
    true_ns = clock.raw_at(clock.base.raw_at(arrived_ns))  # type: ignore[attr-defined]
    assert kind == "kernel"
    assert 0 <= reading.raw_ns - true_ns <= age_ns // 1900 + 3 * US


def test_an_age_that_reaches_into_a_simulated_suspend_makes_the_stamp_no_earlier():
    base = HandClock()
    clock = SimulatedClock(base, suspends=(Suspend(1.0, 5.0),))
    stamper = ArrivalStamper(clock)
    base.now_ns += S + 4 * S + 900 * MS  # asleep for 100 ms more
    assert asleep_s(clock) == pytest.approx(0.1, abs=0.001)
    stamper.observe(read(clock))
    arrived_ns = base.now_ns
    base.now_ns += 300 * MS
    reading, _ = stamper.arrived(KernelStamp(base.ahead_ns + arrived_ns, exact=True))
    assert reading.raw_ns >= clock.raw_at(arrived_ns)
    assert asleep_s(clock) == 0


def test_the_kernels_clock_is_the_one_beneath_all_simulated_ones():
    base = HandClock()
    assert machine_clock(SimulatedClock(SimulatedClock(base))) is base


def test_taking_a_reading_back_leaves_the_difference_as_it_was_read():
    assert earlier(HandClock(), Reading(5 * S, 9, 100), 5 * S - MS) == Reading(5 * S - MS, 9, 100)


@pytest.mark.parametrize("rate_ppm", [-83_333, -500, 0, 20_000, 83_333])
@pytest.mark.parametrize("age_ns", [20 * US, MS, 90 * MS])
@pytest.mark.parametrize("simulated", [False, True])
def test_the_difference_is_that_of_the_arrival_within_its_width(age_ns, rate_ppm, simulated):
    clock = HandClock(1)
    slews = (Slew(0.3, rate_ppm, 10.0),) if rate_ppm else ()
    agents = SimulatedClock(clock, slews=slews) if simulated else clock
    stamper = ArrivalStamper(agents)

    def run(ns):
        clock.now_ns += ns
        clock.ahead_ns += 0 if simulated else ns * rate_ppm // 1_000_000

    for _ in range(8):
        run(100 * MS)
        stamper.observe(read(agents))
    kernel = KernelStamp(clock.ahead_ns + clock.now_ns, exact=True)
    at = read(agents)
    run(age_ns)
    reading, kind = stamper.arrived(kernel)
    assert kind == "kernel"
    true_ns = at.realtime_minus_raw_ns + (reading.raw_ns - at.raw_ns) * rate_ppm // 1_000_000
    assert abs(reading.realtime_minus_raw_ns - true_ns) <= reading.width_ns / 2 + 10
    assert reading.width_ns < 2 * US


@pytest.mark.parametrize("rate_ppm", [-100_000, 83_333])
@pytest.mark.parametrize("simulated", [False, True])
def test_a_slew_that_begins_within_the_age_is_in_the_width(rate_ppm, simulated):
    clock = HandClock(1)
    agents = SimulatedClock(clock, slews=(Slew(0.2, rate_ppm, 10.0),)) if simulated else clock
    stamper = ArrivalStamper(agents)
    clock.now_ns = 7 * S + 190 * MS
    stamper.observe(read(agents))
    kernel = KernelStamp(clock.ahead_ns + clock.now_ns, exact=True)
    true_ns = agents.realtime_ns() - agents.raw_ns()
    clock.now_ns += 20 * MS
    clock.ahead_ns += 0 if simulated else 10 * rate_ppm
    reading, _ = stamper.arrived(kernel)
    assert abs(reading.realtime_minus_raw_ns - true_ns) <= reading.width_ns / 2 + 10


class Source:
    """A client that has read."""

    unstamped_because = None

    def __init__(self, stamp):
        self.reads, self.last_of_read, self.stamp = 1, False, stamp

    def arrival(self):
        return self.stamp


def test_packets_of_one_read_have_one_reading_and_only_the_last_can_be_exact():
    bench = Bench()
    bench.observe()
    source = Source(bench.arrival())
    arrivals = Arrivals(bench.stamper, source, log=None)
    bench.wait(MS)
    (first, kind), was_fresh = arrivals.reading(), arrivals.fresh
    bench.wait(MS)
    source.last_of_read = True
    assert (kind, was_fresh) == ("kernel_inexact", True)
    assert (arrivals.reading(), arrivals.fresh) == ((first, "kernel"), False)
    assert first.raw_ns >= bench.arrived_raw_ns
    source.reads, source.stamp = 2, bench.arrival()
    assert arrivals.reading()[0].raw_ns >= bench.arrived_raw_ns > first.raw_ns
    assert arrivals.fresh
