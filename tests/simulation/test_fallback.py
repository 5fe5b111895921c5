"""HTTP takes over while MQTT is away, with the real agents: the bound holds whatever the clock does."""

from itertools import pairwise

import pytest

from runtime.clock import Step
from schemas.exchange import HTTP, MQTT
from tests.effort import tries
from tests.simulation.simulated import Simulation, jitter, wrong
from tests.simulation.simulated_machines import MS, Http, Link, S
from tidesync.sessions.folder import measure
from topside_agent.estimator import smooth
from topside_agent.settings import TopsideSettings

AWAY = (20, 60)
EVERY_S = 2.0
RECONNECT_S = 3.0
"""The longest wait between two attempts at the broker."""


def harbour(seed=1, *, down=AWAY, lost=0.0, simulated=None, **http):
    """A vehicle that is also asked over HTTP, and is away from the broker from 20 s to 60 s."""
    return Simulation(
        Link(to_ns=jitter(1, 0.5), from_ns=jitter(1, 0.5), lost=lost, down=(down,) if down else ()),
        seed=seed,
        settings=TopsideSettings(
            vehicle=("rov1=http://rov1:9150",), timeout_s=1.0, handshake_interval_s=EVERY_S
        ),
        simulated={"offset_ns": -1_234_567_000, "drift_ppm": 40.0} | (simulated or {}),
        http=Http(**{"delay_ns": jitter(1, 8)} | http),
    )


def by_method(published, method):
    return [entry for entry in published if entry.result.method == method.name]


@pytest.mark.parametrize("unit_ns", [1000, MS])
def test_http_takes_over_and_hands_back_and_every_result_holds_the_truth(unit_ns):
    published = harbour(unit_ns=unit_ns).run(80)
    assert wrong(published) == []
    over_http = by_method(published, HTTP)
    assert {entry.result.error for entry in over_http} == {None}
    assert 20 + 3 <= over_http[0].at_s < 20 + 3 + 3 * EVERY_S
    assert 59 < over_http[-1].at_s < 60 + RECONNECT_S + 1
    assert published[-1].result.method == MQTT.name
    assert published[-1].result.state == "locked"
    assert published[-1].result.max_error_ms < min(entry.result.max_error_ms for entry in over_http)


def test_eight_handshakes_in_a_row_are_locked_fewer_are_acquiring():
    published = by_method(harbour(delay_ns=lambda _: MS).run(60), HTTP)
    states = list(dict.fromkeys(entry.result.state for entry in published))
    assert states == ["acquiring", "locked"]
    first_locked = next(entry for entry in published if entry.result.state == "locked")
    assert first_locked.at_s - published[0].at_s == pytest.approx(7 * EVERY_S, abs=0.5)


@pytest.mark.parametrize("step_ns", [MS // 2, 2 * MS, -5 * MS, 50 * MS, -3 * S])
@pytest.mark.parametrize("seed", range(tries(3)))
def test_a_step_that_nobody_could_report_makes_no_result_wrong(step_ns, seed):
    simulation = harbour(seed, simulated={"steps": (Step(40.5, step_ns),)})
    published = simulation.run(80)
    assert wrong(published) == []
    assert published[-1].result.method == MQTT.name
    assert [event.step_ms for _, event in simulation.events()] == [step_ns / MS]


@pytest.mark.parametrize("off_s", [0.0, 5.0])
def test_a_reboot_that_nobody_could_report_makes_no_result_wrong(off_s):
    simulation = harbour()
    simulation.reboot(40.5, off_s=off_s, offset_ns=-7 * S, drift_ppm=-20.0)
    published = simulation.run(80)
    # A handshake over HTTP has no boot id: what is carried forward across the reboot cannot hold.
    known = [entry for entry in published if not 40.5 <= entry.at_s < 40.5 + off_s + 2 * EVERY_S]
    assert wrong(known) == []
    assert published[-1].result.boot_id == simulation.vehicle.boot_id
    assert published[-1].result.state == "locked"


def test_a_step_of_the_laptops_own_clock_between_handshakes_makes_no_result_wrong():
    simulation = harbour()
    simulation.step_topside(40.5, 5 * S)
    published = simulation.run(50)
    over_http = [entry for entry in by_method(published, HTTP) if entry.at_s > 43]
    assert over_http
    assert wrong(over_http) == []


def test_a_failure_over_http_too_is_reported_and_the_offset_is_carried_forward():
    simulation = harbour()
    simulation.http.down = ((40, 60),)
    published = simulation.run(58)
    assert wrong(published) == []
    last = published[-1].result
    assert (last.error, last.method) == ("network_error", HTTP.name)
    assert last.state in {"holdover", "stale"}
    assert last.age_s > 15


def test_a_vehicle_that_only_answers_over_http_is_measured():
    published = harbour(lost=1.0).run(40)
    assert {entry.result.method for entry in published} == {HTTP.name}
    assert wrong(published) == []
    assert published[-1].result.state in {"acquiring", "locked"}


def test_what_is_measured_over_http_while_the_broker_is_away_is_published_when_it_is_back():
    simulation = harbour(down=None)
    simulation.broker.restart(20, off_s=20)
    published = simulation.run(60)
    assert wrong(published) == []
    assert not [entry for entry in published if 20 < entry.at_s < 40]
    made_over_http = [each for each in simulation.exchanges() if each.method == HTTP.name]
    assert len(made_over_http) >= 7
    assert [each.seq for each in simulation.exchanges()] == list(range(len(simulation.exchanges())))
    assert published[-1].result.method == MQTT.name


def test_without_either_way_it_is_unsynced_with_the_error_of_http():
    simulation = harbour(lost=1.0)
    simulation.http.down = ((0, 99),)
    simulation.run(20)
    results = simulation.results()
    assert {result.state for result in results} == {"unsynced"}
    assert [result.error for result in results][-5:] == ["network_error"] * 5


def test_no_handshake_is_made_while_mqtt_reaches_the_vehicle():
    simulation = harbour(down=None)
    simulation.run(20)
    assert {exchange.method for exchange in simulation.finished()} == {MQTT.name}


@pytest.mark.parametrize("seed", range(tries(4)))
def test_a_handshake_that_ends_after_mqtt_is_back_is_left_out(seed):
    simulation = harbour(seed, delay_ns=lambda _: 90 * MS)
    (handshaker,) = simulation.topside.handshakers
    for tenth in range(600, 640):
        simulation.at(tenth / 10, handshaker.look)
    simulation.run(80)
    methods = [exchange.method for exchange in simulation.finished()]
    changes = [pair for pair in pairwise(methods) if pair[0] != pair[1]]
    assert changes == [(MQTT.name, HTTP.name), (HTTP.name, MQTT.name)]


def test_the_log_numbers_both_kinds_in_one_sequence_and_its_smoothed_track_is_right():
    simulation = harbour()
    simulation.run(80)
    exchanges = simulation.finished()
    assert [exchange.seq for exchange in exchanges] == list(range(len(exchanges)))
    assert {exchange.method for exchange in exchanges} == {MQTT.name, HTTP.name}
    assert all(
        exchange.pi_realtime_minus_raw_ns is None for exchange in exchanges if exchange.method == HTTP.name
    )
    for row in smooth(exchanges).rows:
        true_ns = simulation.true_ms(row.topside_unix_ns - simulation.clock.difference_ns) * MS
        assert row.lower_ns - 1 <= true_ns <= row.upper_ns + 1


@pytest.mark.parametrize("lost", [0.4, 0.6])
def test_a_lossy_link_that_changes_between_both_interrupts_nothing_afterwards(lost):
    simulation = harbour(3, down=None, lost=lost)
    simulation.run(120)
    exchanges = simulation.finished()
    methods = [exchange.method for exchange in exchanges]
    assert sum(before != after for before, after in pairwise(methods)) > 5
    (measured,) = measure({("rov1", "topside"): exchanges}).values()
    over_mqtt = [exchange.destination_ns for exchange in exchanges if exchange.method == MQTT.name]
    within = [row for row in measured.track.rows if over_mqtt[0] <= row.topside_unix_ns < over_mqtt[-1]]
    assert len({row.segment for row in within}) == 1
    assert {row.state for row in within} == {"ok"}
    for row in within:
        true_ns = simulation.true_ms(row.topside_unix_ns - simulation.clock.difference_ns) * MS
        assert row.lower_ns - 1 <= true_ns <= row.upper_ns + 1
