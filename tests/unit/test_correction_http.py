"""Rows between handshakes over HTTP, which do not read the Pi's RAW clock: never wrong, and kept at rest."""

import numpy as np
import pytest

from schemas.exchange import HTTP
from tests.effort import part, tries
from tests.unit.moving_clocks import MovingClock, S, exchanges_of
from tidesync.sessions.correction.clock_limits import limits_of
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.session import timeline_of
from tidesync.sessions.correction.timeline import AMBIGUOUS, HOLDOVER, OK
from tidesync.sessions.folder import measure
from topside_agent.estimator import EstimatorSettings

SETTINGS = EstimatorSettings()
AWAY = (60, 120)
MOVES = {
    "rest": {},
    "steady": {"slews": [(-9, 999, 40)]},
    "15_000": {"slews": [(80, 86, -15_000)]},
    "450": {"slews": [(70, 110, 450)]},
    "83_333": {"slews": [(90, 92, 83_333)]},
    "pll": {"pll": [(75, 0.3)]},
    "step": {"steps": [(90.3, 0.05)]},
    "slewed_on": {"slews": [(100, 140, 20_000)]},
}


def over_http(exchanges, away, wide_s, seed=1):
    """The same, but between two instants every eighth alone, without the Pi's RAW and with longer ways."""
    chance, begin_ns = np.random.default_rng(seed), exchanges[0].origin_ns
    for number, exchange in enumerate(exchanges):
        out, back = (chance.exponential(wide_s * S, 2)).astype(int).tolist()
        if not any(begin <= (exchange.origin_ns - begin_ns) / S < end for begin, end in away):
            yield exchange
        elif number % 8 == 0:
            changes = {
                "origin_ns": exchange.origin_ns - out,
                "destination_ns": exchange.destination_ns + back,
            }
            without = {"method": HTTP.name, "boot_id": None, "pi_realtime_minus_raw_ns": None}
            yield exchange.model_copy(update=changes | without)


def correct(pi, topside, *, away=(AWAY,), wide_s=0.01, seconds=180, seed=1):
    exchanges = list(over_http(exchanges_of(pi, topside, seconds=seconds, seed=seed), away, wide_s, seed))
    (measured,) = measure({("rov1", "topside"): exchanges}, SETTINGS).values()
    limits = limits_of(
        SETTINGS,
        measured.exchanges,
        slew_ppm=None,
        max_error_ms=25.0,
        rate_ppm=measured.track.rate_ppm,
    )
    at_s = np.arange(3, seconds - 2, 0.1)
    corrector, stamps = RowCorrector(timeline_of(measured, limits)), pi.realtime_ns(at_s)
    if corrector.passes > 1:
        corrector.note(stamps)
    topside_ns, error, state, _ = corrector.correct(stamps)
    beyond = np.abs(topside_ns - topside.realtime_ns(at_s)) - error
    return at_s, state, error, np.where(state <= HOLDOVER, beyond, -1)


def clocks(side, moves):
    found = {"pi": MovingClock("pi", -1_200_000_000, 40e-6), "topside": MovingClock("topside")}
    for what, value in moves.items():
        setattr(found[side], what, value)
    return found.values()


@pytest.mark.parametrize(("name", "side", "wide_s"), part(MOVES, ["pi", "topside"], [0.001, 0.01, 0.04]))
def test_no_row_is_wrong_whatever_a_clock_did_while_http_alone_answered(name, side, wide_s):
    for seed in range(tries(2)):
        at_s, state, _, beyond = correct(*clocks(side, MOVES[name]), wide_s=wide_s, seed=seed)
        assert (beyond <= 0).all()
        assert (state[at_s < 58] == OK).all()


@pytest.mark.parametrize("name", ["rest", "steady"])
def test_a_change_of_transport_interrupts_nothing_while_the_clocks_rest(name):
    flips = [(begin, begin + 6) for begin in range(20, 160, 12)]
    _, state, error, _ = correct(*clocks("pi", MOVES[name]), away=flips)
    assert (state == OK).all()
    assert np.median(error) < 400_000


@pytest.mark.parametrize("name", ["15_000", "450", "83_333", "pll", "step", "slewed_on"])
def test_rows_between_readings_that_disagree_are_ambiguous(name):
    at_s, state, _, _ = correct(*clocks("pi", MOVES[name]), wide_s=0.001)
    assert (state[(at_s > AWAY[0] + 2) & (at_s < AWAY[1] - 2)] == AMBIGUOUS).all()


def test_without_a_reading_after_it_rows_near_a_contradiction_are_ambiguous():
    moves = {"slews": [(140, 143, 15_000)]}
    at_s, state, _, beyond = correct(*clocks("pi", moves), away=[(60, 999)], wide_s=0.001, seconds=300)
    assert (beyond <= 0).all()
    assert (state[(at_s > 100) & (at_s < 200)] == AMBIGUOUS).all()
    assert (state[(at_s > 64) & (at_s < 75)] == OK).all()
    assert (state[(at_s > 215) & (at_s < 290)] == OK).all()
