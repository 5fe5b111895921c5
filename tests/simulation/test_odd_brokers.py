"""Brokers that refuse subscriptions, and those that send nothing retained to a wildcard."""

from schemas import topics
from tests.simulation.simulated import ROOT, Simulation, wrong
from tests.simulation.simulated_machines import Link

PONGS = topics.subscription(ROOT, topics.PONG, topside="topside")


def test_results_say_not_authorized_while_the_broker_refuses_topside_the_answers():
    simulation = Simulation(Link.instant())
    simulation.broker.refuses.add(PONGS)
    simulation.run(10)
    last = simulation.results()[-1]
    assert (last.state, last.error, last.offset_ms) == ("unsynced", "not_authorized", None)


def test_an_answer_that_is_only_missing_is_a_timeout():
    simulation = Simulation(Link.instant())
    simulation.broker.refuses.add(topics.subscription(ROOT, topics.PING, vehicle="rov1"))
    simulation.run(10)
    assert simulation.results()[-1].error == "timeout"


def test_a_vehicle_whose_own_topics_are_refused_is_measured_all_the_same():
    simulation = Simulation(Link.instant())
    simulation.broker.refuses |= {
        topics.subscription(ROOT, kind, vehicle="rov1") for kind in (topics.INFO, topics.STATUS)
    }
    assert wrong(simulation.run(10)) == []
    assert simulation.results()[-1].state == "locked"
