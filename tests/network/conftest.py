"""Fixtures: brokers, and boats on them."""

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from boats import Boat
from brokers import MOSQUITTO, RunningBroker
from recording import FakeTopside, Operator, Place


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.network)


@pytest.fixture(params=["amqtt", "mosquitto"])
def broker(request, tmp_path):
    if request.param == "mosquitto" and MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    running = RunningBroker(request.param, tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def mosquitto(tmp_path):
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    running = RunningBroker("mosquitto", tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def boat(broker):
    with ExitStack() as stack:
        yield Boat(broker.url, stack)


@pytest.fixture
def mosquitto_boat(mosquitto):
    with ExitStack() as stack:
        yield Boat(mosquitto.url, stack)


@pytest.fixture
def mosquitto_with_accounts(tmp_path):
    """The URL of a mosquitto that knows the account rov1, password `right`."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "rov1", "right"], check=True)
    running = RunningBroker("mosquitto", tmp_path, f"allow_anonymous false\npassword_file {passwords}\n")
    running.start()
    yield running.url
    running.stop()


@pytest.fixture
def place(mosquitto, tmp_path):
    made = Place(mosquitto, tmp_path / "root")
    yield made
    made.stop()


@pytest.fixture
def topside(mosquitto):
    fake = FakeTopside(mosquitto.url)
    yield fake
    fake.connection.stop()


@pytest.fixture
def operator(mosquitto):
    made = Operator(mosquitto.url)
    yield made
    made.connection.stop()
