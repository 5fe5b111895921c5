"""What topside logs of a vehicle whose name two processes answer to: a warning, once, without numbers."""

import logging
from types import SimpleNamespace

import pytest

from runtime.clock import Reading
from tests.results import offset_result
from topside_agent.measuring.actions import PublishResult
from topside_agent.measuring.publisher import MessageBuilder, Publisher

S = 1_000_000_000


@pytest.fixture
def published(caplog):
    """Publishes a result at a second of RAW; returns what was logged of it."""
    caplog.set_level(logging.INFO)
    mirror = SimpleNamespace(due=lambda *_: (), forget=lambda _: None)
    publisher = Publisher(MessageBuilder("tidesync", "laptop"), lambda *_: True, mirror)

    def publish(at_s, **fields):
        caplog.clear()
        result = offset_result(vehicle="rov1", topside="laptop", **fields)
        publisher.publish({"rov1": [PublishResult(result)]}, Reading(at_s * S, 0, 0))
        return [(record.levelname, record.getMessage()) for record in caplog.records]

    return publish


def test_a_duplicate_vehicle_is_a_warning_once_and_names_the_remedy(published):
    (locked,) = published(0)
    assert (locked[0], "max error" in locked[1]) == ("INFO", True)
    warned, stated = published(1, state="acquiring", error="duplicate_vehicle")
    assert warned[0] == "WARNING"
    for words in ("two processes answer to the name rov1", "tidesync pi --vehicle NAME"):
        assert words in warned[1]
    assert stated == ("INFO", "rov1 is acquiring (duplicate_vehicle)")
    assert published(2, state="acquiring", error="duplicate_vehicle") == []
    again = published(3, state="holdover", error="duplicate_vehicle")
    assert [level for level, _ in again] == ["INFO"]


def test_the_duplicate_that_is_there_from_the_start_is_warned_of_too(published):
    assert published(0, state="acquiring", error="duplicate_vehicle")[0][0] == "WARNING"


def test_a_duplicate_topside_is_the_presences_to_warn_of(published):
    assert [level for level, _ in published(0, state="acquiring", error="duplicate_topside")] == ["INFO"]
