"""How a table is written, as far as a user states it: options of a command, and keys of `tidesync.toml`.

`[correct]` in the file has what applies to every table, `[correct."in-water_1/session.csv"]` what applies to
the one of this path within the session. Options of the command line come before both.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TableSettings(BaseModel):
    """The settings of one table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field("timestamp", min_length=1)
    unit: Literal["iso", "s", "ms", "us", "ns"] | None = None
    zone: str | None = None
    time_format: str | None = None
    columns: str | None = None
    decimal: str = "."
    since: str | None = None
    resolution_ms: float | None = None
    instrument_clock: str | None = None
    sample_clock_ppm: float = Field(100.0, ge=0, le=10_000)
    header_line: int | None = Field(None, ge=1)
    comment: str = ""
    no_header: bool = False
