"""What an agent asks of several connections as one: most of it is that of its account's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.address import BrokerAddress
    from broker.connection import Connection
    from broker.errors import BrokerError, NotAuthorizedError
    from schemas.exchange import StampKind


class OverAccount:
    """The questions of any thread; subclasses set `main` and `pings`, and say which of them carries pings."""

    main: Connection
    pings: Connection

    @property
    def carrier(self) -> Connection:
        """The connection that pings go over now."""
        raise NotImplementedError

    @property
    def failure(self) -> BrokerError | None:
        """Why it ended by itself, once it has."""
        return self.main.failure

    @property
    def up(self) -> bool:
        """Whether the account's connection is."""
        return self.main.up

    @property
    def carries_pings(self) -> bool:
        """Whether pings get through."""
        return self.carrier.up

    @property
    def address(self) -> BrokerAddress:
        """The broker of the account's connection."""
        return self.main.address

    @property
    def reconnects(self) -> int:
        """Of the account's connection."""
        return self.main.reconnects

    @property
    def last_problem(self) -> str | None:
        """That of the account's connection, else why pings go over it."""
        return self.main.last_problem or self._problem_of_pings

    @property
    def refusal(self) -> NotAuthorizedError | None:
        """What the broker refuses to either account."""
        return self.main.refusal or self.pings.refusal

    @property
    def status_text(self) -> str:
        """The state of the account's connection, or why pings go over it."""
        return (None if self.main.last_problem else self._problem_of_pings) or self.main.status_text

    @property
    def _problem_of_pings(self) -> str | None:
        problem = self.pings.last_problem
        if problem is None or not self.main.up or self.carrier is not self.main:
            return None
        return f"pings have no connection of their own: {problem}"

    @property
    def receive_stamp(self) -> StampKind:
        """Where pings and pongs are stamped when they arrive."""
        return self.carrier.receive_stamp

    @property
    def transmit_stamp(self) -> StampKind:
        """Where a one-step timestamp is taken."""
        return self.carrier.transmit_stamp

    def wait_until_up(self, timeout_s: float) -> bool:
        """Whether the account's connection is up within `timeout_s`."""
        return self.main.wait_until_up(timeout_s)

    def wait_until_subscribed(self, timeout_s: float) -> bool:
        """Whether within `timeout_s` all that the account's connection has asked for was answered."""
        return self.main.wait_until_subscribed(timeout_s)

    def wait_until_finished(self, timeout_s: float | None = None) -> bool:
        """Whether the account's connection has ended within `timeout_s`."""
        return self.main.wait_until_finished(timeout_s)
