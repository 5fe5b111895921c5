"""Exchanges straight between topside and vehicle beside those over a far broker: no step, never outside."""

from itertools import pairwise

import pytest

from pi_agent.udp import agreement
from runtime.clock import Step
from schemas import topics
from schemas.exchange import MQTT, UDP
from tests.effort import tries
from tests.simulation.simulated import ROOT, Simulation, jitter, wrong
from tests.simulation.simulated_machines import Link, S
from tests.simulation.simulated_udp import DirectLink
from topside_agent.estimator import smooth
from topside_agent.settings import TopsideSettings

FAR = {"to_ns": jitter(45, 2), "from_ns": jitter(35, 1)}
"""With topside beside the broker 80 ms for a ping or a pong, and 5 ms between the two ways' middles."""
PONGS = topics.subscription(ROOT, topics.PONG, topside="topside")
SWITCHING = ((30, 50), (60, 63), (70, 110))


def simulated(seed=1, *, link=None, topside_simulated=None, **direct):
    return Simulation(
        Link(**FAR | (link or {})),
        seed=seed,
        simulated={"offset_ns": -1_234_567_000, "drift_ppm": 18.0},
        topside_simulated=topside_simulated,
        direct=DirectLink(**{"out_ns": jitter(0.1, 0.01), "back_ns": jitter(0.1, 0.01)} | direct),
    )


def paths(published):
    found = []
    for entry in published:
        if found[-1:] != [entry.result.path]:
            found.append(entry.result.path)
    return found


def test_a_far_brokers_bound_becomes_that_of_the_direct_way():
    published = simulated().run(40)
    assert wrong(published) == []
    assert paths(published) == ["mqtt", "udp"]
    assert next(entry for entry in published if entry.result.path == "udp").at_s < 5
    late = [entry.result for entry in published if entry.at_s > 8]
    assert max(result.max_error_ms for result in late) < 0.3
    assert {result.method for result in late} == {UDP.name}
    assert {result.state for result in late} == {"locked"}


@pytest.mark.parametrize("seed", range(tries(4)))
def test_switching_back_and_forth_is_no_step_and_no_result_is_wrong(seed):
    published = simulated(seed, down=SWITCHING).run(130)
    assert wrong(published) == []
    assert paths(published) == ["mqtt", "udp", "mqtt", "udp", "mqtt", "udp", "mqtt", "udp"]
    for before, after in pairwise(entry for entry in published if entry.at_s > 10):
        moved_ms = (after.result.offset_ms - after.true_ms) - (before.result.offset_ms - before.true_ms)
        assert abs(moved_ms) < min(before.result.max_error_ms, after.result.max_error_ms)
    assert max(entry.error_ms for entry in published if entry.at_s > 20) < 0.02


def test_a_lost_path_is_replaced_within_two_seconds_and_used_again():
    simulation = simulated(down=SWITCHING)
    simulation.run(130)
    arrived = {MQTT.name: [], UDP.name: []}
    for exchange in simulation.exchanges():
        raw_ns = exchange.destination_ns - exchange.topside_realtime_minus_raw_ns
        arrived[exchange.method].append((raw_ns - simulation.start_ns) / S)
    for begin, end in SWITCHING:
        assert min(at_s for at_s in arrived[MQTT.name] if at_s > begin + 0.2) < begin + 2
        assert min(at_s for at_s in arrived[UDP.name] if at_s > begin + 0.2) < end + 2
    quiet = [at_s for at_s in arrived[MQTT.name] if 10 < at_s < 30]
    assert 0 < len(quiet) < 20


def test_while_the_broker_refuses_the_answers_to_pings_direct_results_say_so():
    simulation = simulated()
    simulation.broker.refuses.add(PONGS)
    published = simulation.run(20)
    assert wrong(published) == []
    found = {
        (entry.result.path, entry.result.state, entry.result.error) for entry in published if entry.at_s > 8
    }
    assert found == {("udp", "locked", "not_authorized")}


def test_a_tenth_lost_does_not_end_it():
    published = simulated(lost=0.1).run(60)
    assert wrong(published) == []
    assert paths(published) == ["mqtt", "udp"]


def test_it_goes_on_while_the_broker_is_away_and_every_exchange_is_published_after():
    simulation = simulated(link={"down": ((20, 60),)})
    published = simulation.run(80)
    assert wrong(published) == []
    arrived = [
        (each.destination_ns - each.topside_realtime_minus_raw_ns - simulation.start_ns) / S
        for each in simulation.exchanges()
        if each.method == UDP.name
    ]
    assert sum(25 < at_s < 55 for at_s in arrived) > 100
    numbers = sorted(exchange.seq for exchange in simulation.exchanges())
    assert numbers == list(range(numbers[-1] + 1))


@pytest.mark.parametrize("step_ns", [3 * S, -3 * S, 2_000_000])
def test_a_step_of_the_vehicles_clock_is_followed_at_once(step_ns):
    simulation = Simulation(
        Link(**FAR),
        simulated={"offset_ns": 5_000_000, "steps": (Step(20.3, step_ns),)},
        direct=DirectLink(),
    )
    published = simulation.run(40)
    assert wrong(published) == []
    after = [entry for entry in published if entry.at_s > 22]
    assert max(entry.error_ms for entry in after) < 0.3
    assert {entry.result.path for entry in after} == {"udp"}


def test_keys_are_renewed_before_they_end_and_nothing_is_missed(monkeypatch):
    monkeypatch.setattr(agreement, "KEY_S", 15.0)
    simulation = simulated()
    published = simulation.run(90)
    assert wrong(published) == []
    assert paths(published) == ["mqtt", "udp"]
    assert len(simulation.direct.sessions) > 5
    assert len({session.key for _, session in simulation.direct.sessions.values()}) > 5


def test_a_vehicle_that_restarts_is_asked_again():
    simulation = simulated()
    simulation.reboot(20, off_s=5, offset_ns=77_000_000)
    published = simulation.run(50)
    assert wrong(published) == []
    assert published[-1].result.path == "udp"
    assert published[-1].result.boot_id == simulation.vehicle.boot_id


def test_nothing_of_before_a_sleep_of_topside_counts():
    simulation = simulated(topside_simulated={"offset_ns": 0})
    simulation.suspend_topside(20.02, 30)
    published = simulation.run(80)
    assert wrong(published) == []
    assert published[-1].result.path == "udp"


def test_two_vehicles_of_one_name_are_reported_although_one_is_measured_directly():
    simulation = simulated()
    simulation.at(20, lambda: simulation.boots.append(simulation.vehicles["rov1"]))
    simulation.at(20, lambda: simulation.add_vehicle("rov1", Link(**FAR), offset_ns=9 * S))
    simulation.run(60)
    errors = [message.error for message in simulation.results()]
    assert "duplicate_vehicle" in errors
    assert errors[-1] == "duplicate_vehicle"


def test_what_is_recorded_of_both_is_estimated_within_its_bounds():
    simulation = simulated(down=((40, 60),))
    simulation.run(120)
    track = smooth(simulation.exchanges())
    for row in track.rows:
        at_raw_ns = row.topside_unix_ns - simulation.clock.difference_ns
        true_ns = simulation.true_ms(at_raw_ns) * 1e6
        assert row.lower_ns - 1 <= true_ns <= row.upper_ns + 1
    direct = [
        row
        for row in track.rows
        if (row.topside_unix_ns - simulation.clock.difference_ns - simulation.start_ns) / S > 70
    ]
    assert max(row.upper_ns - row.lower_ns for row in direct) < 300_000


def test_of_a_group_only_the_one_that_measures_it_asks_and_its_successor_goes_on():
    simulation = Simulation(settings=TopsideSettings(topside="one", group="g"), direct=DirectLink())
    simulation.add_topside(TopsideSettings(topside="two", group="g"))
    simulation.run(8)
    simulation.add_vehicle("rov1", Link(**FAR), offset_ns=5_000_000)
    simulation.run(30)
    asked = {message.topic.topside for message in requests(simulation)}
    assert len(asked) == 1
    (owner,) = asked
    successor = {"one": "two", "two": "one"}[owner]
    simulation.topsides[owner].machine.on = False
    simulation.topsides[owner].simulated.vanish()
    simulation.run(60)
    assert {message.topic.topside for message in requests(simulation)} == {owner, successor}
    published = simulation.published(topside=successor)
    assert wrong(published) == []
    assert published[-1].result.path == "udp"


def requests(simulation):
    return [message for message in simulation.broker.log if message.topic.kind is topics.UDP_REQUEST]
