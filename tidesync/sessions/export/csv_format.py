"""CSV: the track as `offsets.csv` has it, after comment lines that begin with `#`."""

from __future__ import annotations

import csv
import io
from typing import BinaryIO

from tidesync.sessions.export.fields import FIELDS, NOTES, Tracks, rows_of


def write_csv(tracks: Tracks, stream: BinaryIO) -> None:
    """Write the notes, the fields' descriptions, the header and every row."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    for name, note in (*NOTES.items(), *FIELDS.items()):
        text.write(f"# {name}: {note}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for row in rows_of(tracks):
        writer.writerow(["" if value is None else value for value in row])
    text.detach()
