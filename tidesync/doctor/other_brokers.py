"""Checks of the brokers that the settings name besides the one in use: whether each would take over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from broker.errors import BrokerUnreachableError
from runtime.logs import broker_log_at
from tidesync.client import Client, is_up
from tidesync.doctor.finding import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from broker.settings import ConnectionSettings
    from tidesync.doctor.finding import Finding

_CONNECT_S = 5.0


def other_brokers(others: Sequence[ConnectionSettings]) -> Iterator[Finding]:
    """One after the other: a broker that binds client ids to accounts disconnects the older of two."""
    for settings in others:
        yield _would_take_over(settings)


def _would_take_over(settings: ConnectionSettings) -> Finding:
    check, address = "another broker", settings.address
    connection = Client(settings, "tidesync-doctor", []).connection
    with broker_log_at(logging.CRITICAL):  # the finding reports it
        connection.start()
        try:
            up = is_up(connection, _CONNECT_S)
        finally:
            connection.stop()
    if up:
        return ok(check, f"{address} answers, and accepts the account")
    problem = connection.failure or connection.problem
    found = str(problem or f"broker {address}: no answer")
    if problem is None or isinstance(problem, BrokerUnreachableError):
        return warn(check, found, "nothing takes over there while it is away; is its address right?")
    return fail(check, found, "it will not take over: give it the same accounts and certificates")
