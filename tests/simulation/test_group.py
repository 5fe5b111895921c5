"""Topsides that share a fleet, the real agents: no vehicle is lost, no result wrong, bounds stay narrow."""

import pytest

from schemas import topics
from tests.effort import few, tries
from tests.simulation.simulated import Simulation, jitter, wrong
from tests.simulation.simulated_machines import Link, S, VehicleClock
from topside_agent.group.ownership import ranked
from topside_agent.settings import TopsideSettings

NAMES = ("north", "mid", "south")
WEIGHTS = dict.fromkeys(NAMES, 1.0)
VEHICLES = tuple(f"rov{number}" for number in range(1, 5))


def jittery(**changes):
    return Link(to_ns=jitter(1, 0.5), from_ns=jitter(1, 0.5), **changes)


def settings(name, **changes):
    return TopsideSettings(topside=name, group="fleet", **changes)


def owner_of(vehicle, names=NAMES):
    return ranked("fleet", vehicle, dict.fromkeys(names, 1.0))[0]


def fleet(names=NAMES, *, seed=1, apart=False, vehicles=VEHICLES):
    """Topsides of a group beside the broker, `apart` on a machine each; vehicles behind jittery links."""
    simulation = Simulation(seed=seed, settings=settings(names[0]))
    for name in names[1:]:
        add(simulation, name, apart=apart)
    for number, vehicle in enumerate(vehicles):
        simulation.add_vehicle(
            vehicle, jittery(), offset_ns=(number - 2) * 7 * S, drift_ppm=30.0 - 11 * number
        )
    return simulation


def add(simulation, name, *, apart=False, link=None, **changes):
    shared = simulation.topside_clock
    if apart:
        simulation.topside_clock = VehicleClock(simulation.clock, offset_ns=3 * S, drift_ppm=40.0)
    agent = simulation.add_topside(settings(name, **changes), link)
    simulation.topside_clock = shared
    return agent


def kill(simulation, name):
    agent = simulation.topsides[name]
    agent.machine.on = False
    agent.simulated.vanish()


def measured(simulation, vehicle, from_s, to_s):
    """Who has made an exchange with it in that time, by the results that rest on a fresh one."""
    return {
        message.topic.topside
        for message in simulation.broker.log
        if message.topic.kind is topics.OFFSET
        and message.topic.vehicle == vehicle
        and from_s <= message.at_s < to_s
        and message.body is not None
        and message.body.age_s == 0
    }


def all_published(simulation):
    """The results of topsides on the simulation's own machine: the truth is known by its clock."""
    own = [name for name, agent in simulation.topsides.items() if agent._clock is simulation.clock]
    return [entry for name in own for v in VEHICLES for entry in simulation.published(name, v)]


def fresh_retained(simulation, vehicle):
    """The topsides whose retained results say locked."""
    found = []
    for name in simulation.topsides:
        topic = topics.build("tidesync", topics.OFFSET, vehicle=vehicle, topside=name)
        payload, _ = simulation.broker.retained.get(topic, (b"", 0))
        if payload and topics.OFFSET.decode(payload).state == "locked":
            found.append(name)
    return found


def test_each_vehicle_has_one_owner_within_10_s_and_the_others_publish_nothing_of_it():
    simulation = fleet()
    simulation.run(20)
    counted = [{each.vehicle for each in a.counts().vehicles} for a in simulation.topsides.values()]
    assert counted == [{v for v in VEHICLES if owner_of(v) == name} for name in simulation.topsides]
    parts = [agent.counts().group for agent in simulation.topsides.values()]
    assert {(part.group, part.members, part.held) for part in parts} == {("fleet", 3, 0)}
    assert sum(part.taken - part.given for part in parts) == sum(part.standby for part in parts) == 4
    for vehicle in VEHICLES:
        assert measured(simulation, vehicle, 10, 20) == {owner_of(vehicle)}
        assert fresh_retained(simulation, vehicle) == [owner_of(vehicle)]
    assert wrong(all_published(simulation)) == []


def bounds(simulation, vehicle, from_s, to_s, topsides=NAMES):
    return [
        entry.result.max_error_ms
        for name in topsides
        for entry in simulation.published(name, vehicle)
        if from_s <= entry.at_s < to_s and entry.result.state == "locked"
    ]


@pytest.mark.parametrize("seed", range(tries(1)))
def test_who_is_killed_is_taken_over_from_within_5_s_and_the_bound_is_hardly_wider(seed):
    simulation = fleet(seed=seed)
    victim = owner_of("rov1")
    simulation.at(40, lambda: kill(simulation, victim))
    simulation.run(60)
    left = [name for name in NAMES if name != victim]
    for vehicle in VEHICLES:
        heir = owner_of(vehicle, left)
        assert measured(simulation, vehicle, 50, 60) == {heir}
        if owner_of(vehicle) == victim:
            again = [e for e in simulation.published(heir, vehicle) if e.at_s > 40]
            assert again[0].at_s < 45
            before = max(bounds(simulation, vehicle, 30, 40))
            assert max(bounds(simulation, vehicle, 40, 60, [heir])) < 2 * before
            assert again[0].result.state == "locked"
    assert wrong(all_published(simulation)) == []


def test_on_another_machine_nothing_of_the_offset_is_taken_over_and_nothing_is_wrong():
    simulation = fleet(("north", "south"), apart=True)
    simulation.at(40, lambda: kill(simulation, "south"))
    simulation.run(60)
    assert wrong(all_published(simulation)) == []
    for vehicle in VEHICLES:
        assert measured(simulation, vehicle, 46, 60) == {"north"}


@pytest.mark.parametrize("seed", range(tries(1)))
def test_who_comes_is_given_its_vehicles_once_it_is_locked_and_none_goes_unmeasured(seed):
    simulation = fleet(("north", "south"), seed=seed)
    simulation.at(30, lambda: add(simulation, "mid"))
    simulation.run(60)
    for vehicle in VEHICLES:
        assert measured(simulation, vehicle, 40, 60) == {owner_of(vehicle)}
        locked = [
            entry.at_s
            for name in NAMES
            for entry in simulation.published(name, vehicle)
            if entry.at_s > 10 and entry.result.state == "locked"
        ]
        assert max(b - a for a, b in zip(sorted(locked), sorted(locked)[1:], strict=False)) < 1.6
        assert fresh_retained(simulation, vehicle) == [owner_of(vehicle)]
    assert wrong(all_published(simulation)) == []


def test_who_stops_orderly_clears_its_results_and_membership_and_is_followed_at_once():
    simulation = fleet()
    simulation.at(30, simulation.topsides["mid"].stop)
    simulation.run(45)
    assert not [
        topic
        for topic, _ in simulation.broker.retained.items()
        if topic.endswith(("/mid/member", "/offset/mid"))
    ]
    left = ("north", "south")
    for vehicle in VEHICLES:
        assert measured(simulation, vehicle, 33, 45) == {owner_of(vehicle, left)}
    assert wrong(all_published(simulation)) == []


def stop_for(simulation, name, from_s, for_s):
    """SIGSTOP, and SIGCONT: the clock goes on, and the broker ends a connection that is silent."""

    def stop():
        agent = simulation.topsides[name]
        agent.machine.asleep_until_ns = simulation.clock.now_ns + round(for_s * S)
        agent.simulated.stall(for_s)

    simulation.at(from_s, stop)


@pytest.mark.parametrize("for_s", few([12.0, 4.0]))
def test_who_was_stopped_for_a_while_gets_its_vehicles_back_and_is_not_doubled_for_long(for_s):
    simulation = fleet()
    victim = owner_of("rov1")
    stop_for(simulation, victim, 20, for_s)
    simulation.run(50)
    back_s = 20 + for_s
    for vehicle in VEHICLES:
        assert (
            measured(simulation, vehicle, 24.5, back_s)
            == {owner_of(vehicle, [name for name in NAMES if name != victim])}
            or for_s < 6
        )
        if for_s > 6:  # it knows that the others have taken its vehicles
            assert victim not in measured(simulation, vehicle, back_s + 0.5, back_s + 3)
        assert measured(simulation, vehicle, back_s + 10, 50) == {owner_of(vehicle)}
    assert wrong(all_published(simulation)) == []


def test_the_later_of_two_of_one_name_stops_and_the_first_is_not_disturbed():
    simulation = fleet()
    first = simulation.topsides["mid"]
    simulation.at(30, lambda: add(simulation, "mid"))
    simulation.run(60)
    second = simulation.topsides["mid"]
    assert second is not first
    assert second.failure.exit_code == 2
    assert "'mid' is running already" in str(second.failure)
    assert first.failure is None
    results = [r for v in VEHICLES for r in simulation.results("mid", v)]
    assert {r.instance_id for r in results} == {first._namesakes.instance_id}
    assert {(r.state, r.error) for r in results if r.state != "acquiring"} == {("locked", None)}
    for vehicle in VEHICLES:
        assert measured(simulation, vehicle, 15, 60) == {owner_of(vehicle)}
    assert simulation.broker.retained["tidesync/v1/topside/mid/status"][0] == b"online"


def test_two_of_one_name_that_start_together_leave_one():
    simulation = fleet(("north",))
    for _ in range(2):
        simulation.at(10, lambda: add(simulation, "mid"))
    simulation.run(40)
    agents = [c._callbacks for c in simulation.broker.connections if "mid" in c.name]
    assert sorted(agent.failure is None for agent in agents) == [False, True]
    for vehicle in VEHICLES:
        assert measured(simulation, vehicle, 25, 40) == {owner_of(vehicle, ("north", "mid"))}


def test_what_a_killed_process_left_of_vehicles_that_are_anothers_now_is_cleared_when_it_is_back():
    simulation = fleet()
    simulation.at(12, lambda: kill(simulation, "mid"))
    simulation.at(13, lambda: add(simulation, "late"))
    simulation.at(28, lambda: add(simulation, "mid"))
    names = (*NAMES, "late")
    assert [v for v in VEHICLES if owner_of(v) == "mid" and owner_of(v, names) == "late"]
    simulation.run(27)
    assert any(len(fresh_retained(simulation, vehicle)) == 2 for vehicle in VEHICLES)
    simulation.run(45)
    for vehicle in VEHICLES:
        assert fresh_retained(simulation, vehicle) == [owner_of(vehicle, names)]
    assert wrong(all_published(simulation)) == []


def test_while_a_machine_sleeps_the_other_one_measures_and_gives_back_what_was_taken():
    simulation = Simulation(settings=settings("north"), topside_simulated={"drift_ppm": 20.0})
    awake = simulation.topside_clock
    simulation.topside_clock = simulation.clock
    simulation.add_topside(settings("south"))
    simulation.topside_clock = awake
    for number, vehicle in enumerate(VEHICLES):
        simulation.add_vehicle(vehicle, jittery(), offset_ns=number * S)
    simulation.suspend_topside(20, 12)
    simulation.run(55)
    for vehicle in VEHICLES:
        assert measured(simulation, vehicle, 24.5, 32) == {"south"}
        assert measured(simulation, vehicle, 44, 55) == {owner_of(vehicle, ("north", "south"))}
    assert {owner_of(vehicle, ("north", "south")) for vehicle in VEHICLES} == {"north", "south"}
    assert wrong(all_published(simulation)) == []


def test_who_is_cut_off_takes_nothing_of_the_others():
    simulation = fleet(("north", "south"))
    add(simulation, "mid", link=Link.instant(down=((20, 26.5),)))
    simulation.run(45)
    for vehicle in VEHICLES:
        owner = owner_of(vehicle)
        heir = owner_of(vehicle, ("north", "south"))
        assert measured(simulation, vehicle, 25, 26) == {heir}
        assert measured(simulation, vehicle, 26.6, 29) == {heir}, (
            "what it had sent meanwhile has come by then"
        )
        assert measured(simulation, vehicle, 26, 45) == {owner, heir}
        assert measured(simulation, vehicle, 37, 45) == {owner}
    assert wrong(all_published(simulation)) == []
