"""The metadata of a corrected session, pure: no offset is left to apply, no path leads to the originals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.metadata import (
    BLOCK_KEY,
    CONSUMER_SENSORS,
    CORRECTED,
    SCHEMA_VERSION,
    UNSYNCED,
    iso_ms,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tidesync.sessions.document import Document

_OLDER_KEYS = ("method", "offsetMs", "uncertaintyMs", "measuredAt")
_METHOD = "mqtt_exchange_v1"


def corrected_document(
    existing: Document | None,
    source: Path,
    target: Path,
    sensors: Mapping[str, tuple[str, float | None]],
    now: datetime,
) -> Document:
    """The document of the session in `target` that was made from `source`, both absolute.

    `sensors` has of each the name of its folder, and the greatest max error of its rows, ms (None: topside's
    own clock stamped them). What the consumer's fusion had made of the originals is left out.
    """
    document: Document = {
        "schemaVersion": SCHEMA_VERSION,
        "mission": source.parent.name,
        "unifiedSessionTimestamp": source.name.removeprefix("session_"),
        "createdAt": iso_ms(now),
    }
    document |= {key: value for key, value in (existing or {}).items() if key != "fusion"}
    document["updatedAt"] = iso_ms(now)
    entries = _mapping(document.get("sensors"))
    named = {*CONSUMER_SENSORS, *entries, *sensors}
    document["sensors"] = {
        name: _sensor(entries.get(name), sensors[name][0] if name in sensors else None, target)
        for name in sorted(named, key=[*CONSUMER_SENSORS, *entries, *sensors].index)
    }
    document["timeSync"] = _time_sync(_mapping(document.get("timeSync")), source, sensors, now)
    return document


def _time_sync(
    found: Document, source: Path, sensors: Mapping[str, tuple[str, float | None]], now: datetime
) -> Document:
    made: Document = dict.fromkeys(CONSUMER_SENSORS)
    made |= {key: value for key, value in found.items() if key not in _OLDER_KEYS}
    for name, (_, error_ms) in sensors.items():
        if error_ms is not None:
            made[name] = _entry(_mapping(made.get(name)), error_ms, now)
    made["markers"], made["driftModel"] = [], None
    block = _mapping(found.get(BLOCK_KEY))
    made[BLOCK_KEY] = {
        "schema_version": 1,
        CORRECTED: True,
        "source": source.name,
        "session": block.get("session"),
        "sensors": block.get("sensors") or {},
    }
    return made


def _entry(found: Document, error_ms: float, now: datetime) -> Document:
    """No offset is left; how far a corrected time may be off is the uncertainty."""
    method = found.get("method")
    known = isinstance(method, str) and method != UNSYNCED
    return found | {
        "method": method if known else _METHOD,
        "offsetMs": 0,
        "uncertaintyMs": error_ms,
        "measuredAt": found.get("measuredAt") or iso_ms(now),
        "error": None,
    }


def _sensor(found: object, folder: str | None, target: Path) -> Any:
    """A sensor's entry whose paths lead to `target`; None for one without a folder there."""
    if folder is None:
        return None
    entry = _mapping(found)
    paths = {
        "directory": str(target / folder),
        "sessionCsv": _relocated(entry.get("sessionCsv"), folder, target),
    }
    return dict(entry) | paths


def _relocated(value: object, folder: str, target: Path) -> str:
    """A path as it was where it is relative to the session, else the one of the same file in `target`."""
    parts = re.split(r"[\\/]+", value) if isinstance(value, str) and value else [folder, "session.csv"]
    if folder not in parts:
        return str(target / folder / parts[-1])
    return str(target.joinpath(*parts[parts.index(folder) :]))


def _mapping(value: object) -> Document:
    return value if isinstance(value, dict) else {}
