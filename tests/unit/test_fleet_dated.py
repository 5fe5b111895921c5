"""When results are of, on the clock of the computer that shows them."""

from itertools import pairwise

import pytest

from runtime.clock import Reading
from tests.unit.test_terminal_fleet import DIFFERENCE, NOON, S, letter, result
from tidesync.fleet.dated import MeasuredInstants
from tidesync.fleet.model import Fleet

WAYS_S = [0.52, 0.06, 1.1, 0.3, 0.9, 0.06, 0.4]


def dated(ahead_s, rate=0.0, times=1):
    """Instants of results that were measured once a second, and those that they are given."""
    instants, found = MeasuredInstants(), []
    for second, way_s in enumerate(WAYS_S * times):
        raw_s = 1000.0 + second * (1 + rate)
        measured_unix_ms = round((NOON / S + ahead_s + second) * 1e3)
        received = Reading(round((raw_s + way_s) * S), NOON - 1000 * S, 0)
        found.append((raw_s, instants.raw_s(measured_unix_ms, received)))
    return found


def test_results_by_the_same_clock_have_the_instants_at_which_they_were_measured():
    for true_s, raw_s in dated(0.0):
        assert raw_s == pytest.approx(true_s, abs=0.002)


@pytest.mark.parametrize("ahead_s", [5e8, -5e8, 60.0, -60.0])
def test_results_by_another_clock_have_the_distances_at_which_they_were_measured(ahead_s):
    late = [raw_s - true_s for true_s, raw_s in dated(ahead_s)][1:]
    assert late == pytest.approx([min(WAYS_S)] * len(late), abs=0.002)


def test_another_clock_may_run_at_another_rate_for_hours():
    late = [raw_s - true_s for true_s, raw_s in dated(5e8, 35e-6, times=2000)]
    assert max(map(abs, late)) <= max(WAYS_S)


def test_a_topside_whose_clock_was_set_is_dated_by_its_new_time():
    instants = MeasuredInstants()

    def given(raw_s, measured_s):
        return instants.raw_s(round(measured_s * 1e3), Reading(round(raw_s * S), NOON - 1000 * S, 0))

    noon_s = NOON / S
    assert given(1000.5, noon_s) == pytest.approx(1000.0)
    for set_by_s in (3600.0, -3600.0):
        start = given(1002.5, noon_s + 2 + set_by_s)
        assert 1000.0 <= start <= 1002.5
    assert given(1003.5, noon_s + 3 - 3600.0) == pytest.approx(1003.5, abs=0.01)


def test_results_that_were_never_measured_have_the_instants_of_their_arrival():
    instants = MeasuredInstants()
    assert instants.raw_s(None, Reading(5 * S, 0, 0)) == 5.0
    assert instants.raw_s(None, Reading(6 * S, 0, 0)) == 6.0


def test_a_steady_drift_is_a_straight_line_whenever_its_results_arrive():
    fleet = Fleet(histories=True)
    for second, way_s in enumerate(WAYS_S):
        at_ns = NOON + second * S
        heard = letter(result(at_ns=at_ns, offset_ms=0.035 * second), at_ns=at_ns + round(way_s * S))
        fleet.take(heard)
    assert heard.incoming.received.realtime_minus_raw_ns == DIFFERENCE
    points = list(fleet.history("rov1", "laptop").points())
    slopes = [(b.offset_ms - a.offset_ms) / (b.raw_s - a.raw_s) for a, b in pairwise(points)]
    assert len(points) > len(WAYS_S) / 2
    assert slopes == pytest.approx([0.035] * len(slopes), rel=0.01)
