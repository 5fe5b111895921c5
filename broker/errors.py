"""What goes wrong on the way to a broker; each error names the broker and the reason."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.address import BrokerAddress


class BrokerError(Exception):
    """Base of this package's errors.

    BrokerError
    ├── BrokerUnreachableError   refused, no route, time-out, DNS, TLS: may heal, is retried
    ├── CredentialsError         wrong name or password, or not authorised: does not heal by itself
    └── EmbeddedBrokerError      the embedded broker was asked for what it must not do
    """


class BrokerUnreachableError(BrokerError):
    """The broker cannot be reached now; trying again may help."""

    def __init__(self, address: BrokerAddress, reason: str) -> None:
        super().__init__(f"broker {address}: {reason}")
        self.address = address
        self.reason = reason


class CredentialsError(BrokerError):
    """The broker was reached and refuses this account."""

    def __init__(self, address: BrokerAddress, account: str | None, reason: str) -> None:
        who = f"account {account!r}" if account else "a client without an account"
        super().__init__(f"broker {address} refuses {who}: {reason}")
        self.address = address
        self.account = account


class EmbeddedBrokerError(BrokerError):
    """The embedded broker was asked to listen where it must not, or cannot."""


_ERRNO_WORDS = {
    errno.ECONNREFUSED: "connection refused (is it running?)",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
    errno.ECONNRESET: "connection reset while connecting",
    errno.ETIMEDOUT: "timed out",
}


def connect_reason(error: Exception, *, tls: bool) -> str:
    """A short reason, in a reader's words, for a failed connect."""
    reason = str(error) or type(error).__name__
    match error:
        case socket.gaierror():
            reason = f"host name not found (DNS: {error.strerror})"
        case ssl.SSLCertVerificationError():
            reason = f"TLS certificate not accepted ({error.verify_message}); is ca_file the right one?"
        case ssl.SSLError():
            reason = f"TLS failed ({error.reason or error})"
        case ConnectionResetError() if tls:
            reason = "connection reset in the TLS handshake (does this port speak TLS?)"
        case TimeoutError():
            reason = "timed out"
        case OSError(errno=number) if number in _ERRNO_WORDS:
            reason = _ERRNO_WORDS[number]
    return reason
