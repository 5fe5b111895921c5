"""The formats of `tidesync export`; a further one is a module with a writer, and an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO, NamedTuple

from tidesync.sessions.export.csv_format import NOTES_SUFFIX, csv_notes, write_csv
from tidesync.sessions.export.fields import Tracks
from tidesync.sessions.export.mcap_format import write_mcap
from tidesync.sessions.export.parquet_format import write_parquet
from tidesync.sessions.export.xdf_format import write_xdf_offsets

__all__ = ["FORMATS", "NOTES_SUFFIX", "Format"]


class Format(NamedTuple):
    """How a track is written."""

    file_name: str
    """In `time_sync/`, where no other path is given."""
    write: Callable[[Tracks, BinaryIO], None]
    notes: Callable[[str], bytes] | None = None
    """What a file of that name means, for a second one, NAME and `NOTES_SUFFIX`; None: it says so."""


FORMATS: Mapping[str, Format] = {
    "csv": Format("track.csv", write_csv, csv_notes),
    "parquet": Format("track.parquet", write_parquet),
    "xdf-offsets": Format("track.xdf-offsets.json", write_xdf_offsets),
    "mcap": Format("track.mcap", write_mcap),
}
"""By the value of `--format`."""
