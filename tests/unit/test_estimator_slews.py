"""A result holds at the Pi's last reading, however fast a wall clock is slewed and however slow the way."""

import pytest

from runtime.clock import Reading as ClockReading
from schemas.exchange import HTTP, Exchange
from tests.effort import part
from topside_agent.estimator import EstimatorSettings, OffsetEstimator, online, smooth
from topside_agent.estimator.slews import FASTEST, Reading, slew_of, unexplained_ns, with_next
from topside_agent.http_fallback.fallback import Fallback
from topside_agent.measuring.offsets import Offsets
from topside_agent.measuring.pace import Pace
from topside_agent.settings import TopsideSettings

MS = 1_000_000
S = 1_000_000_000
START = 1_777_636_800 * S
DRIFT = 20e-6


class SlewedClock:
    """Realtime − RAW that moves at `ppm` from `begin_s` to `end_s` of true time."""

    def __init__(self, ppm=0.0, begin_s=10.0, end_s=40.0):
        self.rate, self.begin_ns, self.end_ns = ppm * 1e-6, begin_s * S, end_s * S

    def difference_ns(self, at_ns):
        return START + round(self.rate * (min(max(at_ns, self.begin_ns), self.end_ns) - self.begin_ns))


def raw_ns(at_ns):
    """The Pi's RAW clock at a true instant; topside's RAW is true."""
    return round(at_ns * (1 + DRIFT)) + 50_000 * S


def recorded(pi, topside, *, out_ms, back_ms, every_s=0.25, until_s=60.0, late_ms=0.0):
    """Of `late_ms` every fourth answer is late."""
    exchanges = []
    at_ns, seq = 0, 0
    while at_ns < until_s * S:
        receive = at_ns + round(out_ms * MS)
        transmit = receive + 100_000
        destination = transmit + round((back_ms + late_ms * (seq % 4 == 0)) * MS)
        difference = topside.difference_ns(destination)
        exchange = Exchange(
            vehicle="rov1", topside="topside", seq=seq, boot_id="boot-0",
            origin_ns=at_ns + difference,
            receive_ns=raw_ns(receive) + pi.difference_ns(transmit),
            transmit_ns=raw_ns(transmit) + pi.difference_ns(transmit),
            destination_ns=destination + difference,
            pi_realtime_minus_raw_ns=pi.difference_ns(transmit),
            topside_realtime_minus_raw_ns=difference,
            resolution_ns=2,
        )  # fmt: skip
        exchanges.append((exchange, transmit, destination))
        at_ns, seq = destination + round(every_s * S), seq + 1
    return exchanges


def offset_ns(pi, topside, at_ns):
    return raw_ns(at_ns) + pi.difference_ns(at_ns) - at_ns - topside.difference_ns(at_ns)


def instant_of(topside, realtime_ns):
    """The true instant at which topside's realtime showed `realtime_ns`."""
    low, high = 0, 1000 * S
    while high - low > 1:
        middle = (low + high) // 2
        if middle + topside.difference_ns(middle) <= realtime_ns:
            low = middle
        else:
            high = middle
    return low


WAYS = [(0.1, 0.1), (1, 200), (200, 1), (0, 300), (300, 0), (80, 120)]
SLEWS = [0, 500, -500, 20_000, 50_000, 83_333, -83_333]
SIDES = ["pi", "topside"]


@pytest.mark.parametrize(("way", "ppm"), part(WAYS, SLEWS[1:] + SLEWS[:1]))
def test_the_result_holds_at_the_pis_reading_while_its_clock_is_slewed(ppm, way):
    out_ms, back_ms = way
    pi, topside = SlewedClock(ppm), SlewedClock()
    running = OffsetEstimator()
    for exchange, transmit, _ in recorded(pi, topside, out_ms=out_ms, back_ms=back_ms):
        assert running.add(exchange).accepted
        estimate = running.estimate()
        truth = offset_ns(pi, topside, transmit)
        assert estimate.lower_ns <= truth <= estimate.upper_ns
        assert estimate.measured_at_ns + estimate.offset_ns == exchange.transmit_ns


@pytest.mark.parametrize(("side", "ppm", "way"), part(SIDES, SLEWS, WAYS))
def test_the_result_holds_at_measured_at_while_the_slew_goes_on(side, ppm, way):
    out_ms, back_ms = way
    clocks = {"pi": SlewedClock(), "topside": SlewedClock()} | {side: SlewedClock(ppm)}
    running = OffsetEstimator()
    for exchange, _, destination in recorded(**clocks, out_ms=out_ms, back_ms=back_ms):
        running.add(exchange)
        estimate = running.estimate()
        truth = offset_ns(**clocks, at_ns=instant_of(clocks["topside"], estimate.measured_at_ns))
        if all(abs(destination - edge) > 2 * S for edge in (clocks[side].begin_ns, clocks[side].end_ns)):
            assert estimate.lower_ns <= truth <= estimate.upper_ns


@pytest.mark.parametrize("ppm", [83_333, -83_333, 20_000, 500])
@pytest.mark.parametrize("stalled_at", [40, 41, 45])
def test_a_difference_that_was_read_late_widens_the_result_that_rests_on_it(stalled_at, ppm):
    """A process that stalls reads realtime − RAW after the slew began, and the kernel stamped the arrival."""
    clocks = SlewedClock(), SlewedClock(ppm, begin_s=10.05)
    running, rows = OffsetEstimator(), recorded(*clocks, out_ms=0.3, back_ms=0.1, until_s=12)
    taken = []
    for number, (exchange, transmit, destination) in enumerate(rows):
        if number == stalled_at:
            late_by_ns = clocks[1].difference_ns(destination + 1_400 * MS) - clocks[1].difference_ns(
                destination
            )
            exchange = exchange.model_copy(  # noqa: PLW2901
                update={
                    "origin_ns": exchange.origin_ns + late_by_ns,
                    "destination_ns": exchange.destination_ns + late_by_ns,
                    "topside_realtime_minus_raw_ns": exchange.topside_realtime_minus_raw_ns + late_by_ns,
                    "resolution_ns": 2 + abs(late_by_ns),
                }
            )
        assert running.add(exchange).accepted
        taken.append(exchange)
        estimate = running.estimate()
        assert estimate.lower_ns <= offset_ns(*clocks, transmit) <= estimate.upper_ns
    track = smooth(taken, EstimatorSettings())
    row = next(each for each in track.rows if each.topside_unix_ns == taken[stalled_at].destination_ns)
    assert row.lower_ns <= offset_ns(*clocks, rows[stalled_at][2]) <= row.upper_ns


@pytest.mark.parametrize(("ppm", "side", "late_ms"), part(SLEWS, SIDES, [5, 40]))
def test_a_late_answer_moves_no_result_while_either_clock_is_slewed(side, ppm, late_ms):
    clocks = {"pi": SlewedClock(), "topside": SlewedClock()} | {side: SlewedClock(ppm)}
    running = OffsetEstimator()
    for exchange, transmit, _ in recorded(**clocks, out_ms=0.3, back_ms=0.1, until_s=30, late_ms=late_ms):
        running.add(exchange)
        estimate = running.estimate()
        if 2 * S < transmit < 9 * S or transmit > 12 * S:
            assert estimate.lower_ns <= offset_ns(**clocks, at_ns=transmit) <= estimate.upper_ns


@pytest.mark.parametrize(
    ("ppm", "way", "side", "over_http"), part([*SLEWS, -100_000], WAYS, SIDES, [False, True])
)
def test_a_result_of_one_exchange_holds_whatever_slew_is_under_way(over_http, side, ppm, way):
    out_ms, back_ms = way
    clocks = {"pi": SlewedClock(), "topside": SlewedClock()} | {side: SlewedClock(ppm, begin_s=0)}
    ways = {"out_ms": out_ms, "back_ms": back_ms}
    fallback = Fallback(EstimatorSettings())
    for exchange, _, _ in recorded(**clocks, **ways, every_s=2, until_s=10):
        running = fallback if over_http else OffsetEstimator()
        running.add(exchange)
        estimate = fallback.estimate(None, 0) if over_http else running.estimate()
        truth = offset_ns(**clocks, at_ns=instant_of(clocks["topside"], estimate.measured_at_ns))
        assert estimate.lower_ns <= truth <= estimate.upper_ns


def test_over_http_a_clock_of_topside_at_rest_costs_no_width():
    fallback, widths, resting = Fallback(EstimatorSettings()), [], SlewedClock()
    for exchange, _, _ in recorded(resting, resting, out_ms=30, back_ms=30, every_s=2, until_s=10):
        fallback.add(exchange)
        estimate = fallback.estimate(None, 0)
        widths.append(estimate.upper_ns - estimate.lower_ns)
    assert widths[0] > 1.2 * 60 * MS
    assert max(widths[1:]) < 1.12 * 60 * MS


def test_a_slew_widens_a_result_by_its_rate_and_no_more():
    widths = {}
    for ppm in (0, 83_333):
        pi, topside = SlewedClock(ppm), SlewedClock()
        running = OffsetEstimator()
        for exchange, _, _ in recorded(pi, topside, out_ms=0.3, back_ms=0.3, until_s=30):
            running.add(exchange)
        estimate = running.estimate()
        widths[ppm] = estimate.upper_ns - estimate.lower_ns
    assert widths[83_333] < 1.1 * widths[0]


@pytest.mark.parametrize("ppm", [500, 83_333])
def test_rows_allow_for_the_slew_on_the_way_back(ppm):
    pi, topside = SlewedClock(ppm), SlewedClock()
    made = recorded(pi, topside, out_ms=1, back_ms=40)
    truths = {exchange.destination_ns: offset_ns(pi, topside, at) for exchange, _, at in made}
    for row in smooth([exchange for exchange, _, _ in made]).rows:
        assert row.lower_ns <= truths[row.topside_unix_ns] <= row.upper_ns
    edges = {made[i][0].destination_ns for i in range(len(made)) if abs(made[i][2] - 10 * S) < S}
    for row in online([exchange for exchange, _, _ in made]).rows:
        assert row.topside_unix_ns in edges or row.lower_ns <= truths[row.topside_unix_ns] <= row.upper_ns


def test_readings_at_rest_show_no_slew():
    assert slew_of([Reading(0, 5, 1), Reading(S, 15_000, 1)]) == (0.0, 0.0)


def test_a_rate_that_no_readings_show_may_be_the_fastest():
    assert slew_of([]) == (0.0, FASTEST)
    assert slew_of([Reading(0, 5, 1)]) == (0.0, FASTEST)
    assert slew_of([Reading(S, 5, 1), Reading(0, 80_000_000, 1)]) == (0.0, FASTEST)
    long = [Reading(0, 0, 1), Reading(60 * S, 900 * MS, 1)]
    assert slew_of(long) == pytest.approx((0.015, FASTEST))


def test_a_step_leaves_the_rate_as_it_was_before():
    slewed = [Reading(0, 0, 1), Reading(S, 50 * MS, 1), Reading(2 * S, 100 * MS, 1)]
    set_forward = Reading(3 * S, 9_000 * MS, 1)
    assert slew_of(with_next(slewed, set_forward, cut=True, rate=0.05)) == slew_of(slewed)
    going_on = Reading(3 * S, 160 * MS, 1)
    assert with_next(slewed, going_on, cut=True, rate=0.05) == [*slewed[1:], going_on]


def test_a_steady_slew_has_its_rate_and_one_that_begins_may_have_been_the_fastest():
    steady = [Reading(0, 0, 1), Reading(S, 50 * MS, 1), Reading(2 * S, 100 * MS, 1)]
    assert slew_of(steady) == pytest.approx((0.05, 0.05 / 0.95))
    begun = [Reading(0, 0, 1), Reading(S, 0, 1), Reading(2 * S, 20 * MS, 1)]
    assert slew_of(begun) == pytest.approx((0.02, FASTEST))


def test_what_the_rate_of_before_does_not_explain_may_have_been_a_step():
    def moved(*differences_ms):
        return [Reading(at * S // 4, round(ms * MS), 2) for at, ms in enumerate(differences_ms)]

    assert unexplained_ns(moved(0)) == 0
    assert unexplained_ns(moved(0, 0, 0)) == 0
    assert unexplained_ns(moved(0, 20, 40)) == 0
    assert unexplained_ns(moved(0, 0, 10)) == 10 * MS
    assert unexplained_ns(moved(0, 20, 30)) == 10 * MS
    assert unexplained_ns(moved(0, 20, 20)) == 0  # at rest again: nothing moved since


@pytest.mark.parametrize("step_ms", [15, -15])
def test_a_step_too_small_to_be_distinguished_from_a_slew_is_within_the_result_that_shows_it(step_ms):
    pi, topside = SlewedClock(), SlewedClock()
    running = OffsetEstimator()
    made = recorded(pi, topside, out_ms=30, back_ms=40, until_s=10)
    for exchange, _, _ in made[:-1]:
        running.add(exchange)
    last, transmit, _ = made[-1]
    stepped = {name: getattr(last, name) + step_ms * MS for name in ("receive_ns", "transmit_ns")}
    difference = last.pi_realtime_minus_raw_ns + step_ms * MS
    running.add(last.model_copy(update=stepped | {"pi_realtime_minus_raw_ns": difference}))
    estimate = running.estimate()
    before = offset_ns(pi, topside, transmit)  # what the clocks showed until just before the reading
    assert estimate.lower_ns <= before <= estimate.upper_ns
    assert estimate.lower_ns <= before + step_ms * MS <= estimate.upper_ns


@pytest.mark.parametrize("over_http", [False, True])
def test_a_result_is_conditional_where_topside_was_set_within_its_exchange(over_http):
    resting = SlewedClock()
    exchange, transmit, destination = recorded(resting, resting, out_ms=1, back_ms=300, until_s=1)[0]
    if over_http:
        exchange = exchange.model_copy(update={"method": HTTP.name, "pi_realtime_minus_raw_ns": None})
    conditional = []
    for set_at in (-MS, transmit + MS, destination + MS):
        offsets = Offsets(EstimatorSettings(), Pace(TopsideSettings(topside="t", holdover_after_s=1)))
        offsets.add(exchange)
        offsets.stepped(set_at)
        now = ClockReading(destination + 2 * MS, START, 0)
        conditional.append(offsets.estimate(now, destination).conditional)
    assert conditional == [False, True, True]


@pytest.mark.parametrize("ppm", SLEWS)
def test_rows_over_http_hold_while_the_pi_is_slewed(ppm):
    pi, topside = SlewedClock(ppm, begin_s=0), SlewedClock()
    made = recorded(pi, topside, out_ms=0.1, back_ms=40, every_s=2, until_s=30)
    changes = {"method": HTTP.name, "pi_realtime_minus_raw_ns": None, "boot_id": None}
    track = smooth([exchange.model_copy(update=changes) for exchange, _, _ in made])
    truths = {exchange.destination_ns: offset_ns(pi, topside, at) for exchange, _, at in made}
    for row in track.rows:
        assert row.lower_ns <= truths[row.topside_unix_ns] <= row.upper_ns
