"""TLS as the settings want it: the context of a connection, and what is amiss with its certificates."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from broker.errors import CertificateFileError
from broker.tls.ends import end_of, end_of_file, expiry_notice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from broker.settings import ConnectionSettings


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
