"""What the metadata of a session has for its correction."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from schemas.metadata import CORRECTED
from tidesync.sessions.document import NotMetadataError, block_of

if TYPE_CHECKING:
    from tidesync.sessions.folder import SessionFolder

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the metadata of a session has for its correction."""

    sensors: Mapping[str, str] = field(default_factory=dict)
    """Sensor to vehicle."""
    topsides: Mapping[str, str] = field(default_factory=dict)
    """Vehicle to the topside whose result is in `timeSync`."""
    directories: Mapping[str, str] = field(default_factory=dict)
    """Sensor to the name of its folder, where it has one."""
    zones: Mapping[str, str] = field(default_factory=dict)
    """Sensor to the zone of its times, where it is stated."""
    zone: str | None = None
    """The zone of the session's times, where it is stated."""
    corrected: bool = False
    """Whether its tables have topside's times already."""


def read_metadata(folder: SessionFolder) -> Metadata:
    """The metadata of `folder`; empty, with a warning, where it cannot be read."""
    try:
        document = folder.read_metadata() or {}
    except (OSError, NotMetadataError) as error:
        _log.warning("%s cannot be read, give sensors with --sensor: %s", folder.metadata_path, error)
        return Metadata()
    block = block_of(document)
    vehicles = _mapping(block.get("vehicles"))
    topsides = {name: _mapping(entry).get("topside") for name, entry in vehicles.items()}
    sensors = {name: _mapping(entry) for name, entry in _mapping(document.get("sensors")).items()}
    stated = {name: entry.get("vehicle") for name, entry in sensors.items()}
    return Metadata(
        sensors=_texts(stated) | _texts(_mapping(block.get("sensors"))),
        topsides=_texts(topsides),
        directories=_texts({name: entry.get("directory") for name, entry in sensors.items()}),
        zones=_texts({name: _zone_in(entry) for name, entry in sensors.items()}),
        zone=_zone_in(document),
        corrected=block.get(CORRECTED) is True,
    )


def _zone_in(entry: Mapping[str, Any]) -> str | None:
    """The zone that a part of the metadata states under one of its usual names."""
    found = (entry.get(name) for name in ("timezone", "timeZone", "time_zone"))
    return next((zone for zone in found if isinstance(zone, str) and zone), None)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in values.items() if isinstance(value, str)}
