"""Clock histories decide where exchanges cannot: steps, slews and suspends in gaps, and rows that repeat."""

import csv

import numpy as np
import pytest

from schemas.clock_history import ClockPiece
from tests.effort import few, part, tries
from tests.unit.moving_clocks import MovingClock, exchanges_of, history_of
from tests.unit.test_correction_moved_clocks import SLEWS, random_clock, rows
from tidesync.command_line import run
from tidesync.sessions.clock_pieces import line_of
from tidesync.sessions.correction.clock_limits import limits_of
from tidesync.sessions.correction.histories import Histories
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.session import timeline_of
from tidesync.sessions.correction.timeline import AMBIGUOUS, HOLDOVER, OK
from tidesync.sessions.folder import Measured
from tidesync.sessions.journal import lines_of
from topside_agent.estimator import EstimatorSettings, in_order, smooth

SETTINGS = EstimatorSettings()
FIFTH_OF_A_MS = 200_000


def correct(pi, topside, at_s, *, seconds, unheard=((), ()), sides=("pi", "topside"), **how):
    """(state, error of each row, error stated), ns, of rows that the Pi stamps at the instants `at_s`."""
    exchanges = in_order(exchanges_of(pi, topside, seconds=seconds, **how))
    measured = Measured("rov1", "topside", exchanges, smooth(exchanges, SETTINGS))
    limits = limits_of(SETTINGS, exchanges, slew_ppm=None, max_error_ms=25.0)
    kept = {
        clock.name: {"b1": history_of(clock, seconds, unheard=of_clock)} if clock.name in sides else {}
        for clock, of_clock in zip((pi, topside), unheard, strict=True)
    }
    made = timeline_of(measured, limits, Histories(kept["pi"], kept["topside"]), SETTINGS)
    corrector = RowCorrector(made)
    stamps = pi.realtime_ns(at_s)
    if corrector.passes > 1:
        corrector.note(stamps)
    topside_ns, stated, state, _ = corrector.correct(stamps)
    return state, np.abs(topside_ns - topside.realtime_ns(at_s)), stated


def wrong(state, error, stated):
    return (state <= HOLDOVER) & (error > stated)


def changing(clock, at_s):
    """Which rows are in a sampling interval in which the rate changes, or the clock is set."""
    edges = [edge for begin, end, _ in clock.slews for edge in (begin, end)]
    edges += [at for at, _ in clock.steps]
    near = np.zeros(at_s.size, dtype=bool)
    for edge in edges:
        near |= np.abs(at_s - edge) < 0.25
    for begin, _ in clock.pll:
        near |= (at_s > begin) & (at_s < begin + 60) & (np.abs((at_s - begin) % 1 - 0.5) > 0.45)
    return near


@pytest.mark.parametrize(("name", "side", "gap_s"), part(SLEWS, ["pi", "topside"], [0, 3, 25, 300]))
def test_nearly_all_rows_are_right_within_a_fifth_of_a_millisecond(name, side, gap_s):
    clocks = {"pi": MovingClock("pi", -1_200_000_000, 40e-6), "topside": MovingClock("topside")}
    for what, moves in SLEWS[name].items():
        setattr(clocks[side], what, moves)
    at_s = rows(500)
    state, error, stated = correct(*clocks.values(), at_s, seconds=500, gaps=[(60.5, 60.5 + gap_s)])
    assert not wrong(state, error, stated).any()
    counted = ~changing(clocks[side], at_s)
    good = (state <= HOLDOVER) & (error <= FIFTH_OF_A_MS)
    assert good[counted].mean() > 0.99


@pytest.mark.parametrize("side", ["pi", "topside"])
@pytest.mark.parametrize("gap", [(60, 75), (58, 130)])
def test_a_suspend_inside_a_gap_is_dated_by_its_own_machine(side, gap):
    clocks = {"pi": MovingClock("pi", -1_200_000_000, 40e-6), "topside": MovingClock("topside")}
    clocks[side].suspends.append((63.3, 5.0))
    at_s = rows(200, clocks["pi"], clocks["topside"])
    state, error, stated = correct(*clocks.values(), at_s, seconds=200, gaps=[gap])
    assert not wrong(state, error, stated).any()
    assert ((state <= HOLDOVER) & (error <= FIFTH_OF_A_MS)).mean() > 0.99


def test_both_machines_sleep_within_one_silence():
    pi = MovingClock("pi", 5, 40e-6, suspends=[(63.3, 5.0)])
    topside = MovingClock("topside", suspends=[(64.1, 5.0)])
    at_s = rows(200, pi, topside)
    state, error, stated = correct(pi, topside, at_s, seconds=200, gaps=[(60, 75)])
    assert not wrong(state, error, stated).any()
    assert ((state <= HOLDOVER) & (error <= FIFTH_OF_A_MS)).mean() > 0.98


@pytest.mark.parametrize("side", ["pi", "topside"])
@pytest.mark.parametrize("slept_at_s", [63.3, 77.1])
def test_an_exchange_alone_says_nothing_across_a_sleep_that_no_history_has(side, slept_at_s):
    """Its clock was slewed too: no reading of realtime − RAW relates the exchange to the others."""
    clocks = {"pi": MovingClock("pi", 5, 40e-6), "topside": MovingClock("topside")}
    clocks[side].suspends.append((slept_at_s, 2.0))
    clocks[side].slews = [(61, 63, 9_000), (76, 77, -9_000), (79, 81, 9_000)]
    at_s = rows(120, *clocks.values())
    kept = tuple({*clocks} - {side})
    gaps = [(60.5, 74.9), (75.2, 90)]
    found = correct(*clocks.values(), at_s, seconds=120, gaps=gaps, sides=kept)
    assert not wrong(*found).any()
    assert (found[0][(at_s < 58) | (at_s > 92)] == OK).all()


@pytest.mark.parametrize("sides", [("pi",), ("topside",), ("pi", "topside")])
@pytest.mark.parametrize("seed", few(range(tries(30))))
def test_no_row_is_wrong_in_random_worlds_with_partial_histories(seed, sides):
    chance = np.random.default_rng(seed)
    pi, topside = random_clock(chance, "pi"), random_clock(chance, "topside")
    for clock in (pi, topside):
        if chance.random() < 0.4:
            clock.suspends.append((chance.uniform(5, 110), chance.choice([0.05, 2.0, 9.0])))
    gaps = [
        (at, at + chance.choice([0.7, 3, 10, 40])) for at in chance.uniform(5, 110, chance.integers(0, 4))
    ]
    unheard = [
        [(at, at + chance.choice([0.5, 8, 30])) for at in chance.uniform(5, 110, chance.integers(0, 2))]
        for _ in range(2)
    ]
    at_s = rows(120, pi, topside)
    found = correct(pi, topside, at_s, seconds=120, gaps=gaps, unheard=unheard, sides=sides, seed=seed)
    bad = np.flatnonzero(wrong(*found))
    assert not bad.size, (at_s[bad][:5], [column[bad][:5] for column in found])


def test_where_the_agent_was_dead_the_honest_rule_applies():
    pi = MovingClock("pi", slews=[(62, 72, 450)])
    at_s = rows(200)
    dead = [(61, 80)], ()
    state, error, stated = correct(
        pi, MovingClock("topside"), at_s, seconds=200, gaps=[(60, 85)], unheard=dead
    )
    assert not wrong(state, error, stated).any()
    assert (state[(at_s > 61.5) & (at_s < 79.5)] == AMBIGUOUS).all()
    near_s = 0.12 * 19  # as far as the Pi's clock may have been slewed while nobody watched
    assert (state[(at_s < 60.5 - near_s) | (at_s > 80.5 + near_s)] == OK).all()


def test_the_command_reads_the_histories_of_a_session(tmp_path):
    pi = MovingClock("pi", -1_200_000_000, 40e-6, slews=[(62, 74, 83_333)], steps=[(80, -3.0)])
    topside = MovingClock("topside", pll=[(70, 0.3)])
    at_s = rows(200)
    sync = tmp_path / "time_sync"
    sync.mkdir()
    (sync / "exchanges.jsonl").write_bytes(lines_of(exchanges_of(pi, topside, seconds=200, gaps=[(60, 90)])))
    lines = [
        line_of(owner, "b1", "i1", number, ClockPiece.model_validate(piece.model_dump(exclude={"begin_s"})))
        for clock, owner in ((pi, ("vehicle", "rov1")), (topside, ("topside", "topside")))
        for number, piece in enumerate(history_of(clock, 200))
    ]
    (sync / "clock.jsonl").write_bytes(lines_of(lines))
    table = tmp_path / "rows.csv"
    table.write_text("timestamp\n" + "".join(f"{stamp}\n" for stamp in pi.realtime_ns(at_s)))
    assert run(["-q", "correct", str(tmp_path), "--csv", str(table), "--vehicle", "rov1"]) == 0
    with (tmp_path / "rows.topside.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    true = topside.realtime_ns(at_s).tolist()
    given = [(row, right) for row, right in zip(found, true, strict=True) if row["timestamp_topside"]]
    errors = np.array([abs(int(row["timestamp_topside"]) - right) for row, right in given])
    stated = np.array([float(row["time_max_error_ms"]) * 1e6 for row, _ in given])
    assert len(given) > 0.99 * len(found)
    assert (errors <= stated).all()
    assert np.quantile(errors, 0.99) <= FIFTH_OF_A_MS


@pytest.mark.parametrize("silence", [(), ((58, 130),)])
@pytest.mark.parametrize("side", ["pi", "topside"])
def test_an_agent_that_was_dead_meanwhile_leaves_the_rows_of_a_clock_at_rest_right(side, silence):
    pi, topside = MovingClock("pi", -1_200_000_000, 40e-6), MovingClock("topside")
    unheard = (((80, 90),), ()) if side == "pi" else ((), ((80, 90),))
    at_s = rows(200)
    state, error, stated = correct(pi, topside, at_s, seconds=200, gaps=silence, unheard=unheard)
    assert not wrong(state, error, stated).any()
    assert ((state <= HOLDOVER) & (error <= FIFTH_OF_A_MS)).mean() > 0.99


@pytest.mark.parametrize("step_s", [-3.0, 0.4])
@pytest.mark.parametrize("side", ["pi", "topside"])
def test_a_step_while_the_agent_was_dead_leaves_no_row_of_that_time_right(side, step_s):
    clocks = {"pi": MovingClock("pi", -1_200_000_000, 40e-6), "topside": MovingClock("topside")}
    clocks[side].steps = [(85.3, step_s)]
    unheard = (((80, 90),), ()) if side == "pi" else ((), ((80, 90),))
    at_s = rows(200)
    state, error, stated = correct(*clocks.values(), at_s, seconds=200, gaps=((58, 130),), unheard=unheard)
    assert not wrong(state, error, stated).any()
    assert not (state[(at_s > 81) & (at_s < 89)] <= HOLDOVER).any()
    assert (state[(at_s < 75) | (at_s > 95)] <= HOLDOVER).mean() > 0.95


def test_a_boot_of_topside_with_a_single_reading_leaves_the_rows_ambiguous():
    clocks, at_s = (MovingClock("pi"), MovingClock("topside")), rows(40)
    state, _, _ = correct(*clocks, at_s, seconds=40, gaps=[(1.1, 40)], sides=("pi",))
    assert (state == AMBIGUOUS).all()
