"""The 95 % half-width of a row's error: it holds as often as it says, and is never above the bound."""

import numpy as np
import pytest

from tests.effort import tries
from tests.unit.moving_clocks import MovingClock, exchanges_of, history_of
from tests.unit.test_correction_interpolation import correct as at_times
from tests.unit.tracks import MS, START, S, row
from tidesync.sessions.correction.clock_limits import ClockLimits, limits_of
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.histories import Histories
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.session import timeline_of
from tidesync.sessions.correction.timeline import HOLDOVER, NO_U95, OK
from tidesync.sessions.folder import Measured
from topside_agent.estimator import EstimatorSettings, in_order, smooth

SETTINGS = EstimatorSettings()
SECONDS = 60


def corrected(seed, *, kept):
    """(corrections, errors in ns) of rows of one session with symmetric delays."""
    chance = np.random.default_rng(seed)
    pi = MovingClock("pi", int(chance.uniform(-2, 2) * S), chance.uniform(-80e-6, 80e-6))
    topside = MovingClock("topside")
    exchanges = in_order(exchanges_of(pi, topside, seconds=SECONDS, seed=seed, gaps=[(20, 23)]))
    measured = Measured("rov1", "topside", exchanges, smooth(exchanges, SETTINGS))
    histories = [{"b1": history_of(clock, SECONDS)} if kept else {} for clock in (pi, topside)]
    limits = limits_of(SETTINGS, exchanges, slew_ppm=None, max_error_ms=25.0)
    at_s = np.arange(2, SECONDS - 2, 0.37)
    stamps = pi.realtime_ns(at_s)
    corrector = RowCorrector(timeline_of(measured, limits, Histories(*histories), SETTINGS))
    found = corrector.correct(stamps)
    return found, np.abs(found.topside_ns - topside.realtime_ns(at_s))


@pytest.mark.parametrize("kept", [False, True], ids=["exchanges", "histories"])
def test_it_holds_in_at_least_95_of_100_rows_and_is_below_the_bound(kept):
    held = []
    for seed in range(tries(12)):
        found, error = corrected(seed, kept=kept)
        assert (found.u95_ns >= 0).all()
        assert (found.u95_ns <= found.max_error_ns).all()
        held.append(np.mean(error <= found.u95_ns))
        assert found.u95_ns.mean() < 0.5 * found.max_error_ns.mean()
    assert np.mean(held) >= 0.95


def test_between_two_rows_it_is_that_of_the_nearer_one_and_a_little():
    rows = [row(0, 0)._replace(u95_ns=10_000), row(1, 0)._replace(u95_ns=30_000)]
    found = at_times(timeline(rows, {}, ClockLimits()), *(START + round(at * S) for at in (0, 0.25, 1)))
    assert found.u95_ns.tolist() == pytest.approx([10_002, 15_000, 30_002], abs=1_000)


def test_in_a_holdover_it_grows_as_the_bound_does():
    found = at_times(
        timeline([row(at, 0) for at in range(60)], {}, ClockLimits()), START + 59 * S, START + 99 * S
    )
    assert found.state.tolist() == [OK, HOLDOVER]
    grown = np.diff(found.max_error_ns)[0]
    assert grown > 0.001 * MS
    assert np.diff(found.u95_ns)[0] == pytest.approx(grown, rel=1e-3)


def test_where_the_track_has_none_it_is_not_known():
    rows = [row(0, 0), row(1, 0)._replace(u95_ns=None), row(2, 0), row(3, 0)]
    found = at_times(timeline(rows, {}, ClockLimits()), *(START + round(at * S) for at in (0.5, 1.5, 2.5)))
    assert (found.u95_ns == NO_U95).tolist() == [True, True, False]
