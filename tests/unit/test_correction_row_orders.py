"""No row is wrong in whatever order a table has its rows; and a table in order is answered nearly whole."""

import numpy as np
import pytest

from tests.effort import tries
from tests.unit.row_orders import ORDERS, Session, corrected, newest_first, random_session
from tests.unit.tracks import S, raw_of, stepped
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.runs import MOST_BREAKS

HOUR_BACK = Session([(5400.0, -3600.0, 0.0)], seconds=10_800, every_s=5.0)
EACH_SECOND = HOUR_BACK.on(np.arange(5.0, 10_790))


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
def test_no_row_is_wrong_in_random_sessions(order):
    for seed in range(tries(9)):
        chance = np.random.default_rng(seed)
        session = random_session(chance)
        wrong, *_ = corrected(session, order(chance, session))
        assert not wrong.any(), seed


@pytest.mark.parametrize("batch", [1, 97, 100_000])
def test_the_result_does_not_depend_on_the_batches(batch):
    chance = np.random.default_rng(3)
    session = Session([(150.0, -40.0, 0.0)], seconds=300)
    rows = np.delete(np.arange(5, 295, 0.5), [60, 61, 62, 400])
    rows[[30, 31]] = rows[[31, 30]]
    whole, answered, could = corrected(session, rows, batch=rows.size)
    assert answered[chance.permutation(rows.size)].mean() > 0.9 * could.mean()
    for one, other in zip((whole, answered, could), corrected(session, rows, batch=batch), strict=True):
        assert (one == other).all()


def moved(rows, place, to):
    """`rows` with one of them elsewhere."""
    return np.insert(np.delete(rows, place), to, rows[place])


@pytest.mark.parametrize("by", [1, 60, 1800, 3580, 3620])
@pytest.mark.parametrize("place", [100, 2000, 3000, 5300, 5393, 5394, 5396, 7000, 9000])
def test_one_late_row_beside_a_step_of_an_hour_costs_a_few_rows(place, by):
    rows = moved(EACH_SECOND, place, min(place + by, EACH_SECOND.size - 1))
    wrong, answered, could = corrected(HOUR_BACK, rows)
    assert not wrong.any()
    assert (could & ~answered).sum() < 70


def test_the_logs_of_two_loggers_are_decided_each_by_itself():
    rows = np.concatenate([EACH_SECOND, EACH_SECOND[500:9800] + 0.3])
    wrong, answered, could = corrected(HOUR_BACK, rows)
    assert not wrong.any()
    assert (could & ~answered).sum() < 40


def test_a_table_with_its_newest_rows_first_is_decided_as_one_with_its_oldest():
    wrong, answered, could = corrected(HOUR_BACK, EACH_SECOND[::-1])
    assert not wrong.any()
    assert (could & ~answered).sum() < 20


def test_a_logger_that_waits_until_the_clock_has_caught_up_decides_nothing():
    """Its times go on as if nothing had happened: it slept until the next full second of the Pi's clock."""
    rows = EACH_SECOND[(EACH_SECOND < 5400) | (EACH_SECOND > 9000)]
    wrong, answered, could = corrected(HOUR_BACK, rows)
    assert not wrong.any()
    assert answered.sum() < 0.6 * could.sum()


def test_a_log_that_ends_at_the_step_before_one_that_begins_where_the_clock_went_decides_nothing():
    """Both were rotated at full hours: what looks like the step is the seam of two logs of one hour."""
    session = Session([(7200.0, -3600.0, 0.0)], seconds=10_800, every_s=5.0, drift=0.0)
    hour = np.arange(3600.5, 7200)
    wrong, *_ = corrected(session, np.concatenate([np.arange(5.5, 7200), hour]))
    assert not wrong.any()


@pytest.mark.slow
def test_a_shuffled_table_of_any_length_takes_little_memory_and_decides_nothing():
    chance = np.random.default_rng(1)
    rows = chance.permutation(np.arange(5.0, 10_790, 0.01))
    wrong, answered, could = corrected(HOUR_BACK, rows, batch=100_000)
    assert not wrong.any()
    assert answered.sum() < 0.5 * could.sum()
    rows, _ = stepped(-3 * S)
    corrector = RowCorrector(timeline(rows, raw_of(rows), ClockLimits()))
    for _ in range(4):
        corrector.note(chance.integers(rows[0].pi_unix_ns, rows[-1].pi_unix_ns, 200_000))
    assert sum(each.last.size for each in corrector._order._finder._found) < 2 * MOST_BREAKS


def test_a_forward_step_needs_no_first_pass():
    assert RowCorrector(Session([(100.0, 40.0, 0.0)], seconds=300, every_s=0.25).timeline).passes == 1
    assert RowCorrector(Session([(100.0, -40.0, 0.0)], seconds=300, every_s=0.25).timeline).passes == 2
    silent = Session([(100.0, 40.0, 5.0)], seconds=300, every_s=0.25)
    assert RowCorrector(silent.timeline).passes == 2, "it may have been set more than once"


def test_newest_first_of_a_random_session_is_mostly_answered():
    shares = []
    for seed in range(tries(8)):
        chance = np.random.default_rng(100 + seed)
        session = random_session(chance)
        _, answered, could = corrected(session, newest_first(chance, session))
        shares.append(answered.sum() / could.sum())
    assert np.mean(shares) > 0.7
