"""Two topsides of one name, each with a clock of its own: both notice it, and stop when one is left."""

from itertools import product

import pytest

from schemas import topics
from tests.effort import few
from tests.simulation.simulated import Simulation, jitter
from tests.simulation.simulated_machines import Link, S, VehicleClock
from topside_agent.settings import TopsideSettings

AHEAD_NS = 40 * S


def jittery(**changes):
    return Link(jitter(1, 0.5), jitter(1, 0.5), **changes)


def another_laptop(simulation, link=None, **settings):
    """A second topside of the name `topside`, whose clock is far from the first one's."""
    clock, simulation.topside_clock = (
        simulation.topside_clock,
        VehicleClock(simulation.clock, offset_ns=AHEAD_NS),
    )
    try:
        return simulation.add_topside(TopsideSettings(**settings), link)
    finally:
        simulation.topside_clock = clock


def by_process(simulation, from_s=0.0, to_s=float("inf")):
    found = {}
    for message in simulation._messages(topics.OFFSET, "topside", "rov1"):
        if from_s <= message.at_s < to_s:
            found.setdefault(message.body.instance_id, []).append(message.body)
    return found


LINKS = {"local": None, "remote": jittery(), "lossy": jittery(lost=0.2)}


@pytest.mark.parametrize(("link", "ending"), few(product(LINKS, ["power cut", "stop"])))
def test_both_namesakes_say_so_and_neither_is_locked_until_one_has_gone(link, ending):
    simulation = Simulation(jittery())
    first, others = simulation.topside, []
    simulation.at(20, lambda: others.append(another_laptop(simulation, LINKS[link])))
    simulation.at(40, lambda: power_cut(others[0]) if ending == "power cut" else others[0].stop())
    simulation.run(60)
    assert {result.error for each in by_process(simulation, 0, 20).values() for result in each} == {None}
    together = by_process(simulation, 23, 40)
    assert len(together) == 2
    for results in together.values():
        assert len(results) > 15
        assert {result.error for result in results} == {"duplicate_topside"}
        assert "locked" not in {result.state for result in results}
    (left,) = by_process(simulation, 47).values()
    assert {(result.state, result.error) for result in left} == {("locked", None)}
    assert left[0].instance_id == first._namesakes.instance_id


def power_cut(agent):
    agent.machine.on = False
    agent.simulated.vanish()


def test_the_second_one_is_hardly_ever_locked():
    simulation = Simulation(jittery())
    simulation.at(20, lambda: another_laptop(simulation))
    simulation.run(40)
    locked = [
        message
        for message in simulation._messages(topics.OFFSET, "topside", "rov1")
        if message.at_s > 20 and message.body.state == "locked" and message.body.error is None
    ]
    assert {message.at_s < 21.5 for message in locked} <= {True}


@pytest.mark.parametrize("off_s", few([0.5, 0.0, 9.0, 3.0]))
def test_a_topside_that_restarts_is_no_namesake_of_itself(off_s):
    simulation = Simulation(jittery(), topside_link=jittery())
    first = simulation.topside
    simulation.at(20, lambda: power_cut(first))
    simulation.at(20 + off_s, lambda: simulation.add_topside(simulation.settings, jittery()))
    simulation.run(45)
    assert len(by_process(simulation)) == 2
    assert {result.error for each in by_process(simulation).values() for result in each} <= {None, "timeout"}
    (last,) = by_process(simulation, 35).values()
    assert {result.state for result in last} == {"locked"}


def test_a_late_will_of_the_process_before_does_not_leave_the_topside_offline():
    simulation = Simulation(jittery(), topside_link=jittery())
    first = simulation.topside
    simulation.at(20, lambda: power_cut(first))
    simulation.at(21, lambda: simulation.add_topside(simulation.settings, jittery()))
    simulation.run(45)
    assert simulation.broker.retained["tidesync/v1/topside/topside/status"][0] == b"online"


@pytest.mark.parametrize("keeps_retained", [True, False])
def test_a_broker_that_restarts_makes_no_namesake(keeps_retained):
    simulation = Simulation(jittery(), topside_link=jittery())
    for after_s in (10, 20, 23):
        simulation.broker.restart(after_s, keeps_retained=keeps_retained)
    simulation.run(40)
    (results,) = by_process(simulation).values()
    assert "duplicate_topside" not in {result.error for result in results}


def test_namesakes_that_the_broker_disconnects_by_turns_notice_each_other():
    """As with one account at a broker that binds the client id to it: they are never connected together."""
    simulation = Simulation(jittery())
    first, others = simulation.topside, []
    simulation.at(10, lambda: others.append(another_laptop(simulation)))

    def turn(number=0):
        connections = [first.simulated, others[0].simulated]
        up, down = connections[number % 2], connections[1 - number % 2]
        down.end("connection lost")
        up._connect()
        simulation.after(1.0, lambda: turn(number + 1))

    simulation.at(10.001, turn)
    simulation.run(40)
    for results in by_process(simulation, 18, 40).values():
        assert "duplicate_topside" in {result.error for result in results}
        assert "locked" not in {result.state for result in results}
