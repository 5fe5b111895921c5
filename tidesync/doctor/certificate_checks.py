"""The broker's TLS certificate: verified as an agent would, and how long it is good for."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidesync.doctor.finding import fail, ok, skipped, warn

if TYPE_CHECKING:
    from broker.settings import ConnectionSettings
    from tidesync.doctor.finding import Finding

_CHECK = "TLS certificate"
_TIMEOUT_S = 5.0
_SOON_DAYS = 30
_RENEW = "renew it: with one of our own making, `tidesync broker make-certs --renew`"


def certificate_check(settings: ConnectionSettings, now: datetime) -> Finding:
    """Until when the broker's certificate is good, or why it is not accepted."""
    if not settings.address.tls:
        return skipped(_CHECK, "the connection is not encrypted")
    try:
        ends_at = _ends_at(settings)
    except ssl.SSLCertVerificationError as error:
        return fail(_CHECK, f"not accepted: {error.verify_message}", _advice(error.verify_message))
    except OSError as error:
        return skipped(_CHECK, f"it was not shown: {error}")
    return judged(ends_at, now)


def judged(ends_at: datetime, now: datetime) -> Finding:
    """Whether a certificate that is accepted now will be for a while."""
    days = (ends_at - now).total_seconds() / 86_400
    told = f"good until {ends_at:%Y-%m-%d %H:%M}Z, {days:.0f} days from now"
    return warn(_CHECK, told, _RENEW) if days < _SOON_DAYS else ok(_CHECK, told)


def _ends_at(settings: ConnectionSettings) -> datetime:
    context = ssl.create_default_context(cafile=settings.ca_file)
    host, port = settings.address.host, settings.address.port
    with (
        socket.create_connection((host, port), _TIMEOUT_S) as tcp,
        context.wrap_socket(tcp, server_hostname=host) as tls,
    ):
        shown = tls.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)


def _advice(message: str) -> str:
    if "expired" in message:
        return f"{_RENEW}; or is this computer's date wrong?"
    if "not yet valid" in message:
        return "is this computer's date wrong?"
    if "match" in message or "mismatch" in message:
        return "name the broker as the certificate does, or make one that carries this name"
    return "name the authority that signed it with --ca-file"
