"""Fixtures: brokers, and boats on them."""

import subprocess
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from broker.client.make import FORCE_PLAIN, client_class
from tests.network.boats import Boat
from tests.network.brokers import RunningBroker
from tests.network.recording import FakeTopside, Operator, Place
from tests.network.running import mosquitto_in, need_mosquitto, running


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.network)


@pytest.fixture(params=["amqtt", "mosquitto"])
def broker(request, tmp_path):
    kinds = {"amqtt": partial(RunningBroker, "amqtt"), "mosquitto": mosquitto_in}
    with running(kinds[request.param](tmp_path)) as started:
        yield started


@pytest.fixture
def mosquitto(tmp_path):
    with running(mosquitto_in(tmp_path)) as started:
        yield started


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
    need_mosquitto()
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "rov1", "right"], check=True)
    access = f"allow_anonymous false\npassword_file {passwords}\n"
    with running(mosquitto_in(tmp_path, access)) as started:
        yield started.url


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


@pytest.fixture
def plain_client(monkeypatch):
    """This process and its children use the plain client, as with a paho that was not tested."""
    monkeypatch.setenv(FORCE_PLAIN, "1")
    client_class.cache_clear()
    yield
    client_class.cache_clear()
