"""Home Assistant's discovery through a real broker: it appears, and is gone once the vehicle is forgotten."""

import json

import pytest

from broker.connection import Connection
from broker.interface import Outgoing
from broker.settings import ConnectionSettings
from runtime.clock import SystemClock
from tests.deadline import until

CONFIG = "homeassistant/device/tidesync_rov1/config"
STATUS = "tidesync/v1/vehicle/rov1/status"
OFFSET = "tidesync/v1/vehicle/rov1/offset/topside"


class Newcomer:
    """Sees what a broker has retained: a message of its own comes after all that."""

    def __init__(self, url):
        self.found = {}
        self.all_is_here = False
        self.connection = Connection(ConnectionSettings(broker=url), self, SystemClock(), name="newcomer")
        self.connection.start()

    def connected(self):
        self.connection.subscribe([("homeassistant/#", 1), ("tidesync/#", 1)])
        self.connection.publish(Outgoing("tidesync/newcomer", b"here"))

    def disconnected(self, reason):
        pass

    def received(self, message):
        if message.retain:
            self.found[message.topic] = message.payload
        self.all_is_here |= message.topic == "tidesync/newcomer"

    def tick(self, now):  # noqa: ARG002 - the connection's signature
        return 1.0


def retained(url, topic, there=True):
    """Wait until the broker has, or has not, retained something there; give what it has."""

    def look():
        newcomer = Newcomer(url)
        try:
            until(lambda: newcomer.all_is_here, 10, "the retained messages")
        finally:
            newcomer.connection.stop()
        return newcomer.found

    found = until(lambda: (held := look()) and (topic in held) == there and held, 15, f"{topic}: {there}")
    return found.get(topic)


def clear(url, *names):
    """As `tidesync forget` does."""
    newcomer = Newcomer(url)
    assert newcomer.connection.wait_until_up(60)
    newcomer.connection.stop([Outgoing(name, b"", 1, retain=True) for name in names])


@pytest.fixture
def boat(mosquitto_boat):
    return mosquitto_boat


def test_a_vehicle_appears_and_is_gone_once_it_is_forgotten(boat):
    checker = boat.checker()
    boat.topside(homeassistant_discovery=True, holdover_after_s=0.5)
    vehicle = boat.vehicle("rov1", offset_ns=-3_000_000_000)
    checker.until_state("rov1", "locked")
    document = json.loads(retained(boat.url, CONFIG))
    assert document["state_topic"] == OFFSET
    until(lambda: json.loads(retained(boat.url, OFFSET))["state"] == "locked", what="the locked result")

    clear(boat.url, STATUS)  # it answers: it is not to be forgotten
    assert retained(boat.url, CONFIG)

    vehicle.stop()
    stopped = len(checker.heard)
    until(lambda: retained(boat.url, STATUS) == b"offline", what="its status")
    checker.until_state("rov1", "holdover", after=stopped)
    clear(boat.url, STATUS)
    retained(boat.url, CONFIG, there=False)
    retained(boat.url, OFFSET, there=False)

    heard = len(checker.heard)
    boat.vehicle("rov1", offset_ns=-3_000_000_000)  # it comes back as a new one
    checker.until_state("rov1", "locked", after=heard)
    assert retained(boat.url, CONFIG)


def test_a_vehicle_forgotten_after_topside_was_restarted_is_gone_too(boat):
    checker = boat.checker()
    topside = boat.topside(homeassistant_discovery=True)
    vehicle = boat.vehicle("rov1")
    checker.until_state("rov1", "locked")
    assert retained(boat.url, CONFIG)
    vehicle.stop()
    topside.stop()
    until(lambda: not checker.topside_is_online, 10, "the first topside's end")
    boat.topside(homeassistant_discovery=True)
    until(lambda: checker.topside_is_online, 10, "the new topside")
    clear(boat.url, STATUS)
    retained(boat.url, CONFIG, there=False)
    retained(boat.url, OFFSET, there=False)


def test_a_vehicle_that_the_settings_name_stays(boat):
    checker = boat.checker()
    boat.topside(homeassistant_discovery=True, vehicle=("rov1",), holdover_after_s=0.5)
    vehicle = boat.vehicle("rov1")
    checker.until_state("rov1", "locked")
    vehicle.stop()
    checker.until_state("rov1", "holdover", after=len(checker.heard))
    clear(boat.url, STATUS)
    heard = len(checker.heard)
    until(lambda: len(checker.heard) > heard + 1, 10, "its results to go on")
    assert retained(boat.url, CONFIG)


def test_without_the_setting_nothing_is_published_there(boat):
    checker = boat.checker()
    boat.topside()
    boat.vehicle("rov1")
    checker.until_state("rov1", "locked")
    retained(boat.url, CONFIG, there=False)


def test_a_broker_that_lost_its_retained_messages_gets_them_again(boat, mosquitto):
    checker = boat.checker()
    boat.topside(homeassistant_discovery=True)
    boat.vehicle("rov1")
    checker.until_state("rov1", "locked")
    mosquitto.kill()
    mosquitto.start()
    assert retained(boat.url, CONFIG)
