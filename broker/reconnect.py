"""Reconnect policy, pure: exponential backoff with full jitter, and when to give up for good."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from broker.errors import BrokerUnreachableError, CredentialsError, connack_error, connect_error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from broker.address import BrokerAddress
    from broker.errors import BrokerError
    from broker.settings import ConnectionSettings


FIRST_S = 0.25
CAP_S = 3.0
"""A broker that is back is found within this; the jitter spreads the clients of a fleet."""

CONNECT_S, CONNACK_S = 5.0, 10.0
"""The longest that an address may take to accept TCP (and TLS), and the broker there to answer CONNECT."""
_HURRY = 0.3
"""The share of these that each of several brokers has at first; it doubles when all have been tried."""


_MOST_LISTED = 5


class Backoff:
    """Waits drawn evenly from 0 to a limit that doubles with each failure ("full jitter"), in seconds."""

    def __init__(
        self, source: random.Random | None = None, *, first_s: float = FIRST_S, cap_s: float = CAP_S
    ) -> None:
        self._random = source or random.SystemRandom()
        self._first_s, self._cap_s = first_s, cap_s
        self._failures = 0

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        limit_s = min(self._cap_s, self._first_s * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        return self._random.uniform(0, limit_s)

    def reset(self) -> None:
        """Forget the failures: the connection worked."""
        self._failures = 0


STABLE_NS = 5_000_000_000
"""A connection that lasted this long was stable."""
_SUSPICIOUS = 3
"""Shorter ones in a row: a broker disconnects one of two programs that share an account or a client id."""


class Ending(NamedTuple):
    """How a connection ended, or why it was not made."""

    reason: str
    connack: int | None = None
    """The code by which it was refused."""
    alert: ssl.SSLError | None = None
    unanswered: Sequence[str] = ()
    """Filters that were asked for and not answered."""
    published: Sequence[str] = ()
    """The topics published last."""


class ReconnectPolicy:
    """The state of one process's attempts to connect; `name` is its client id where that is stable.

    Of several brokers the first to be tried is drawn, then they follow in order; one that has worked is tried
    again before the next.
    """

    def __init__(
        self, settings: ConnectionSettings, name: str | None = None, source: random.Random | None = None
    ) -> None:
        self.reconnects = 0
        self._each = settings.alternatives
        self._at = (source or random.SystemRandom()).randrange(len(self._each))
        self._worked = False
        self._tried = 0
        self._refused: set[int] = set()
        self._unreachable: list[BrokerError] = []
        self._name = name
        self._backoff = Backoff(source)
        self.avoided: Callable[[], BrokerAddress | None] = lambda: None
        """An address that is not tried while there is another: that of a second connection."""
        self.established = False
        """Whether the broker has accepted a connection: refused credentials are final before that only."""
        self._short_lived = 0

    @property
    def settings(self) -> ConnectionSettings:
        """Those of the broker that is tried or used now."""
        return self._each[self._at]

    @property
    def share(self) -> float:
        """Of `CONNECT_S` and `CONNACK_S`, what this attempt may take: the next broker must not wait long."""
        count = len(self._each)
        return 1.0 if count == 1 else min(1.0, _HURRY * 2 ** min(self._tried // count, 10))

    @property
    def tried_all(self) -> bool:
        """Whether every broker has failed since one was last accepted."""
        return self._tried >= len(self._each)

    def step_aside(self) -> None:
        """An attempt begins: pass over the address that is avoided."""
        if self.settings.address == self.avoided():
            self._at = (self._at + 1) % len(self._each)

    def accepted(self) -> None:
        """The broker accepted the connection."""
        self.reconnects += self.established
        self.established = True
        self._worked = not self.suspicious
        self._tried = 0
        self._refused.clear()
        self._unreachable.clear()

    def is_final(self, problem: BrokerError) -> bool:
        """Whether to give up: every broker has refused the credentials, and none ever took them."""
        if isinstance(problem, CredentialsError):
            self._refused.add(self._at)
        return not self.established and len(self._refused) == len(self._each)

    def ended(self, lasted_ns: int, *, was_up: bool) -> bool:
        """Note the end of a connection; returns whether it lasted long enough to reset the backoff."""
        if lasted_ns > STABLE_NS:
            self._backoff.reset()
            self._short_lived = 0
            return True
        self._short_lived += was_up
        return False

    @property
    def suspicious(self) -> bool:
        """Whether no connection has lasted lately."""
        return self._short_lived >= _SUSPICIOUS

    def problem(self, ending: Ending) -> BrokerError:
        """What ended the connection, or kept it from being made, and what to do."""
        settings = self.settings
        if ending.connack is not None:
            client_id, hint = settings.account or self._name, self._without_password()
            return connack_error(
                settings.address, settings.account, ending.connack, client_id=client_id, hint=hint
            )
        if ending.alert is not None:
            return connect_error(settings.address, ending.alert)
        reason = ending.reason
        suspicion = self._suspicion(ending) if self.suspicious else None
        if suspicion:
            reason += f" again and again{suspicion}"
        return BrokerUnreachableError(settings.address, reason)

    def _suspicion(self, ending: Ending) -> str | None:
        """Why no connection lasts: a broker has no words for a forbidden topic in MQTT 3.1.1, and ends it."""
        account, name = self.settings.account, self._name
        last = _listed(list(dict.fromkeys(ending.published)))
        if ending.unanswered:
            who = f"account {account!r}" if account else "a client without an account"
            did = f"asks to subscribe to {_listed(ending.unanswered)}" + (
                f", or publishes to {last}" if last else ""
            )
            return f", when {who} {did}: does the broker's access list lack that?"
        shared = f"account {account!r}" if account else f"the name {name!r}" if name else None
        causes = [f"does another program use {shared}? Each needs its own"] if shared else []
        if last:
            causes.append(f"does the broker refuse what was published last, to {last}?")
        return f" ({'; or '.join(causes)})" if causes else None

    def _without_password(self) -> str:
        settings = self.settings
        if not settings.account or settings.password is not None or settings.password_file is not None:
            return ""
        return "; no password was given (TIDESYNC_PASSWORD or --password-file)"

    def wait_s(self) -> float:
        """Seconds to wait before the next attempt, which is at the next broker unless this one has worked."""
        if self._worked:
            self._worked = False
            return self._backoff.next_s()
        self._at = (self._at + 1) % len(self._each)
        self._tried += 1
        return 0.0 if self._tried % len(self._each) else self._backoff.next_s()

    def reportable(self, problem: BrokerError) -> Sequence[BrokerError]:
        """What to log, after `wait_s`: addresses that cannot be reached only once every one was tried.

        Of several addresses of one broker some may lead nowhere, and need not.
        """
        if not isinstance(problem, BrokerUnreachableError):
            return (problem,)
        self._unreachable.append(problem)
        if self._tried % len(self._each):
            return ()
        reported, self._unreachable = self._unreachable, []
        return reported


def _listed(topics: Sequence[str]) -> str:
    return ", ".join(topics[:_MOST_LISTED]) + (", …" if len(topics) > _MOST_LISTED else "")
