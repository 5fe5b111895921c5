"""The lines of `time_sync/corrected_files.jsonl` as they have to be; one that does not fit is none.

Names of files may have any bytes: InstanceOf takes those that are no UTF-8, as JSON's escapes have them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, InstanceOf, ValidationError, model_validator

from tidesync.sessions.archive.evidence import Evidence

_Name = InstanceOf[str]


@dataclass(slots=True)
class Beginning:
    """What was known of a session before its files were corrected."""

    vehicles: tuple[str, ...]
    """Those that were measured."""
    timed: tuple[str, ...]
    """Those of its files that have a timeline."""
    untimed: tuple[str, ...]
    """Those of its files that have none."""
    failed: tuple[str, ...]
    """Why, and what else is to be said of vehicles; a sentence each."""
    offsets: Evidence
    """Of `offsets.csv`."""
    of: _Name
    """The session's folder, in full."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BeginningLine(_Line):
    """The first line."""

    basis: str
    session: Beginning


class _Malformed(BaseModel):
    line: int
    value: _Name
    reason: _Name


class _Counts(BaseModel):
    """What of the counts of a corrected file is read again; a format has further ones."""

    rows: int
    ok: int
    holdover: int
    ambiguous: int
    outside: int
    malformed: int
    malformed_rows: list[_Malformed]
    hint: _Name | None
    by_order: bool
    max_error_ms: float | None

    @model_validator(mode="after")
    def _has_an_error(self) -> _Counts:
        if self.max_error_ms is None and self.ok + self.holdover:
            raise ValueError("max_error_ms is not stated")
        return self


class KeptReport(_Line):
    """Of a file's report what does not change."""

    action: Literal["corrected", "left", "failed"]
    why: _Name
    reason: _Name
    format: _Name
    columns: tuple[_Name, ...]
    document: dict[str, Any]
    of_what: _Name
    place: _Name
    remarks: tuple[_Name, ...]

    @model_validator(mode="after")
    def _has_counts(self) -> KeptReport:
        if self.action == "corrected":
            _Counts.model_validate(self.document)
        return self


class FileLine(_Line):
    """What became of a file."""

    basis: str
    file: _Name
    output: _Name
    how: _Name
    inputs: dict[_Name, Evidence]
    outputs: dict[_Name, Evidence]
    report: KeptReport


def line_of(content: bytes) -> BeginningLine | FileLine | None:
    """The line; None: it is none."""
    try:
        found = json.loads(content)
        kind = BeginningLine if isinstance(found, dict) and "session" in found else FileLine
        return kind.model_validate(found)
    except (ValidationError, ValueError, RecursionError):
        return None
