"""A broker for the length of a test, or a skip where its program is missing."""

from contextlib import contextmanager

import pytest

from tests.network.brokers import MOSQUITTO, RunningBroker


@contextmanager
def running(broker):
    """Start `broker`, and end it whatever happens."""
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def mosquitto_in(folder, *access, kind=RunningBroker):
    """A mosquitto that has yet to be started."""
    need_mosquitto()
    return kind("mosquitto", folder, *access)


def need_mosquitto():
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
