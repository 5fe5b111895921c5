"""What a broker refuses is said: CONNACK's codes, SUBACK's, and topics at which it ends the connection."""

import json
from pathlib import Path

import pytest

from broker.client import make as make_client_module
from broker.client.plain import PlainClient
from broker.connection import Connection
from broker.errors import CredentialsError, NotAcceptedError
from broker.settings import ConnectionSettings
from broker.subscriptions import REFUSED
from runtime.clock import SystemClock
from tests.deadline import until
from tests.network.brokers import MOSQUITTO, RunningBroker
from tests.network.test_connection import Quiet, StallingServer

PLUGIN = next(Path("/usr").glob("lib*/**/mosquitto_dynamic_security.so"), None)
"""mosquitto's access list that refuses a subscription; its ACL file grants every one, and sends nothing."""


@pytest.fixture
def connect():
    made = []

    def make(url, *filters, owner=None, **settings):
        owner = owner or Quiet(*filters)
        connection = Connection(ConnectionSettings(broker=url, **settings), owner, SystemClock(), name="test")
        owner.connection = connection
        connection.owner = owner
        made.append(connection)
        connection.start()
        return connection

    yield make
    for connection in made:
        connection.stop()


@pytest.fixture(params=["stamping", "plain"])
def either_client(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(make_client_module, "client_class", lambda: PlainClient)
    return request.param


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 9])
def test_each_connack_is_said_with_what_to_do(connect, either_client, code):
    server = StallingServer(bytes((0x20, 2, 0, code)))
    try:
        connection = connect(f"mqtt://127.0.0.1:{server.port}", username="rov1", password="x")
        problem = until(lambda: connection.failure or connection.problem, 10, "a problem")
        if code in {4, 5}:
            assert isinstance(problem, CredentialsError)
            assert connection.wait_until_finished(5)
        elif either_client == "stamping":
            assert isinstance(problem, NotAcceptedError)
            assert problem.code == code
        else:  # paho alone hides some
            assert "MQTT 3.1.1" in str(problem) or f"CONNACK {code}" in str(problem)
        if code not in {4, 5}:
            until(lambda: server.accepted >= 2, 10, "another attempt")
    finally:
        server.stop()


class RefusingBroker(RunningBroker):
    """mosquitto with its dynamic security: anyone may publish, and subscribe to `allowed` alone."""

    def __init__(self, folder, *allowed):
        rules = folder / "dynamic-security.json"
        super().__init__(
            "mosquitto",
            folder,
            f"allow_anonymous true\nplugin {PLUGIN}\nplugin_opt_config_file {rules}\n",
        )
        self._rules = rules
        self.allow(*allowed)

    def allow(self, *filters):
        """Takes effect at a start."""
        access = dict.fromkeys(("publishClientSend", "publishClientReceive", "unsubscribe"), True)
        acls = [
            {"acltype": "subscribePattern", "topic": name, "priority": 0, "allow": True} for name in filters
        ]
        document = {
            "defaultACLAccess": access | {"subscribe": False},
            "clients": [],
            "groups": [{"groupname": "all", "roles": [{"rolename": "some"}]}],
            "roles": [{"rolename": "some", "acls": acls}],
            "anonymousGroup": "all",
        }
        self._rules.write_text(json.dumps(document))


@pytest.fixture
def refusing(tmp_path):
    if MOSQUITTO is None or PLUGIN is None:
        pytest.skip("mosquitto with its dynamic security is not installed")
    made = RefusingBroker(tmp_path, "allowed/#")
    made.start()
    yield made
    made.stop()


class Asking(Quiet):
    """Asks for filters, and keeps the codes."""

    def __init__(self, *filters):
        super().__init__(*filters)
        self.codes = []

    def connected(self):
        self.connection.subscribe([(name, 1) for name in self.filters], self.codes.append)


@pytest.mark.usefixtures("either_client")
def test_a_refused_subscription_is_named_with_its_topic_and_account(refusing, connect, caplog):
    connection = connect(refusing.url, owner=Asking("allowed/a", "forbidden/+", "allowed/b/#"))
    assert connection.wait_until_subscribed(5)
    assert connection.owner.codes == [{"allowed/a": 1, "forbidden/+": REFUSED, "allowed/b/#": 1}]
    assert connection.refusal.filters == ("forbidden/+",)
    assert connection.up
    for text in (connection.status_text, connection.last_problem, caplog.text):
        assert "refuses a client without an account to subscribe to forbidden/+" in text


def test_what_is_granted_after_a_restart_is_refused_no_more(refusing, connect):
    connection = connect(refusing.url, "forbidden/+")
    until(lambda: connection.refusal, 5, "the refusal")
    refusing.stop()
    refusing.allow("#")
    refusing.start()
    until(lambda: connection.up and connection.wait_until_subscribed(1), 15, "the connection again")
    assert connection.refusal is None
    assert connection.status_text.startswith("connected to")
