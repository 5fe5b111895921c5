"""`sync_metadata.json`, pure: what is there and what is ours, merged so that nobody else's key is lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.metadata import (
    BLOCK_KEY,
    CONSUMER_SENSORS,
    SCHEMA_VERSION,
    SensorTimeSync,
    SessionBlock,
    iso_ms,
)
from tidesync.sessions.document import Document, block_of, same

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from schemas.base import Message


@dataclass(frozen=True, slots=True)
class Part:
    """What we have to say about a session."""

    mission: str
    block: SessionBlock
    entries: Mapping[str, SensorTimeSync] = field(default_factory=dict)


def merge(existing: Document | None, part: Part, now: datetime) -> Document | None:
    """`existing` with our part in it, or None when there is nothing to write.

    Keys that we do not know stay as they are, in their order; `updatedAt` moves only with something else.
    """
    merged = dict(existing or {})
    merged |= {key: value for key, value in _required(part, now).items() if merged.get(key) is None}
    merged["timeSync"] = _time_sync(merged["timeSync"], part)
    if existing is not None and same(merged, existing):
        return None
    merged["updatedAt"] = iso_ms(now)
    return merged


def _required(part: Part, now: datetime) -> Document:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "mission": part.mission,
        "unifiedSessionTimestamp": part.block.session,
        "createdAt": iso_ms(now),
        "updatedAt": iso_ms(now),
        "sensors": dict.fromkeys(CONSUMER_SENSORS),
        "timeSync": {},
    }


def _time_sync(found: object, part: Part) -> Document:
    existing: Document = found if isinstance(found, dict) else {}
    merged = dict.fromkeys(CONSUMER_SENSORS) | {"markers": [], "driftModel": None}
    merged = dict(existing) | {key: value for key, value in merged.items() if key not in existing}
    for sensor, entry in part.entries.items():
        merged[sensor] = _entry(merged.get(sensor), entry)
    block, ours = block_of({"timeSync": existing}), _json(part.block)
    before = block.get("drift_model")
    if ours["drift_model"] is None:
        ours["drift_model"] = before  # of an earlier stop: still what we wrote
    elif merged["driftModel"] in (None, before):
        merged["driftModel"] = ours["drift_model"]
    merged[BLOCK_KEY] = block | ours
    if found is not None and not isinstance(found, dict):
        merged[BLOCK_KEY]["replaced_time_sync"] = found
    return merged


def _entry(found: object, entry: SensorTimeSync) -> Document:
    """Ours over what is there; but a measurement, whoever made it, is not replaced by none."""
    existing: Document = found if isinstance(found, dict) else {}
    if entry.offset_ms is None and existing.get("offsetMs") is not None:
        return existing
    return existing | _json(entry)


def _json(model: Message) -> Document:
    return model.model_dump(mode="json", by_alias=True)
