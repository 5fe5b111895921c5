"""A topside's own results come back to it: known by their bytes, while every other message is decoded."""

import json
from types import SimpleNamespace

import pytest

from bench.cost.in_process import SimulatedFleet
from runtime.clock import Reading
from tests.results import offset_result
from topside_agent.measuring.actions import PublishResult
from topside_agent.measuring.publisher import MessageBuilder, Publisher
from topside_agent.settings import TopsideSettings

TOPIC = "tidesync/v1/vehicle/rov0/offset/laptop"


def test_only_the_last_result_of_a_vehicle_is_known_byte_for_byte():
    sent = []
    mirror = SimpleNamespace(due=lambda *_: (), forget=lambda _: None)
    publisher = Publisher(MessageBuilder("tidesync", "laptop"), lambda *each: sent.extend(each), mirror)
    for exchanges in (7, 8):
        result = offset_result(vehicle="rov0", topside="laptop", exchanges=exchanges)
        publisher.publish({"rov0": [PublishResult(result)]}, Reading(0, 0, 0))
    first, last = (message.payload for message in sent)
    assert publisher.sent_last(TOPIC, last)
    assert not publisher.sent_last(TOPIC, first)
    assert not publisher.sent_last(TOPIC, last + b" ")
    assert not publisher.sent_last(TOPIC.replace("rov0", "rov1"), last)
    publisher.forget("rov0")
    assert not publisher.sent_last(TOPIC, last)


@pytest.mark.parametrize(("instance", "noticed"), [("bench", False), ("another", True)])
def test_a_namesakes_result_is_noticed_among_the_echoes_of_ones_own(instance, noticed):
    simulated = SimulatedFleet(TopsideSettings(topside="laptop", rate=1, burst=8), 1, keeps=True)
    simulated.run(20)
    results = [m.payload for _, m in simulated.published_messages if m.topic == TOPIC]
    assert len(results) > 10
    body = json.loads(results[-1]) | {"instance_id": instance, "exchanges": 1}
    simulated.published_messages.clear()
    simulated._arrives(0, TOPIC, json.dumps(body).encode())
    simulated.run(2)
    errors = {json.loads(m.payload)["error"] for _, m in simulated.published_messages if m.topic == TOPIC}
    assert errors == {"duplicate_topside" if noticed else None}
    assert not simulated.agent.counts().agent.dropped
