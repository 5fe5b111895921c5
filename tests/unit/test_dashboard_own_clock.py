"""What the dashboard says of its own computer's clock, and steps counted where they are listed."""

import sys

import pytest

from runtime.clock import Reading
from runtime.clock_daemons import Discipline
from tests.unit.dashboards import event, letter, reading, result
from tidesync.dashboard.own_clock import OwnClock
from tidesync.dashboard.presentation import history_view, vehicle_view
from tidesync.fleet.model import Fleet

S = 1_000_000_000


@pytest.fixture
def rested(monkeypatch):
    """The seconds of rest that the clock under test is asked about."""
    monkeypatch.setattr(sys, "platform", "linux")
    asked = []

    def discipline(rested_s):
        asked.append(rested_s)
        return Discipline((), 0.0, rested_s >= 60)

    clock = OwnClock(discipline)
    clock.asked = asked
    return clock


def test_a_clock_that_rests_for_a_minute_counts_as_free_and_is_looked_at_every_half_minute(rested):
    for second in range(100):
        rested.check(Reading(second * S, 7 * S + second * 100, 0))
    assert rested.asked == [0.0, 30.0, 60.0, 90.0]
    assert rested.discipline.free


def test_a_clock_that_is_set_or_slewed_is_not_free(rested):
    for second in range(200):
        rested.check(Reading(second * S, 7 * S + second * 20_000, 0))
    assert max(rested.asked) == 0.0
    assert not rested.discipline.free


def test_off_linux_nothing_is_said(rested, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    rested.check(Reading(0, 0, 0))
    assert rested.discipline is None


def test_steps_are_counted_from_where_they_are_listed():
    fleet = Fleet(histories=True)
    fleet.take(letter(event(step_ms=-7000.0), 100 * S))
    fleet.take(letter(result(steps=9), 101 * S))
    fleet.take(letter(event(step_ms=3000.0), 102 * S))
    now = reading(103 * S)
    (row,) = fleet.rows(now)
    shown = vehicle_view(row)
    assert (shown.steps, shown.steps_listed) == (9, 2)
    kept = fleet.history("rov1", "laptop")
    listed = history_view(kept, 0, now, vehicle="rov1", topside="laptop", instance="i").incidents
    assert [each.text for each in listed if each.kind == "step"] == [
        "clock stepped -7.000 s",
        "clock stepped +3.000 s",
    ]
