"""CSV: the track as `offsets.csv` has it. What its columns mean is in a file beside it.

That file is metadata of CSV on the Web (W3C), which tools look for as NAME.csv-metadata.json; to most readers
a comment in the table itself would be its header.
"""

from __future__ import annotations

import json
from typing import BinaryIO

from tidesync.sessions.export.fields import FIELDS, NOTES, TEXT_FIELDS, Tracks
from tidesync.sessions.folder import writing_table

NOTES_SUFFIX = "-metadata.json"
"""Of the file beside the table."""


def write_csv(tracks: Tracks, stream: BinaryIO) -> None:
    """Write the header and every row; absent is empty."""
    with writing_table(stream) as add:
        for name, rows in tracks:
            add(name, rows)
            del rows


def csv_notes(file_name: str) -> bytes:
    """What the table of that name means: its sign, its errors, and each column."""
    columns = [
        {
            "name": name,
            "titles": name,
            "datatype": "string" if name in TEXT_FIELDS else "long",
            "dc:description": note,
        }
        for name, note in FIELDS.items()
    ]
    document = {
        "@context": "http://www.w3.org/ns/csvw",
        "url": file_name,
        "notes": [dict(NOTES)],
        "tableSchema": {"columns": columns},
    }
    return json.dumps(document, indent=2).encode() + b"\n"
