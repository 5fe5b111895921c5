"""What a broker refuses is said: CONNACK's codes, SUBACK's, and topics at which it ends the connection."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker import echoes
from broker.client import make as make_client_module
from broker.client.plain import PlainClient
from broker.connection import Connection
from broker.errors import CredentialsError, NotAcceptedError
from broker.settings import ConnectionSettings
from broker.subscriptions import REFUSED
from runtime.clock import SystemClock
from tests.command_line import tidesync
from tests.deadline import stays, until
from tests.network.boats import Boat
from tests.network.brokers import MOSQUITTO, RunningBroker
from tests.network.secured import SecuredBroker
from tests.network.test_connection import Quiet, StallingServer
from tests.network.test_doctor import examined

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
            assert connection.wait_until_finished(60)
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
    assert connection.wait_until_subscribed(60)
    assert connection.owner.codes[0] == {"allowed/a": 1, "forbidden/+": REFUSED, "allowed/b/#": 1}
    assert connection.refusal.filters == ("forbidden/+",)
    assert connection.up
    sentence = "refuses a client without an account to subscribe to forbidden/+"
    assert sentence in connection.status_text
    assert sentence in connection.last_problem
    until(lambda: sentence in caplog.text, 5, "the log line")


def test_what_is_granted_after_a_restart_is_refused_no_more(refusing, connect):
    connection = connect(refusing.url, "forbidden/+")
    until(lambda: connection.refusal, 5, "the refusal")
    refusing.stop()
    refusing.allow("#")
    refusing.start()
    until(lambda: connection.reconnects and connection.up, 15, "the connection again")
    assert connection.wait_until_subscribed(60)
    until(lambda: connection.refusal is None, what="no refusal")
    until(lambda: connection.status_text.startswith("connected to"), what="no complaint")


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["session", "list"],
        ["forget", "rov1"],
        ["wait", "--vehicle", "rov1", "--timeout", "6"],
        ["session", "stop", "s1", "--timeout", "6"],
    ],
    ids=" ".join,
)
def test_a_command_that_is_refused_what_it_asks_for_ends_with_1_and_says_so(refusing, command):
    done = tidesync(*command, "--broker", refusing.url)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "refuses a client without an account to subscribe to " in done.stderr


def test_the_doctor_names_the_topics_that_are_refused(refusing):
    findings = examined("--broker", refusing.url, expected=1)
    assert findings["subscriptions"]["verdict"] == "warn"
    assert "tidesync/v1/vehicle/+/status" in findings["subscriptions"]["found"]
    assert findings["vehicles"]["verdict"] == "FAIL"  # whether any is there could not be found out


@pytest.fixture
def secured(tmp_path):
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    made = SecuredBroker(tmp_path)
    made.add("vehicle", "rov1")
    made.add("topside", "laptop")
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("role", ["vehicle", "topside"])
def test_an_agent_of_another_name_than_its_account_says_that_nothing_comes_back(
    secured, role, caplog, monkeypatch
):
    monkeypatch.setattr(echoes, "WAIT_NS", 1_000_000_000)
    with ExitStack() as stack:
        if role == "vehicle":
            agent = Boat(secured.url, stack, **without_broker(secured.account("rov1"))).vehicle("rov7")
            topic = "tidesync/v1/vehicle/rov7/info"
        else:
            settings = without_broker(secured.account("laptop"))
            agent = Boat(secured.url, stack, **settings).topside(topside="other")
            topic = "tidesync/v1/topside/other/status"
        until(lambda: topic in agent.status_text, 15, "the topic of which nothing comes back")
        assert "brings nothing back of what account" in agent.status_text
        until(lambda: agent.status_text in caplog.text, 5, "the log line")


def test_agents_with_accounts_of_their_own_are_refused_nothing(secured, monkeypatch):
    monkeypatch.setattr(echoes, "WAIT_NS", 5_000_000_000)
    with ExitStack() as stack:
        agents = [
            Boat(secured.url, stack, **without_broker(secured.account("rov1"))).vehicle("rov1"),
            Boat(secured.url, stack, **without_broker(secured.account("laptop"))).topside(topside="laptop"),
        ]

        def at_ease():
            return all(agent.status_text.startswith("connected") for agent in agents)

        until(at_ease, 10, "both connected")
        echoes_of = [agent._connection._echoes for agent in agents]
        until(lambda: all(each.last and not each._awaited for each in echoes_of), what="all echoes")
        stays(at_ease, 1, "nothing refused")


def without_broker(account):
    return {key: value for key, value in account.items() if key != "broker"}
