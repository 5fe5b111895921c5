"""The bound covers the truth, for any delays that are not negative, any drift within its limit, any order."""

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.exchange import Exchange
from tests.effort import tries
from topside_agent.estimator import OffsetEstimator, online, smooth

S = 1_000_000_000
START = 1_777_636_800 * S
TOPSIDE_DIFFERENCE = START - 86_400 * S
RATE = 200e-6


@dataclass(frozen=True)
class RoundTrip:
    """What happens between two exchanges and on the way of the second."""

    pause_ns: int
    out_ns: int
    turnaround_ns: int
    back_ns: int
    drift: float
    reported_step_ns: int
    lost: bool
    twice: bool
    overtaken: bool


DELAYS = st.one_of(st.just(0), st.integers(0, 2_000_000), st.integers(0, 2 * S))


def round_trips(drifts, steps):
    return st.lists(
        st.builds(
            RoundTrip,
            pause_ns=st.one_of(st.integers(1_000, 3 * S), st.integers(0, 100 * S)),
            out_ns=DELAYS,
            turnaround_ns=st.integers(0, 10_000_000),
            back_ns=DELAYS,
            drift=drifts,
            reported_step_ns=steps,
            lost=st.booleans(),
            twice=st.booleans(),
            overtaken=st.booleans(),
        ),
        min_size=1,
        max_size=40,
    )


@dataclass(frozen=True)
class Truth:
    """Pi − topside, ns: when the Pi stamped the pong, and when topside received it."""

    at_reading: int
    at_destination: int


class PiClock:
    """A Pi whose RAW clock drifts as given from exchange to exchange, in exact integers."""

    def __init__(self, offset_ns):
        self.knots = [(0, 0.0)]
        self.difference_ns = offset_ns + START - 50_000 * S
        self.rate = 0.0

    def run(self, until_ns, rate):
        at, theta = self.knots[-1]
        self.knots.append((until_ns, theta + rate * (until_ns - at)))
        self.rate = rate

    def theta(self, at_ns):
        """RAW offset in ns beyond a constant, at `at_ns` since the start (at or after the last knot)."""
        at, theta = self.knots[-1]
        return theta + self.rate * (at_ns - at)

    def raw_ns(self, at_ns):
        return 50_000 * S + at_ns + int(self.theta(at_ns))

    def offset_ns(self, at_ns):
        return self.raw_ns(at_ns) + self.difference_ns - at_ns - START


def recorded(trips, offset_ns, *, constant_drift=False):
    """The exchanges as they arrive, with the true offsets."""
    clock, now, received = PiClock(offset_ns), 0, []
    for seq, step in enumerate(trips):
        drift = trips[0].drift if constant_drift else step.drift
        clock.run(now + step.pause_ns, drift)
        clock.difference_ns += step.reported_step_ns
        origin = now + step.pause_ns
        receive, transmit = origin + step.out_ns, origin + step.out_ns + step.turnaround_ns
        destination = transmit + step.back_ns
        now = destination
        exchange = Exchange(
            vehicle="rov1",
            topside="topside",
            seq=seq,
            boot_id="boot-0",
            origin_ns=START + origin,
            receive_ns=clock.raw_ns(receive) + clock.difference_ns,
            transmit_ns=clock.raw_ns(transmit) + clock.difference_ns,
            destination_ns=START + destination,
            pi_realtime_minus_raw_ns=clock.difference_ns,
            topside_realtime_minus_raw_ns=TOPSIDE_DIFFERENCE,
            resolution_ns=2,
        )
        truth = Truth(exchange.transmit_ns - transmit - START, clock.offset_ns(destination))
        clock.run(destination, drift)
        if step.lost and seq:
            continue
        place = len(received) - 1 if step.overtaken and received else len(received)
        received.insert(place, (exchange, truth))
        received += [received[-1]] * step.twice
    return received


NO_STEP = st.just(0)
STEPS = st.one_of(NO_STEP, NO_STEP, st.integers(-(10**10), 10**10))
ANY_DRIFT = st.floats(-RATE * 0.99, RATE * 0.99)
OFFSETS = st.sampled_from([0, 123_456_789, -1_700_000_000 * S])


def check_online(received):
    """Every result holds the offset at the Pi's reading, which it is dated at."""
    estimator = OffsetEstimator()
    readings = {exchange.transmit_ns: truth.at_reading for exchange, truth in received}
    for exchange, _ in received:
        estimator.add(exchange)
        estimate = estimator.estimate()
        if estimate is not None:
            truth_ns = readings[estimate.measured_at_ns + estimate.offset_ns]
            assert estimate.lower_ns <= truth_ns <= estimate.upper_ns
            assert estimate.lower_ns <= estimate.offset_ns <= estimate.upper_ns


@settings(max_examples=tries(50), derandomize=True)
@given(round_trips(ANY_DRIFT, NO_STEP), OFFSETS)
def test_the_bound_covers_whatever_constant_drift_delays_loss_and_order_do(trips, offset_ns):
    check_online(recorded(trips, offset_ns, constant_drift=True))


@settings(max_examples=tries(50), derandomize=True)
@given(round_trips(ANY_DRIFT, NO_STEP), OFFSETS)
def test_without_raw_the_bound_covers_any_drift_within_its_limit(trips, offset_ns):
    unknown = {"pi_realtime_minus_raw_ns": None}
    received = recorded(trips, offset_ns)
    check_online([(exchange.model_copy(update=unknown), truth) for exchange, truth in received])


@settings(max_examples=tries(50), derandomize=True)
@given(round_trips(ANY_DRIFT, STEPS), OFFSETS)
def test_the_bound_covers_across_reported_steps(trips, offset_ns):
    in_order = [replace(trip, overtaken=False) for trip in trips]
    check_online(recorded(in_order, offset_ns, constant_drift=True))


@settings(max_examples=tries(30), derandomize=True)
@given(round_trips(ANY_DRIFT, NO_STEP), OFFSETS)
def test_smoothed_intervals_lie_within_the_online_ones_and_cover(trips, offset_ns):
    received = recorded(trips, offset_ns, constant_drift=True)
    truths = {exchange.destination_ns: truth.at_destination for exchange, truth in received}
    exchanges = [exchange for exchange, _ in received]
    then = {row.topside_unix_ns: row for row in online(exchanges).rows}
    for row in smooth(exchanges).rows:
        assert row.lower_ns <= truths[row.topside_unix_ns] <= row.upper_ns
        assert then[row.topside_unix_ns].lower_ns <= row.lower_ns
        assert row.upper_ns <= then[row.topside_unix_ns].upper_ns
