"""A broker that answers subscriptions late, or refuses them at first: a cluster that has just lost a node."""

import threading
from contextlib import ExitStack

import pytest

from broker import subscriptions
from broker.settings import ConnectionSettings
from tests.command_line import tidesync
from tests.deadline import stays, until
from tests.network.boats import Boat
from tests.network.odd_brokers import OddBroker
from tests.network.test_doctor import examined
from tests.network.test_refusals import MOSQUITTO, PLUGIN, RefusingBroker
from tidesync.terminal.listener import Listener


@pytest.fixture
def slow(mosquitto):
    made = OddBroker(mosquitto.port)
    yield made
    made.release()
    made.stop()


def test_no_vehicle_is_denied_before_the_subscription_is_granted(slow, mosquitto):
    outputs = []
    with ExitStack() as stack:
        boat = Boat(mosquitto.url, stack)
        boat.vehicle("rov1")
        topside = boat.topside()
        until(lambda: [each.result for each in topside.counts().vehicles if each.result], 20, "a result")
        slow.hold()
        asking = threading.Thread(target=lambda: outputs.append(tidesync("status", "--broker", slow.url)))
        asking.start()
        until(lambda: slow.held, 30, "a subscription")
        stays(lambda: not outputs, 1, "waiting")
        slow.release()
        asking.join()
    (shown,) = outputs
    assert shown.returncode == 0
    assert "rov1" in shown.stdout


def test_watch_calls_the_broker_there_once_it_has_granted_the_subscription(slow, monkeypatch):
    monkeypatch.setattr(subscriptions, "SLOW_NS", 500_000_000)
    slow.hold()
    listener = Listener(ConnectionSettings(broker=slow.url), "test")
    with listener.listening():
        change = until(lambda: listener.next(0.2), 20, "what the broker does not do")
        assert "does not answer the subscription to tidesync/v1/vehicle/+/status" in change.problem
        assert change.connected
        slow.release()
        change = until(lambda: listener.next(0.2), 20, "the broker")
        assert change.problem is None


def test_a_command_asks_again_for_what_is_refused_for_a_moment(slow):
    slow.refusals = 1
    shown = tidesync("session", "list", "--broker", slow.url)
    assert shown.returncode == 0, shown.stderr
    assert "no session is known" in shown.stdout
    assert slow.refusals == 0


@pytest.fixture
def deaf(tmp_path):
    """mosquitto that refuses vehicles their pings, and nothing else of what this test needs."""
    if MOSQUITTO is None or PLUGIN is None:
        pytest.skip("mosquitto with its dynamic security is not installed")
    root = "tidesync/v1"
    others = ("command", "info", "status", "offset/+", "pong/+", "event", "clock", "exchange/+")
    made = RefusingBroker(
        tmp_path, f"{root}/topside/#", f"{root}/session/#", *(f"{root}/vehicle/+/{each}" for each in others)
    )
    made.start()
    yield made
    made.stop()


def test_a_vehicle_that_is_refused_its_pings_says_so_itself_and_so_do_its_results_and_the_doctor(deaf):
    with ExitStack() as stack:
        boat = Boat(deaf.url, stack)
        pi, topside = boat.vehicle("rov1"), boat.topside()

        def error():
            return [each.result and each.result.error for each in topside.counts().vehicles]

        until(lambda: error() == ["not_authorized"], 30, lambda: f"the result's error ({error()})")
        refused = ("ping", "udp_request")
        topics = tuple(f"tidesync/v1/vehicle/rov1/{kind}/+" for kind in refused)
        until(lambda: pi.health().topics_refused == topics, what="the topics in the vehicle's health")
        finding = examined("--broker", deaf.url, expected=1)["agent of rov1"]
    assert finding["verdict"] == "FAIL"
    assert "tidesync/v1/vehicle/rov1/ping/+" in finding["found"]
