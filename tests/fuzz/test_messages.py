"""Messages of every topic: refused or taken, into the real agents too; an honest vehicle is measured."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.interface import Incoming
from schemas import topics
from schemas.base import InvalidMessageError
from tests.fuzz.altered import budget, payloads
from tests.simulation.simulated import Simulation, wrong
from tests.simulation.test_both_agents import jittery
from tests.unit import contracts
from tests.unit.dashboards import LONG_AGO, incoming, reading, result
from tests.unit.test_dashboard_api import Bench

KINDS = [kind for kind in topics.TOPICS if kind.payload]
VALID = {kind.name: json.loads(contracts.VALID[kind.name].encode()) for kind in KINDS}
NAMES = {"vehicle": "rov2", "topside": "laptop", "session": "s1"}


def topic_of(kind, **names):
    levels = {level for level in NAMES if f"{{{level}}}" in kind.template}
    return topics.build("tidesync", kind, **{level: (NAMES | names)[level] for level in levels})


def messages(**names):
    """(topic, payload, retained) of any kind."""
    return st.sampled_from(KINDS).flatmap(
        lambda kind: st.tuples(st.just(topic_of(kind, **names)), payloads(VALID[kind.name]), st.booleans())
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_payload_is_taken_or_refused(kind):
    @budget(40)
    @given(payloads(VALID[kind.name]))
    def check(payload):
        with suppress(InvalidMessageError):
            kind.decode(payload)

    check()


@budget(6)
@given(st.lists(messages(topside="topside"), min_size=1, max_size=30))
def test_agents_go_on_and_an_honest_vehicle_is_measured_right(forged):
    simulation = Simulation(jittery(), simulated={"drift_ppm": 20.0})
    simulation.add_vehicle("rov2", jittery(), drift_ppm=-5.0)
    for number, (topic, payload, retain) in enumerate(forged):
        forge = lambda topic=topic, payload=payload, retain=retain: simulation.broker.forge(  # noqa: E731
            topic, payload, 1, retain=retain
        )
        simulation.at(2 + number * 0.21, forge)
    simulation.run(12)
    published = simulation.published()
    assert wrong(published) == []
    assert published[-1].result.state == "locked"


@budget(40)
@given(st.lists(messages(), min_size=1, max_size=8))
def test_the_dashboard_answers_whatever_is_retained(heard):
    bench = Bench()
    bench.hear(incoming(result("rov1")))
    bench.hear(*(Incoming(topic, payload, retain, reading(LONG_AGO)) for topic, payload, retain in heard))
    for path in ("/api/vehicles", "/api/sessions", "/health"):
        assert bench.get(path).status_code == 200
    assert bench.get("/api/vehicles").json()["vehicles"][0]["vehicle"] == "rov1"
