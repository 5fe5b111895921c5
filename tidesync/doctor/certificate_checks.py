"""Checks of certificates: the broker's, verified as an agent would, and our own; when they expire."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from broker.errors import CertificateFileError
from broker.tls.context import WARN_BEFORE, client_context, end_of, end_of_file
from tidesync.doctor.finding import fail, ok, skipped, warn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from broker.settings import ConnectionSettings
    from tidesync.doctor.finding import Finding

_BROKER, _CLIENT = "TLS certificate", "our certificate"
_TIMEOUT_S = 5.0
_RENEW = "renew it: with one of our own making, `tidesync broker make-certs --renew`"
_EXPIRED = f"{_RENEW}; or is this computer's date wrong?"


def certificate_checks(settings: ConnectionSettings, now: datetime) -> Iterator[Finding]:
    """When the broker's certificate expires, or why it is not accepted; ours, if there is one."""
    if not settings.address.tls:
        yield skipped(_BROKER, "the connection is not encrypted")
        return
    yield _broker_certificate(settings, now)
    if settings.cert_file:
        yield expiry(_CLIENT, end_of_file(settings.cert_file), now)


def expiry(check: str, ends_at: datetime | None, now: datetime) -> Finding:
    """Whether a certificate is valid for a while yet."""
    if ends_at is None:
        return skipped(check, "it does not say when it expires")
    validity = (
        f"good until {ends_at:%Y-%m-%d %H:%M}Z, {(ends_at - now).total_seconds() / 86_400:.0f} days from now"
    )
    if ends_at <= now:
        return fail(
            check, f"it expired on {ends_at:%Y-%m-%d}", f"{_RENEW}; or is this computer's date wrong?"
        )
    return warn(check, validity, _RENEW) if ends_at - now <= WARN_BEFORE else ok(check, validity)


def _broker_certificate(settings: ConnectionSettings, now: datetime) -> Finding:
    host, port = settings.address.host, settings.address.port
    try:
        context = client_context(settings)
        with (
            socket.create_connection((host, port), _TIMEOUT_S) as tcp,
            context.wrap_socket(tcp, server_hostname=host) as tls,
        ):
            return expiry(_BROKER, end_of(tls.getpeercert() or {}), now)
    except CertificateFileError as error:
        return fail(_BROKER, str(error), "name files that hold a certificate and its key, in PEM")
    except ssl.SSLCertVerificationError as error:
        return fail(_BROKER, f"not accepted: {error.verify_message}", _advice(error.verify_message))
    except OSError as error:
        return skipped(_BROKER, f"the broker presented none: {error}")


def _advice(message: str) -> str:
    if "expired" in message:
        return _EXPIRED
    if "not yet valid" in message:
        return "is this computer's date wrong?"
    if "match" in message or "mismatch" in message:
        return "name the broker as the certificate does, or make one that carries this name"
    return "name the authority that signed it with --ca-file"
