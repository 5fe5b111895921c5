"""What a complete version of `sync_metadata.json` is.

It is one JSON object in UTF-8 with a newline at its end. It has every key of the consumer's, the consumer's
own extra keys with their values as they were, an object with its five keys for each sensor that was asked
for, and our whole block. It claims no exchange that is not in `exchanges.jsonl` already, and it is not older
than one that was seen before it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.soak_recorder.processes import MISSION, SENSORS, SESSION
from schemas.base import InvalidMessageError
from schemas.metadata import BLOCK_KEY, SensorTimeSync, SessionBlock

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.folder import SessionFolder

_KEYS = (
    "schemaVersion",
    "mission",
    "unifiedSessionTimestamp",
    "createdAt",
    "updatedAt",
    "sensors",
    "timeSync",
)
_TIME_SYNC_KEYS = ("inWater", "surface", "markers", "driftModel", BLOCK_KEY)
_SENSOR_KEYS = ("method", "offsetMs", "uncertaintyMs", "measuredAt", "error")

THEIRS: dict[str, Any] = {
    "fusion": {
        "status": "pending",
        "rows": [1, 1.0, 1e-07, 12345678901234567890123],
        "π": "fünf\ud83d\ude80",
    },
    "operator": None,
}
"""Keys of the consumer's and of nobody's, there before we come."""


def make_theirs(folder: SessionFolder) -> None:
    """A session folder as the consumer has it before ours is started."""
    folder.path.mkdir(parents=True)
    document = {"schemaVersion": 1, "mission": MISSION, "unifiedSessionTimestamp": SESSION, **THEIRS}
    folder.metadata_path.write_text(json.dumps(document, indent=2))


@dataclass
class MetadataWatch:
    """Reads the file again and again; `faults` names what was not complete."""

    folder: SessionFolder
    reads: int = 0
    torn: int = 0
    versions: int = 0
    faults: list[str] = field(default_factory=list)
    _last: bytes = b""
    _updated_at: str = ""

    def look_after_kill(self) -> None:
        """The same, and count a kill that fell between the new file's first byte and its taking the place."""
        self.torn += self._new.exists()
        self.look()

    def wait_for_write(self, timeout_s: float) -> None:
        """Return in the middle of a write, if there is one in time."""
        deadline = time.monotonic() + timeout_s
        while not self._new.exists() and time.monotonic() < deadline:
            pass

    def wait_for_append(self, timeout_s: float) -> None:
        """Return when the journal has just grown, if it does in time."""
        journal = self.folder.exchanges_path
        size, deadline = journal.stat().st_size, time.monotonic() + timeout_s
        while journal.stat().st_size == size and time.monotonic() < deadline:
            pass

    @property
    def _new(self) -> Path:
        path = self.folder.metadata_path
        return path.with_name(f".{path.name}.new")

    def look(self) -> None:
        """Check the file as it is now, if it has changed."""
        self.reads += 1
        content = self.folder.metadata_path.read_bytes()
        if content == self._last:
            return
        self._last = content
        self.versions += 1
        if fault := self._fault(content):
            self.faults.append(f"version {self.versions}: {fault}: {content[:200]!r}")

    def _fault(self, content: bytes) -> str | None:
        try:
            document = json.loads(content)
            fault = _shape_fault(document)
            block = SessionBlock.decode(json.dumps(document["timeSync"][BLOCK_KEY]))
        except (ValueError, KeyError, TypeError, InvalidMessageError) as error:
            return repr(error)
        before, self._updated_at = self._updated_at, document["updatedAt"]
        if not content.endswith(b"}\n"):
            return "no newline at its end"
        if self._updated_at < before:
            return f"older than the {before} seen before it"
        return fault or self._unfounded(block)

    def _unfounded(self, block: SessionBlock) -> str | None:
        claimed = sum(vehicle.exchanges for vehicle in block.vehicles.values())
        there = count_lines(self.folder.path / block.files.exchanges)
        return f"claims {claimed} exchanges of {there}" if claimed > there else None


def count_lines(path: Path) -> int:
    """Whole lines of a file that need not be there."""
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def _shape_fault(document: dict[str, Any]) -> str | None:
    missing = [key for key in _KEYS if document.get(key) is None]
    missing += [f"timeSync.{key}" for key in _TIME_SYNC_KEYS if key not in document["timeSync"]]
    if missing:
        return f"without {', '.join(missing)}"
    if json.dumps({key: document.get(key) for key in THEIRS}) != json.dumps(THEIRS):
        return "keys of the consumer were changed"
    for sensor in SENSORS:
        entry = document["timeSync"][sensor]
        SensorTimeSync.decode(json.dumps(entry))
        if set(entry) != set(_SENSOR_KEYS) or (entry["offsetMs"] is None and entry["error"] is None):
            return f"timeSync.{sensor} is not whole"
    return None
