"""The inbox: what it lets through, what it counts, and how seldom it speaks."""

import logging

import pytest

from broker.inbox import Inbox
from broker.interface import Incoming
from runtime.clock import Reading

S = 1_000_000_000


def incoming(topic, payload=b"{", at_s=0, retain=False):
    return Incoming(topic, payload, retain, Reading(at_s * S, 0, 0))


def test_a_valid_message_is_opened():
    letter = Inbox("tidesync").open(incoming("tidesync/v1/vehicle/rov1/status", b"online"))
    assert (letter.topic.vehicle, letter.body) == ("rov1", "online")


@pytest.mark.parametrize(
    ("topic", "reason"),
    [("tidesync/v1/vehicle/rov1/ping/laptop", "invalid"), ("tidesync/v2/x", "topic"), ("other", "topic")],
)
def test_what_cannot_be_opened_is_counted_by_reason(topic, reason):
    inbox = Inbox("tidesync")
    assert inbox.open(incoming(topic)) is None
    assert inbox.dropped == {reason: 1}


def test_a_cleared_retained_message_is_no_fault():
    inbox = Inbox("tidesync")
    assert inbox.open(incoming("tidesync/v1/vehicle/rov1/offset/laptop", b"")) is None
    assert not inbox.dropped


def test_a_peers_rubbish_is_logged_once_a_minute_with_the_number_since(caplog):
    inbox = Inbox("tidesync")
    with caplog.at_level(logging.WARNING):
        for at_s in (0, 1, 30, 59, 61):
            inbox.open(incoming("tidesync/v1/vehicle/rov1/ping/laptop", at_s=at_s))
    assert len(caplog.records) == 2
    assert "and 3 more" in caplog.records[1].getMessage()
    assert inbox.dropped["invalid"] == 5


def test_a_flood_of_new_names_is_counted_but_not_logged_without_end(caplog):
    inbox = Inbox("tidesync")
    with caplog.at_level(logging.WARNING):
        for number in range(1200):
            inbox.open(incoming(f"tidesync/v1/vehicle/rov{number}/status", b"rubbish"))
        assert len(caplog.records) == 1000
        inbox.open(incoming("tidesync/v1/vehicle/late/status", b"rubbish", at_s=61))
    assert "late" in caplog.records[-1].getMessage()
    assert inbox.dropped["invalid"] == 1201
