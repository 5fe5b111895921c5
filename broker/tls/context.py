"""The TLS context of a connection, and warnings before certificates expire."""

from __future__ import annotations

import _ssl
import ssl
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from broker.errors import CertificateFileError
from schemas.compat import UTC

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from broker.settings import ConnectionSettings


WARN_BEFORE = timedelta(days=30)


def client_context(settings: ConnectionSettings) -> ssl.SSLContext:
    """Verifies the broker's certificate and name; CertificateFileError names the file that cannot be used."""
    context = ssl.create_default_context()
    if settings.ca_file:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # this authority, and not the system's beside it
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _load_authority(context, settings.ca_file)
    if settings.cert_file and settings.key_file:
        _load_own(context, settings.cert_file, settings.key_file)
    return context


def _load_authority(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise CertificateFileError("ca_file", path, "it holds no certificate in PEM") from error
    except OSError as error:
        raise CertificateFileError("ca_file", path, error.strerror or str(error)) from error


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    for setting, path in (("cert_file", certificate), ("key_file", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise CertificateFileError(setting, path, error.strerror or str(error)) from error
    try:
        context.load_cert_chain(certificate, key, password="")  # else it asks at the terminal
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateFileError("key_file", key, f"it is not the key of {certificate}") from error
        if end_of_file(certificate) is None:
            raise CertificateFileError("cert_file", certificate, "it holds no certificate in PEM") from error
        reason = "it holds no key in PEM, or an encrypted one"
        raise CertificateFileError("key_file", key, reason) from error


def expiry_notices(
    peer: Mapping[str, Any] | None, settings: ConnectionSettings, now: datetime | None = None
) -> Iterator[str]:
    """Warnings about the broker's certificate (as `getpeercert` gives it) and our own."""
    now = now or datetime.now(UTC)
    ends = {f"broker {settings.address}: its": end_of(peer or {})}
    if settings.address.tls and settings.cert_file:
        ends[f"our {settings.cert_file}: the"] = end_of_file(settings.cert_file)
    for whose, end in ends.items():
        if notice := expiry_notice(whose, end, now):
            yield notice


def expiry_notice(whose: str, ends: datetime | None, now: datetime) -> str | None:
    """The warning about `whose` certificate (as in "the broker's") that ends at `ends`, both instants aware.

    None while it is good for more than 30 days from `now`, and when its end is unknown.
    """
    if ends is None or ends - now > WARN_BEFORE:
        return None
    what = f"{whose} certificate"
    if ends <= now:
        return f"{what} ended on {ends:%Y-%m-%d}; renew it with `tidesync broker make-certs --renew`"
    days = (ends - now).days
    left = f"in {days} day{'' if days == 1 else 's'}" if days else "within a day"
    return f"{what} ends {left}, on {ends:%Y-%m-%d}; renew it with `tidesync broker make-certs --renew`"


def end_of(certificate: Mapping[str, Any]) -> datetime | None:
    """When a certificate ends, of those that `SSLSocket.getpeercert` gives; None when it does not say."""
    text = certificate.get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC) if text else None


def end_of_file(path: Path) -> datetime | None:
    """When the first certificate in a PEM file ends; None where it is unknown.

    The standard library decodes certificates for its own tests alone; a vehicle has no other way to.
    """
    try:
        return end_of(_ssl._test_decode_cert(path))  # type: ignore[attr-defined]  # noqa: SLF001
    except (AttributeError, OSError, ValueError):
        return None
