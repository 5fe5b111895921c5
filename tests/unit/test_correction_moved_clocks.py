"""Clocks that are set and slewed while nobody measures: no row is wrong, and most are kept."""

import numpy as np
import pytest

from tests.effort import part, tries
from tests.unit.moving_clocks import MovingClock, S, exchanges_of
from tidesync.sessions.correction.clock_function import ClockFunction
from tidesync.sessions.correction.clock_limits import limits_of
from tidesync.sessions.correction.clock_readings import ClockReading
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.session import timeline_of
from tidesync.sessions.correction.timeline import AMBIGUOUS, HOLDOVER, OK
from tidesync.sessions.folder import Measured
from topside_agent.estimator import EstimatorSettings, in_order, smooth

SETTINGS = EstimatorSettings()


def correct(pi, topside, at_s, *, exchanges=None, **how):
    """(state, error beyond the one stated, ns) of rows that the Pi stamps at the instants `at_s`."""
    exchanges = in_order(exchanges or exchanges_of(pi, topside, **how))
    measured = Measured("rov1", "topside", exchanges, smooth(exchanges, SETTINGS))
    limits = limits_of(SETTINGS, exchanges, slew_ppm=None, max_error_ms=25.0)
    corrector = RowCorrector(timeline_of(measured, limits))
    stamps = pi.realtime_ns(at_s)
    if corrector.passes > 1:
        corrector.note(stamps)
    topside_ns, error, state, _ = corrector.correct(stamps)
    beyond = np.abs(topside_ns - topside.realtime_ns(at_s)) - error
    return state, np.where(state <= HOLDOVER, beyond, -1)


def rows(seconds, *clocks):
    at_s = np.arange(2, seconds - 2, 0.05)
    asleep = [any(clock.asleep(each) for clock in clocks) for each in at_s.tolist()]
    return at_s[~np.array(asleep)]


SLEWS = {
    "500": {"slews": [(62, 63, 500)]},
    "450_long": {"slews": [(62, 72, 450)]},
    "20_000": {"slews": [(61, 66, 20_000)]},
    "50_000_back": {"slews": [(61, 64, -50_000)]},
    "83_333": {"slews": [(62, 74, 83_333)]},
    "pll": {"pll": [(62, 0.3)]},
    "small_step": {"steps": [(61.3, 0.0004)]},
    "step": {"steps": [(61.3, 3.0)]},
    "step_back": {"steps": [(61.3, -3.0)]},
}


@pytest.mark.parametrize(("name", "side", "gap_s"), part(SLEWS, ["pi", "topside"], [0, 0.8, 3, 25, 100]))
def test_no_row_is_wrong_whatever_happened_inside_or_outside_a_gap(name, side, gap_s):
    clocks = {"pi": MovingClock("pi", -1_200_000_000, 40e-6), "topside": MovingClock("topside")}
    for what, moves in SLEWS[name].items():
        setattr(clocks[side], what, moves)
    at_s = rows(200)
    state, beyond = correct(*clocks.values(), at_s, seconds=200, gaps=[(61, 61 + gap_s)])
    assert (beyond <= 0).all()
    assert (state[at_s < 58] == OK).all()
    assert (state[at_s > 190] <= HOLDOVER).all()


def test_rows_in_a_gap_with_an_unexplained_change_are_ambiguous_and_all_others_stay_ok():
    pi = MovingClock("pi", slews=[(62, 72, 450)])
    at_s = rows(200)
    state, _ = correct(pi, MovingClock("topside"), at_s, seconds=200, gaps=[(60, 85)])
    inside = (at_s > 59.7) & (at_s < 85.2)
    assert (state[inside] == AMBIGUOUS).sum() >= inside.sum() - 10
    assert (state[~inside] == OK).all()


def test_a_clock_with_a_constant_frequency_is_known_across_a_gap():
    pi = MovingClock("pi", slews=[(0, 200, 30)])
    at_s = rows(200)
    state, beyond = correct(pi, MovingClock("topside"), at_s, seconds=200, gaps=[(60, 85)])
    assert (state == OK).all()
    assert (beyond <= 0).all()


def read_by(clock, read_s):
    """The clock's lines by readings alone at the instants `read_s`."""
    pairs = zip(clock.raw_ns(read_s).tolist(), clock.realtime_ns(read_s).tolist(), strict=True)
    return ClockFunction((), [ClockReading(raw, realtime, 1000) for raw, realtime in pairs]).lines


def test_a_mean_rate_that_fits_by_chance_explains_no_gap():
    clock = MovingClock("pi", slews=[(64, 72, 500)])  # half of each gap: a mean of 250 ppm in both
    read_s = np.array([*range(40, 61), 68, *range(76, 90)], dtype=float)
    lines = read_by(clock, read_s)
    at_s = np.arange(40, 89, 0.1)
    found, width, run = lines.realtime_at(clock.raw_ns(at_s))
    assert (np.abs(found - clock.realtime_ns(at_s)) <= width)[run >= 0].all()
    assert (run >= 0)[(at_s < 60) | (at_s > 77)].all()


TRAINS = np.add.outer(np.arange(40, 80, 0.5), [0, 0.002, 0.005]).ravel()


@pytest.mark.parametrize("read_s", [np.arange(40, 80, 0.5), TRAINS], ids=["alone", "in trains"])
@pytest.mark.parametrize("at_s", [60.01, 60.25, 60.49])
@pytest.mark.parametrize("ppm", [-17, 120, -450])
def test_a_step_that_hides_what_a_slew_moves_is_within_the_width(ppm, at_s, read_s):
    hidden = MovingClock("pi", slews=[(30, 90, ppm)], steps=[(at_s, -ppm * 1e-6 * 0.5)])
    shown_s = np.arange(41, 79, 0.005)
    lines = read_by(hidden, read_s)
    found, width, run = lines.realtime_at(hidden.raw_ns(shown_s))
    assert (run == 0).all()
    assert (np.abs(found - hidden.realtime_ns(shown_s)) <= width).all()
    plain = read_by(MovingClock("pi", slews=[(30, 90, ppm)]), read_s)
    assert plain.half_width[3:-3].max() < 6_000
    far = (lines.to_raw < hidden.raw_ns(np.array([59.4]))) | (
        lines.from_raw > hidden.raw_ns(np.array([61.1]))
    )
    assert lines.half_width[far][3:-3].max() < 6_000


@pytest.mark.parametrize("ppm", [-450, 300])
def test_a_step_that_hides_what_a_slew_moves_is_in_the_error_of_rows(ppm):
    pi = MovingClock("pi", 3 * S, slews=[(20, 100, ppm)], steps=[(60.01, -ppm * 1e-6)])
    at_s = np.arange(30, 90, 0.005)
    state, beyond = correct(pi, MovingClock("topside"), at_s, seconds=110, rate=1.0)
    assert (state == OK).all()
    assert (beyond <= 0).all()


@pytest.mark.parametrize("step_ms", [-15, -8, -4, 4, 8])
def test_a_small_step_while_an_answer_is_late_makes_no_row_wrong(step_ms):
    pi, topside = MovingClock("pi", 3 * S, 20e-6, steps=[(60.503, step_ms * 1e-3)]), MovingClock("topside")
    at_s = np.arange(50, 70, 0.001)
    state, beyond = correct(pi, topside, at_s, seconds=90, late=[238])  # asked at 60.5 s
    assert (beyond <= 0).all()
    assert (state[(at_s < 60) | (at_s > 61.5)] == OK).all()


def test_a_small_step_back_reaches_beyond_exchanges_that_follow_closely():
    pi, topside = MovingClock("pi", 3 * S, 20e-6, steps=[(60.5, -0.0053)]), MovingClock("topside")
    measured = exchanges_of(pi, topside, seconds=90)
    for number in range(1, 4):  # 1 ms apart, just after the step
        measured.append(_close(pi, topside, number).model_copy(update={"seq": 1000 + number}))
    at_s = np.arange(50, 70, 0.0005)
    state, beyond = correct(pi, topside, at_s, exchanges=measured)
    assert (beyond <= 0).all()
    assert (state[(at_s < 60) | (at_s > 61.5)] == OK).all()


def _close(pi, topside, number):
    """The exchange that is made 0.4 ms + `number` ms after 60.5 s."""
    at = 60.5004 + number * 1e-3 + np.array([0, 1e-4, 2e-4, 3e-4])
    like = exchanges_of(pi, topside, seconds=90)[0]
    pi_ns, topside_ns = pi.realtime_ns(at).tolist(), topside.realtime_ns(at).tolist()
    stamps = {
        "origin_ns": topside_ns[0],
        "receive_ns": pi_ns[1],
        "transmit_ns": pi_ns[2],
        "destination_ns": topside_ns[3],
        "pi_realtime_minus_raw_ns": int(pi.difference_ns(at)[2]),
        "topside_realtime_minus_raw_ns": int(topside.difference_ns(at)[3]),
    }
    return like.model_copy(update=stamps)


@pytest.mark.parametrize("after_s", [0.05, 0.25, 0.4])
@pytest.mark.parametrize("step_s", [-3.0, -0.015, 0.005, 0.04, 3.0])
def test_no_row_of_the_track_is_wrong_where_the_clock_was_set_on_the_way_back(step_s, after_s):
    pi, topside = MovingClock("pi", steps=[(60 + after_s, step_s)]), MovingClock("topside")
    exchanges = exchanges_of(pi, topside, seconds=90, rate=2.0, back_s=0.3)
    sound = [row for row in smooth(exchanges, SETTINGS).rows if row.state == "ok"]
    shown = topside.realtime_ns(np.arange(0, 90, 1e-3))
    for row in sound:
        at_s = np.interp(row.topside_unix_ns - int(shown[0]), shown - shown[0], np.arange(0, 90, 1e-3))
        truth = int(pi.realtime_ns(np.array([at_s]))[0]) - row.topside_unix_ns
        assert row.lower_ns - 1000 <= truth <= row.upper_ns + 1000
    assert len(sound) > 170


SET_IN_SILENCE = {
    "topside slept": ({"steps": [(126, -8.0)]}, {"suspends": [(65, 60)]}),
    "topside slept and was set": ({"steps": [(126, -8.0)]}, {"suspends": [(65, 60)], "steps": [(128, 1.0)]}),
}


@pytest.mark.parametrize("what", SET_IN_SILENCE)
def test_a_clock_set_back_late_in_a_silence_shows_no_time_that_counts_as_another(what):
    pi, topside = (MovingClock(*each) for each in (("pi", 5 * S), ("topside",)))
    for clock, moves in zip((pi, topside), SET_IN_SILENCE[what], strict=True):
        for name, values in moves.items():
            setattr(clock, name, values)
    at_s = rows(200, pi, topside)
    state, beyond = correct(pi, topside, at_s, seconds=200, gaps=[(62, 130)])
    assert (beyond <= 0).all()
    assert (state[at_s > 150] == OK).all()


def random_clock(chance, name):
    made = MovingClock(name, int(chance.integers(-(10**10), 10**10)), chance.uniform(-50e-6, 50e-6))
    for _ in range(chance.integers(0, 3)):
        at = chance.uniform(5, 110)
        rate = chance.choice([20, 500, 20_000, 50_000, 83_333]) * chance.choice([-1, 1])
        made.slews.append((at, at + chance.choice([0.02, 0.5, 3, 20]), rate))
    for _ in range(chance.integers(0, 2)):
        made.steps.append((chance.uniform(5, 110), chance.choice([-3, -0.01, -1e-4, 1e-4, 0.0008, 0.1, 7])))
    if chance.random() < 0.3:
        made.pll.append((chance.uniform(5, 110), chance.choice([-0.3, 0.01, 0.3])))
    return made


@pytest.mark.parametrize("seed", range(tries(60)))
def test_no_row_is_wrong_in_random_worlds(seed):
    chance = np.random.default_rng(seed)
    pi, topside = random_clock(chance, "pi"), random_clock(chance, "topside")
    gaps = [
        (at, at + chance.choice([0.7, 3, 10, 40])) for at in chance.uniform(5, 110, chance.integers(0, 4))
    ]
    at_s = rows(120)
    state, beyond = correct(
        pi, topside, at_s, seconds=120, gaps=gaps, rate=chance.choice([1.0, 4.0]), seed=seed
    )
    wrong = np.flatnonzero(beyond > 0)
    assert not wrong.size, (at_s[wrong][:5], beyond[wrong][:5], state[wrong][:5])
