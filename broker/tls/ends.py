"""When certificates end, and the sentence that says so in time; pure but for the reading of a file."""

from __future__ import annotations

import _ssl
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WARN_BEFORE = timedelta(days=30)


def expiry_notice(whose: str, ends: datetime | None, now: datetime) -> str | None:
    """The warning about `whose` certificate (as in "the broker's") that ends at `ends`, both instants aware.

    None while it is good for more than 30 days from `now`, and when nobody knows when it ends.
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
    """When the first certificate in a PEM file ends; None where that cannot be told.

    The standard library decodes certificates for its own tests alone; a vehicle has no other way to.
    """
    try:
        return end_of(_ssl._test_decode_cert(path))  # type: ignore[attr-defined]  # noqa: SLF001
    except (AttributeError, OSError, ValueError):
        return None
