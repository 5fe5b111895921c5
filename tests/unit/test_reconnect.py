"""Attempts at a broker: what heals, what does not, and what is hinted at."""

import random

import pytest

from broker.errors import CredentialsError, NotAcceptedError
from broker.reconnect import Ending, ReconnectPolicy
from broker.settings import ConnectionSettings

S = 1_000_000_000
THREE = ConnectionSettings(broker="mqtt://a,mqtt://b,mqtt://c")


def trials(account="rov1"):
    return ReconnectPolicy(ConnectionSettings(broker="mqtt://boat:1883", username=account))


def lost(tried, **more):
    return str(tried.problem(Ending("lost", **more)))


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (1, NotAcceptedError, "does not accept MQTT 3.1.1 (CONNACK 1): allow that version there"),
        (
            2,
            NotAcceptedError,
            "does not accept the client id 'rov1' (CONNACK 2): does it bind ids",
        ),
        (3, NotAcceptedError, "server unavailable (CONNACK 3): it is starting, stopping or full"),
        (4, CredentialsError, "refuses account 'rov1': bad user name or password (CONNACK 4)"),
        (5, CredentialsError, "refuses account 'rov1': not authorized (CONNACK 5"),
        (77, NotAcceptedError, "code 77, which MQTT 3.1.1 does not know"),
    ],
)
def test_each_refusal_says_what_it_means_and_what_to_do(code, kind, words):
    problem = trials().problem(Ending("connection lost", connack=code))
    assert type(problem) is kind
    assert words in str(problem)


def test_short_lived_connections_in_a_row_suggest_a_second_program():
    tried = trials()
    for _ in range(3):
        assert "another program" not in lost(tried)
        tried.ended(S, was_up=True)
    assert "does another program use account 'rov1'?" in lost(tried)
    assert tried.ended(6 * S, was_up=True)
    assert lost(tried) == "broker mqtt://boat:1883: lost"


def test_a_broker_that_ends_every_connection_at_a_subscription_or_a_topic_is_suspected_of_refusing_it():
    tried = trials()
    for _ in range(3):
        tried.ended(S, was_up=True)
    asked = lost(tried, unanswered=["v/rov1/ping/+"], published=["v/rov1/info"])
    assert (
        "when account 'rov1' asks to subscribe to v/rov1/ping/+, or publishes to v/rov1/info: does" in asked
    )
    assert "another program" not in asked
    sent = lost(tried, published=["v/rov1/info", "v/rov1/status", "v/rov1/info"])
    assert "does the broker refuse what was published last, to v/rov1/info, v/rov1/status?" in sent
    assert "another program" in sent


def test_without_an_account_nobody_is_suspected():
    tried = trials(account=None)
    for _ in range(5):
        tried.ended(S, was_up=True)
    assert lost(tried) == "broker mqtt://boat:1883: lost"


def test_only_later_acceptances_are_reconnects():
    tried = trials()
    assert tried.reconnects == 0
    tried.accepted()
    assert tried.reconnects == 0
    tried.accepted()
    assert tried.reconnects == 1


@pytest.mark.parametrize(("password", "hinted"), [(None, True), ("sea-slug", False), ("", False)])
def test_a_refused_account_without_a_password_is_reported_with_that_reason(password, hinted):
    tried = ReconnectPolicy(ConnectionSettings(broker="mqtt://boat:1883", username="rov1", password=password))
    sentence = str(tried.problem(Ending("connection lost", connack=5)))
    assert ("no password was given (TIDESYNC_PASSWORD or --password-file)" in sentence) is hinted


def of_three(seed=1):
    return ReconnectPolicy(THREE, source=random.Random(seed))


def test_several_brokers_are_tried_in_order_from_any_of_them_and_waited_for_after_all():
    tried = of_three()
    hosts, waits = [], []
    for _ in range(6):
        hosts.append(tried.settings.address.host)
        waits.append(tried.wait_s() > 0)
    assert "".join(hosts) in {"abcabc", "bcabca", "cabcab"}
    assert waits == [False, False, True] * 2
    assert {of_three(seed).settings.address.host for seed in range(20)} == set("abc")


def test_the_broker_that_worked_is_tried_again_before_the_next():
    tried = of_three()
    good = tried.settings.address.host
    tried.accepted()
    tried.ended(60 * S, was_up=True)
    tried.wait_s()
    assert tried.settings.address.host == good
    tried.wait_s()
    assert tried.settings.address.host != good


def test_a_broker_that_ends_every_connection_is_left_for_the_next():
    tried = of_three()
    good = tried.settings.address.host
    for _ in range(4):
        assert tried.settings.address.host == good
        tried.accepted()
        tried.ended(S, was_up=True)
        tried.wait_s()
    assert tried.settings.address.host != good


def test_credentials_are_given_up_when_every_broker_refuses_them():
    tried = of_three()
    for last in (False, False, True):
        refused = tried.problem(Ending("connection lost", connack=5))
        assert tried.is_final(refused) is last
        tried.wait_s()


def failed(tried, problem=None):
    problem = problem or tried.problem(Ending("lost"))
    tried.wait_s()
    return [each.address.host for each in tried.reportable(problem)]


def test_a_broker_that_does_not_answer_is_not_waited_for_long_while_another_was_not_tried():
    tried = of_three()
    shares = []
    for _ in range(9):
        shares.append(tried.share)
        tried.wait_s()
    assert shares == [0.3] * 3 + [0.6] * 3 + [1.0] * 3
    tried.accepted()
    assert tried.share == 0.3
    assert trials().share == 1.0


def test_all_were_tried_when_each_has_failed_since_one_was_accepted():
    tried = of_three()
    found = []
    for _ in range(4):
        found.append(tried.tried_all)
        tried.wait_s()
    assert found == [False, False, False, True]
    tried.accepted()
    assert not tried.tried_all


def test_an_address_that_leads_nowhere_is_reported_only_when_no_other_can_be_reached():
    tried = of_three()
    assert failed(tried) == failed(tried) == []
    tried.accepted()
    tried.ended(60 * S, was_up=True)
    good = tried.settings.address.host
    assert failed(tried) == [good]
    assert failed(tried) == failed(tried) == []
    assert sorted(failed(tried)) == ["a", "b", "c"]
    assert failed(trials()) == ["boat"]


def test_a_refusal_by_one_of_several_brokers_is_reported_at_once():
    tried = of_three()
    refused = tried.problem(Ending("connection lost", connack=5))
    assert failed(tried, refused) == [refused.address.host]
