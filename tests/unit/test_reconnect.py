"""Attempts at a broker: what heals, what does not, and what is hinted at."""

import pytest

from broker.errors import CredentialsError
from broker.reconnect import ReconnectPolicy
from broker.settings import ConnectionSettings

S = 1_000_000_000


def trials(account="rov1"):
    return ReconnectPolicy(ConnectionSettings(broker="mqtt://boat:1883", username=account))


def test_refused_credentials_are_final_only_before_the_first_success():
    tried = trials()
    tried.refused("Not authorized")
    assert isinstance(tried.verdict("connection lost"), CredentialsError)
    tried.accepted()
    tried.refused("Not authorized")
    assert tried.verdict("connection lost") == "Not authorized"


def test_another_refusal_is_reported_as_the_reason_once():
    tried = trials()
    tried.refused("Server unavailable")
    assert tried.verdict("connection lost") == "Server unavailable"
    assert tried.verdict("connection lost") == "connection lost"


def test_short_lived_connections_in_a_row_suggest_a_second_program():
    tried = trials()
    for _ in range(3):
        assert "another program" not in tried.verdict("lost")
        tried.ended(S, was_up=True)
    assert "does another program use account 'rov1'?" in tried.verdict("lost")
    assert tried.ended(6 * S, was_up=True)
    assert tried.verdict("lost") == "lost"


def test_without_an_account_nobody_is_suspected():
    tried = trials(account=None)
    for _ in range(5):
        tried.ended(S, was_up=True)
    assert tried.verdict("lost") == "lost"


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
    tried.refused("Not authorized")
    sentence = str(tried.verdict("connection lost"))
    assert ("no password was given (TIDESYNC_PASSWORD or --password-file)" in sentence) is hinted
