"""A vehicle's history: bounded whatever comes, honest when it leaves something out."""

from math import isnan

import pytest

from tests.unit.dashboards import result
from tidesync.fleet.history import COARSE_POINTS, FINE_POINTS, MOST_INCIDENTS, ResultHistory, Ring


def filled(seconds, per_second=1, **fields):
    history = ResultHistory()
    for number in range(seconds * per_second):
        history.result(result(offset_ms=float(number), **fields), number / per_second)
    return history


def test_a_ring_keeps_the_newest_rows_in_order():
    ring = Ring(2, 3)
    for number in range(5):
        ring.append((number, -number))
    assert list(ring) == [(2, -2), (3, -3), (4, -4)]
    assert ring.first() == (2, -2)
    assert len(ring) == 3


@pytest.mark.slow
def test_it_is_bounded_after_hours_of_four_results_a_second():
    history = filled(4 * 3600, per_second=4)
    points = list(history.points())
    assert FINE_POINTS < len(points) <= FINE_POINTS + COARSE_POINTS
    assert points[-1].raw_s - points[0].raw_s > 9000


def test_points_are_in_order_and_none_is_given_twice():
    points = list(filled(3000).points())
    assert [point.seq for point in points] == sorted({point.seq for point in points})
    assert [point.raw_s for point in points] == sorted({point.raw_s for point in points})


def test_four_results_a_second_are_thinned_to_one():
    assert len(list(filled(100, per_second=4).points())) == 100


def test_a_change_of_state_is_kept_however_near():
    history = ResultHistory()
    history.result(result(state="locked"), 10.0)
    history.result(result(state="holdover"), 10.1)
    history.result(result(state="holdover"), 10.2)
    assert len(list(history.points())) == 2


def test_the_worst_of_ten_seconds_is_what_is_kept_of_them():
    history = ResultHistory()
    for number in range(FINE_POINTS + 100):
        history.result(result(max_error_ms=7.0 if number == 15 else 0.5), float(number))
    old = [point for point in history.points() if point.raw_s < 90]
    assert [point.max_error_ms for point in old if 10 <= point.raw_s < 20] == [7.0]


def test_nothing_to_go_on_is_worse_than_any_error_and_never_zero():
    history = ResultHistory()
    for number in range(FINE_POINTS + 100):
        unsynced = number == 15
        nothing = dict.fromkeys(("offset_ms", "lower_ms", "upper_ms", "max_error_ms"))
        history.result(result(**nothing) if unsynced else result(), float(number))
    (point,) = [point for point in history.points() if 10 <= point.raw_s < 20]
    assert isnan(point.max_error_ms)
    assert isnan(point.offset_ms)


def test_only_what_is_newer_is_given_on_request():
    history = filled(2000)
    before = history.seq
    history.result(result(offset_ms=5.0), 2001.0)
    history.incident("step", "clock stepped", 2001.5)
    assert [point.offset_ms for point in history.points(before)] == [5.0]
    assert [incident.text for incident in history.incidents(before)] == ["clock stepped"]
    assert list(history.points(history.seq)) == []


def test_incidents_are_bounded():
    history = ResultHistory()
    for number in range(3 * MOST_INCIDENTS):
        history.incident("state", str(number), float(number))
    assert len(history.incidents()) == MOST_INCIDENTS
    assert history.incidents()[-1].text == str(3 * MOST_INCIDENTS - 1)


def test_a_ring_that_is_cut_keeps_the_newest_and_goes_on():
    ring = Ring(1, 4)
    for number in range(6):
        ring.append((number,))
    ring.limit(2)
    assert list(ring) == [(4,), (5,)]
    ring.append((6,))
    assert list(ring) == [(5,), (6,)]
    ring.limit(3)
    ring.append((7,))
    ring.append((8,))
    assert list(ring) == [(6,), (7,), (8,)]
