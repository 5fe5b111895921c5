"""What goes wrong on the way to a broker; each error names the broker and the reason."""

from __future__ import annotations

import errno
import socket
import ssl
from datetime import datetime
from typing import TYPE_CHECKING

from paho.mqtt.client import WebsocketConnectionError

from runtime.errors import TidesyncError
from schemas.compat import UTC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from broker.address import BrokerAddress


CONNECT_ERRORS = (OSError, ValueError, LookupError, WebsocketConnectionError, MemoryError)
"""Of an attempt to connect; LookupError for what paho makes of a WebSocket answer that it cannot parse."""
_MOST_SHOWN = 5


class BrokerError(TidesyncError):
    """Base of this package's errors.

    BrokerError
    ├── BrokerUnreachableError   refused, no route, time-out, DNS, TLS: may heal, is retried
    ├── CertificateError         a certificate, the broker's or ours, is not accepted: does not heal by itself
    ├── CertificateFileError     a certificate or key file that cannot be used
    ├── PasswordFileError        a password file that cannot be read
    ├── CredentialsError         wrong name or password, or not authorised: does not heal by itself
    ├── NotAcceptedError         another refusal of the connection (CONNACK 1 to 3): may heal, is retried
    ├── NotAuthorizedError       the account may connect, and not subscribe to some of what it needs
    ├── UnansweredError          the broker does not answer a subscription: may heal
    ├── AccountsError            broker.accounts: accounts that cannot be changed, read or written as asked
    └── EmbeddedBrokerError      the embedded broker was asked for what it must not do
    """


class BrokerUnreachableError(BrokerError):
    """The broker cannot be reached now; trying again may help."""

    exit_code = 1

    def __init__(self, address: BrokerAddress, reason: str) -> None:
        super().__init__(f"broker {address}: {reason}")
        self.address = address
        self.reason = reason


class CertificateError(BrokerError):
    """One end does not accept the other's certificate; agents retry: a clock or a file may be corrected."""

    def __init__(self, address: BrokerAddress, reason: str) -> None:
        super().__init__(f"broker {address}: {reason}")
        self.address = address


class CertificateFileError(BrokerError):
    """A file that the settings name is not a certificate or key."""

    def __init__(self, setting: str, path: Path, reason: str) -> None:
        super().__init__(f"{setting} {path}: {reason}")
        self.setting = setting
        self.path = path


class PasswordFileError(BrokerError):
    """The password file cannot be read, or holds no text."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"password_file {path}: {reason}")
        self.path = path


class CredentialsError(BrokerError):
    """The broker was reached and refuses this account."""

    def __init__(self, address: BrokerAddress, account: str | None, reason: str) -> None:
        super().__init__(f"broker {address} refuses {_who(account)}: {reason}")
        self.address = address
        self.account = account


class NotAcceptedError(BrokerError):
    """The broker was reached and refuses the connection, whatever the account."""

    exit_code = 1

    def __init__(self, address: BrokerAddress, code: int, reason: str) -> None:
        super().__init__(f"broker {address}: {reason}")
        self.address = address
        self.code = code


class NotAuthorizedError(BrokerError):
    """The broker refuses this account `filters` to subscribe to, or drops what it publishes to `topics`."""

    exit_code = 1

    def __init__(
        self,
        address: BrokerAddress,
        account: str | None,
        filters: Sequence[str],
        topics: Sequence[str] = (),
    ) -> None:
        refused = f"refuses {_who(account)} to subscribe to {_listed(filters)}" if filters else ""
        dropped = (
            f"brings nothing back of what {_who(account)} publishes to {_listed(topics)}" if topics else ""
        )
        what = " and ".join(filter(None, (refused, dropped)))
        super().__init__(
            f"broker {address} {what}: its access list lacks that, or it takes no such topic;"
            " `tidesync broker` writes an access list that has it"
        )
        self.address = address
        self.account = account
        self.filters = tuple(filters)
        self.topics = tuple(topics)


class UnansweredError(BrokerError):
    """The broker has accepted the connection, and does not answer its subscriptions."""

    exit_code = 1

    def __init__(self, address: BrokerAddress, filters: Sequence[str]) -> None:
        super().__init__(
            f"broker {address} does not answer the subscription to {_listed(filters)}: nothing comes until it"
            " does; a cluster that has just lost a node may take half a minute"
        )
        self.address = address
        self.filters = tuple(filters)


class EmbeddedBrokerError(BrokerError):
    """The embedded broker was asked to listen where it must not, or cannot."""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_SHOWN]) + (", …" if len(names) > _MOST_SHOWN else "")


def _who(account: str | None) -> str:
    return f"account {account!r}" if account else "a client without an account"


_ERRNO_WORDS = {
    errno.ECONNREFUSED: "connection refused (is it running?)",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
    errno.ECONNRESET: "connection reset while connecting",
    errno.ETIMEDOUT: "timed out",
}


_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME = {62, 64}
"""OpenSSL's verification errors (X509_V_ERR_…)."""
_ALERTS = {
    "CERTIFICATE_REQUIRED": "it asks for a certificate of ours (cert_file and key_file)",
    "HANDSHAKE_FAILURE": "TLS failed; does it ask for a certificate of ours (cert_file and key_file)?",
    "UNKNOWN_CA": "our certificate is not accepted: it is of another authority (cert_file)",
    "CERTIFICATE_EXPIRED": "our certificate is not accepted: it has expired by its clock (cert_file)",
    "CERTIFICATE_REVOKED": "our certificate is not accepted: it has been revoked (cert_file)",
    "BAD_CERTIFICATE": "our certificate is not accepted (cert_file)",
}
"""TLS alerts from the broker, by the end of OpenSSL's name."""


_CREDENTIALS = {
    4: "bad user name or password (CONNACK 4)",
    5: "not authorized (CONNACK 5: check the name, the password, and that the account may connect)",
}
_NOT_ACCEPTED = {
    1: "it does not accept MQTT 3.1.1 (CONNACK 1): allow that version there, or use another broker",
    2: "it does not accept the client id{client_id} (CONNACK 2): does it bind ids to accounts, or is another"
    " connection of that id still there?",
    3: "server unavailable (CONNACK 3): it is starting, stopping or full (max_connections); look at its log",
}
"""What the return codes of MQTT 3.1.1 mean (section 3.2.2.3), and what to do."""


def connack_error(
    address: BrokerAddress, account: str | None, code: int, *, client_id: str | None = None, hint: str = ""
) -> BrokerError:
    """The error for a CONNACK with return code `code`, not 0; `hint` is added to refused credentials."""
    if code in _CREDENTIALS:
        return CredentialsError(address, account, _CREDENTIALS[code] + hint)
    unknown = f"it refuses the connection with code {code}, which MQTT 3.1.1 does not know"
    reason = _NOT_ACCEPTED.get(code, unknown)
    return NotAcceptedError(address, code, reason.format(client_id=f" {client_id!r}" if client_id else ""))


def connect_error(address: BrokerAddress, error: Exception, *, ca_file: Path | None = None) -> BrokerError:
    """The error for a failed connect, or for a TLS alert after it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateError(address, f"certificate not accepted: {_unverified(address, error, ca_file)}")
    if isinstance(error, ssl.SSLError):
        for alert, sentence in _ALERTS.items():
            if (error.reason or "").endswith(f"ALERT_{alert}"):
                return CertificateError(address, sentence)
    return BrokerUnreachableError(address, connect_reason(error, tls=address.tls))


def _unverified(address: BrokerAddress, error: ssl.SSLCertVerificationError, ca_file: Path | None) -> str:
    now = f"by this computer's clock ({datetime.now(UTC):%Y-%m-%d %H:%M} UTC)"
    match error.verify_code:
        case code if code in _OTHER_NAME:
            return f"it is not issued for {address.host}"
        case code if code == _EXPIRED:
            return f"it has expired {now}; renew it, or set the clock"
        case code if code == _NOT_YET_VALID:
            return f"it is not valid yet {now}; set the clock"
    advice = "is ca_file the right one?" if ca_file else "no ca_file is given: name the CA's certificate"
    return f"{error.verify_message}; {advice}"


def connect_reason(error: Exception, *, tls: bool) -> str:
    """A short reason in plain words for a failed connect."""
    reason = str(error) or type(error).__name__
    match error:
        case socket.gaierror():
            reason = f"host name not found (DNS: {error.strerror})"
        case ssl.SSLError():
            reason = f"TLS failed ({error.reason or error})"
        case ConnectionResetError() if tls:
            reason = "connection reset in the TLS handshake (does this port speak TLS?)"
        case TimeoutError():
            reason = "timed out"
        case OSError(errno=number) if number in _ERRNO_WORDS:
            reason = _ERRNO_WORDS[number]
    return reason
