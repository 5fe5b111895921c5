"""A recorded session as the report reads it: smoothed tracks, events, what the metadata says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from schemas.metadata import FILE_NAME
from tidesync.sessions.recorder import files, metadata
from tidesync.sessions.recorder.events import EventLine, decode_line
from tidesync.sessions.recorder.journal import Stream, decode_exchanges
from topside_agent.estimator import Track, smooth

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from schemas.exchange import Exchange


class NotASessionError(Exception):
    """A folder without anything of a session; the sentence names it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one topside measured of one vehicle: exchanges by topside's realtime, their smoothed track."""

    vehicle: str
    topside: str
    exchanges: list[Exchange]
    track: Track


@dataclass(frozen=True, slots=True)
class Session:
    """Everything the report is made from; `unmeasured` are vehicles asked for of which there is nothing."""

    name: str
    mission: str | None
    block: dict[str, Any]
    """`timeSync.tidesync` of the metadata; empty where there is none."""
    entries: dict[str, dict[str, Any]]
    """The sensors' entries in `timeSync`, as the consumer reads them."""
    measured: list[Measured] = field(default_factory=list)
    events: list[EventLine] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What could not be read, in words."""


def load(folder: Path) -> Session:
    """Read the session in `folder`; NotASessionError where there is none, OSError where it cannot be read."""
    exchanges = files.read(folder / "time_sync" / "exchanges.jsonl")
    content = files.read(folder / FILE_NAME)
    if exchanges is None and content is None:
        raise NotASessionError(
            f"{folder} is no session's folder: neither {FILE_NAME} nor time_sync/exchanges.jsonl is there"
        )
    faults: list[str] = []
    document = _document(content, faults)
    block = metadata.block_of(document)
    measured = _measured(exchanges or b"", _standing(block), faults)
    lines = (files.read(folder / "time_sync" / "events.jsonl") or b"").split(b"\n")
    mission = document.get("mission")
    return Session(
        name=folder.resolve().name,
        mission=mission if isinstance(mission, str) else None,
        block=block,
        entries=_entries(document),
        measured=measured,
        events=[event for line in lines if line.strip() and (event := decode_line(line))],
        unmeasured=_unmeasured(block, {one.vehicle for one in measured}),
        faults=faults,
    )


def _document(content: bytes | None, faults: list[str]) -> dict[str, Any]:
    if content is None:
        faults.append(f"{FILE_NAME} is missing: which sensor belongs to which vehicle is not known.")
        return {}
    try:
        return metadata.parse(content)
    except metadata.NotMetadataError as error:
        faults.append(f"{FILE_NAME} cannot be read ({error}).")
        return {}


def _measured(content: bytes, standing: dict[str, str], faults: list[str]) -> list[Measured]:
    """One for each vehicle and topside; the topside whose result stands in the metadata comes first."""
    exchanges, bad = decode_exchanges(content)
    if bad:
        faults.append(f"{bad} of {bad + len(exchanges)} lines of exchanges.jsonl are no exchanges, left out.")
    by_stream: dict[Stream, list[Exchange]] = {}
    for exchange in exchanges:
        by_stream.setdefault((exchange.vehicle, exchange.topside), []).append(exchange)
    order = sorted(by_stream, key=lambda stream: (stream[0], standing.get(stream[0]) != stream[1], stream[1]))
    return [_smoothed(*stream, by_stream[stream]) for stream in order]


def _smoothed(vehicle: str, topside: str, exchanges: list[Exchange]) -> Measured:
    ordered = sorted(exchanges, key=lambda exchange: exchange.destination_ns)
    return Measured(vehicle, topside, ordered, smooth(exchanges))


def _standing(block: dict[str, Any]) -> dict[str, str]:
    vehicles = block.get("vehicles")
    if not isinstance(vehicles, dict):
        return {}
    return {name: str(one.get("topside")) for name, one in vehicles.items() if isinstance(one, dict)}


def _entries(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = document.get("timeSync")
    sensors: Iterable[tuple[str, Any]] = found.items() if isinstance(found, dict) else ()
    return {name: entry for name, entry in sensors if isinstance(entry, dict) and "offsetMs" in entry}


def _unmeasured(block: dict[str, Any], measured: set[str]) -> list[str]:
    sensors = block.get("sensors")
    asked = set(map(str, sensors.values())) if isinstance(sensors, dict) else set()
    return sorted((asked | set(_standing(block))) - measured)
