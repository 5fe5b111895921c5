"""Instants as ISO 8601 UTC, converted from and to integer nanoseconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, PlainSerializer, WithJsonSchema

from schemas.base import LATEST_NS
from schemas.compat import UTC

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = _EPOCH + timedelta(microseconds=LATEST_NS // 1000)


def utc_from_ns(unix_ns: int) -> datetime:
    """The UTC datetime `unix_ns` nanoseconds after the Unix epoch, truncated to whole microseconds."""
    return _EPOCH + timedelta(microseconds=unix_ns // 1000)


def ns_from_utc(instant: datetime) -> int:
    """Nanoseconds from the Unix epoch to an aware `instant`, exactly."""
    since = instant - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def iso_utc(instant: datetime) -> str:
    """`2026-05-01T12:00:00.123456Z`: always six decimals, always Z."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def iso_from_ns(unix_ns: int) -> str:
    """`iso_utc` of a count of nanoseconds since the Unix epoch."""
    return iso_utc(utc_from_ns(unix_ns))


def _to_utc(instant: datetime) -> datetime:
    """The instant in UTC, compared first: near the ends of the calendar it cannot be converted."""
    if not _EPOCH <= instant < _LATEST:
        raise ValueError(f"expected an instant from 1970 to 2261, received {instant.isoformat()}")
    return instant.astimezone(UTC)


UtcInstant = Annotated[
    AwareDatetime,
    AfterValidator(_to_utc),
    PlainSerializer(iso_utc, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": r"([Zz]|[+-]\d\d:?\d\d)$"}),
]
"""An instant: ISO 8601 with a time zone; always written with Z."""
