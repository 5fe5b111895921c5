"""Reconnect policy, pure: exponential backoff with full jitter, and when to give up for good."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from broker.errors import CredentialsError

if TYPE_CHECKING:
    from broker.settings import ConnectionSettings


FIRST_S = 0.25
CAP_S = 3.0
"""A broker that is back is found within this; the jitter spreads the clients of a fleet."""


class Backoff:
    """Waits drawn evenly from 0 to a limit that doubles with each failure ("full jitter")."""

    def __init__(self, source: random.Random | None = None) -> None:
        self._random = source or random.SystemRandom()
        self._failures = 0

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        limit_s = min(CAP_S, FIRST_S * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        return self._random.uniform(0, limit_s)

    def reset(self) -> None:
        """Forget the failures: the connection worked."""
        self._failures = 0


_STABLE_NS = 5_000_000_000
"""A connection that lasted this long was stable."""
_SUSPICIOUS = 3
"""Shorter ones in a row: a broker disconnects one of two programs that share an account or a client id."""
_REFUSED_CREDENTIALS = {"Bad user name or password", "Not authorized"}


class ReconnectPolicy:
    """The state of one process's attempts to connect; `name` is its client id where that is stable."""

    def __init__(self, settings: ConnectionSettings, name: str | None = None) -> None:
        self.reconnects = 0
        self._settings = settings
        self._name = name
        self._backoff = Backoff()
        self._established = False
        self._refusal: str | None = None
        self._short_lived = 0

    def refused(self, reason: str) -> None:
        """The broker refused the connection."""
        self._refusal = reason

    def accepted(self) -> None:
        """The broker accepted the connection."""
        self.reconnects += self._established
        self._established = True

    def ended(self, lasted_ns: int, *, was_up: bool) -> bool:
        """Note the end of a connection; returns whether it lasted long enough to reset the backoff."""
        if lasted_ns > _STABLE_NS:
            self._backoff.reset()
            self._short_lived = 0
            return True
        self._short_lived += was_up
        return False

    def verdict(self, reason: str) -> CredentialsError | str:
        """A permanent failure, or why it is tried again; `reason` is why the connection ended."""
        refusal, self._refusal = self._refusal, None
        account = self._settings.account
        if refusal in _REFUSED_CREDENTIALS and not self._established:
            return CredentialsError(
                self._settings.address, account, refusal.lower() + self._without_password()
            )
        shared = f"account {account!r}" if account else f"the name {self._name!r}" if self._name else None
        if self._short_lived >= _SUSPICIOUS and shared:
            reason += f" again and again (does another program use {shared}? Each needs its own)"
        return refusal or reason

    def _without_password(self) -> str:
        settings = self._settings
        if not settings.account or settings.password is not None or settings.password_file is not None:
            return ""
        return "; no password was given (TIDESYNC_PASSWORD or --password-file)"

    def wait_s(self) -> float:
        """Seconds to wait before the next attempt."""
        return self._backoff.next_s()
