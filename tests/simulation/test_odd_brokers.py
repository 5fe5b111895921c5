"""Brokers that refuse subscriptions, and those that send nothing retained to a wildcard."""

from schemas import topics
from tests.simulation.simulated import ROOT, Simulation, jitter, wrong
from tests.simulation.simulated_machines import Link
from topside_agent.settings import TopsideSettings

LINK = Link(to_ns=jitter(1, 0.5), from_ns=jitter(1, 0.5))
PONGS = topics.subscription(ROOT, topics.PONG, topside="topside")


def test_results_say_not_authorized_while_the_broker_refuses_topside_the_answers():
    simulation = Simulation(LINK)
    simulation.broker.refuses.add(PONGS)
    simulation.run(10)
    last = simulation.results()[-1]
    assert (last.state, last.error, last.offset_ms) == ("unsynced", "not_authorized", None)


def test_an_answer_that_is_only_missing_is_a_timeout():
    simulation = Simulation(LINK)
    simulation.broker.refuses.add(topics.subscription(ROOT, topics.PING, vehicle="rov1"))
    simulation.run(10)
    assert simulation.results()[-1].error == "timeout"


def test_a_vehicle_whose_own_topics_are_refused_is_measured_all_the_same():
    simulation = Simulation(LINK)
    simulation.broker.refuses |= {
        topics.subscription(ROOT, kind, vehicle="rov1") for kind in (topics.INFO, topics.STATUS)
    }
    assert wrong(simulation.run(10)) == []
    assert simulation.results()[-1].state == "locked"


def without_retained(link=None):
    simulation = Simulation(link)
    simulation.broker.retained_to_wildcards = False
    return simulation


def test_without_retained_messages_a_vehicle_that_was_there_first_is_found_within_seconds():
    simulation = without_retained(LINK)
    simulation.at(20, lambda: simulation.add_topside(TopsideSettings(topside="late")))
    simulation.run(25)
    assert simulation.published("late")[-1].result.state == "locked"
    assert wrong(simulation.published("late")) == []


def test_without_retained_messages_it_is_found_within_a_minute_though_it_may_not_hear_topsides():
    simulation = without_retained(LINK)
    simulation.broker.refuses.add(topics.subscription(ROOT, topics.TOPSIDE_STATUS))
    simulation.at(20, lambda: simulation.add_topside(TopsideSettings(topside="late")))
    simulation.run(64)
    assert simulation.published("late")[-1].result.state == "locked"


def test_vehicles_and_topsides_announce_themselves_once_a_minute_and_when_they_meet():
    simulation = Simulation(LINK)
    simulation.run(300)
    heard = [message for message in simulation.broker.log if message.topic.kind is topics.TOPSIDE_STATUS]
    assert [message.body for message in heard] == ["online"] * 5
    assert len(simulation.status()) in {5, 6}  # a topside that was there before is new at its next minute
    assert len(simulation.infos()) in {5, 6, 7}  # and its clock is found to be free
