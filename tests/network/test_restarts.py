"""Whatever is restarted in the middle heals within five seconds, with no wrong result."""

from datetime import timedelta
from itertools import pairwise

import pytest

from tests.deadline import until, within

S = 1_000_000_000
HEALED_S = 5.0
CARRIED_ON = timedelta(milliseconds=900)
"""Results come a second apart; a busy machine reads a pong late, after a result was carried on past it."""


def running(boat, **settings):
    checker = boat.checker()
    topside = boat.topside(holdover_after_s=1.0, **settings)
    pi = boat.vehicle("rov1", offset_ns=-3 * S, drift_ppm=25.0)
    checker.until_state("rov1", "locked")
    return checker, topside, pi


def test_a_vehicles_agent_that_is_restarted_goes_on_where_it_was(boat):
    checker, _, pi = running(boat)
    pi.stop()
    heard = len(checker.heard)
    boat.vehicle("rov1", clock=boat.clocks["rov1"])
    again = checker.until_state("rov1", "locked", after=heard, within_s=HEALED_S)
    assert again.segment == 0  # its RAW clock never stopped
    assert again.error is None
    assert checker.wrong == []


def test_a_vehicle_that_is_rebooted_is_a_new_segment(boat):
    checker, _, pi = running(boat)
    first = checker.last("rov1")
    pi.stop()
    heard = len(checker.heard)
    boat.vehicle("rov1", offset_ns=900 * S, drift_ppm=-40.0)
    again = within(
        lambda: next((r for r in checker.heard[heard:] if r.boot_id not in {None, first.boot_id}), None),
        HEALED_S,
    )
    assert again.segment > first.segment
    locked = checker.until_state("rov1", "locked", after=len(checker.heard), within_s=HEALED_S)
    assert abs(locked.offset_ms - 900_000) < locked.max_error_ms + 2  # it drifts by 40 ppm
    assert [bad for bad in checker.wrong if bad.result.boot_id != first.boot_id] == []


def test_a_topside_that_is_restarted_measures_again(boat):
    checker, topside, _ = running(boat)
    topside.stop()
    heard = len(checker.heard)
    boat.topside(holdover_after_s=1.0)
    checker.until_state("rov1", "locked", after=heard, within_s=HEALED_S)
    assert checker.wrong == []


def test_a_broker_that_is_killed_and_started_heals_with_no_wrong_result(broker, boat):
    heals(broker, boat)


@pytest.mark.usefixtures("plain_client")
def test_the_same_with_the_plain_client(mosquitto, mosquitto_boat):
    heals(mosquitto, mosquitto_boat)


def heals(broker, boat):
    checker, _, _ = running(boat, no_udp=True)
    broker.kill()
    until(lambda: not checker.connection.up, 15, "the loss noticed")
    heard = len(checker.heard)
    broker.start()
    checker.until_state("rov1", "locked", after=heard, within_s=HEALED_S)
    results = len(checker.heard)
    until(lambda: len(checker.heard) >= results + 3, 15, "results going on")
    assert checker.wrong == []
    instants = [result.measured_at for result in checker.heard if result.vehicle == "rov1"]
    # nothing old is published again; a carried-on result may be dated after the reading that comes next
    assert all(later - earlier > -CARRIED_ON for earlier, later in pairwise(instants))


def test_a_dashboard_that_connects_later_gets_the_last_result_at_once(broker, boat):
    checker, _, _ = running(boat)
    late = boat.checker()
    result = until(lambda: late.retained.get("rov1"), 15, "the retained result")
    until(lambda: result in checker.heard, what="the same result, as it was published")
    assert result.state in {"locked", "holdover"}
    before = checker.last("rov1").measured_at
    broker.kill()
    broker.start()
    checker.until_state("rov1", "locked", after=len(checker.heard), within_s=HEALED_S)
    # the one that the broker had not acknowledged may come once more, before a newer one
    until(lambda: checker.last("rov1").measured_at > before, what="a newer result")
    after = boat.checker()
    assert until(lambda: after.retained.get("rov1"), 15, "the result announced again").measured_at > before
