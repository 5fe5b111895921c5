"""Parquet and MCAP, each written by its own library, with the meaning in schema and metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO

from tidesync.sessions.export.meaning import FIELDS, NOTES, Tracks, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topside_agent.estimator import Row

_TEXTS = frozenset({"vehicle", "topside", "state"})


def write_parquet(tracks: Tracks, stream: BinaryIO) -> None:
    """One table; the schema's metadata states sign and error, each field's its own meaning."""
    import pyarrow as pa  # noqa: PLC0415 - only this format needs it
    from pyarrow import parquet  # noqa: PLC0415

    fields = [
        pa.field(
            name,
            pa.string() if name in _TEXTS else pa.int64(),
            nullable=name == "u95_ns",
            metadata={"description": note},
        )
        for name, note in FIELDS.items()
    ]
    schema = pa.schema(fields, metadata=dict(NOTES))
    rows = [dict(zip(FIELDS, row, strict=True)) for row in rows_of(tracks)]
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), stream)


def write_mcap(tracks: Tracks, stream: BinaryIO) -> None:
    """One channel per vehicle and topside, JSON messages with a JSON schema, logged at topside's time."""
    from mcap.writer import Writer  # noqa: PLC0415 - only this format needs it

    writer = Writer(stream)
    writer.start(profile="", library="tidesync")
    schema = writer.register_schema("tidesync.Offset", "jsonschema", json.dumps(json_schema()).encode())
    for (vehicle, topside), rows in tracks.items():
        topic = f"tidesync/offset/{vehicle}/{topside}"
        channel = writer.register_channel(topic, "json", schema, dict(NOTES))
        for sequence, row in enumerate(rows):
            at_ns = row.topside_unix_ns
            writer.add_message(channel, at_ns, _message(row), publish_time=at_ns, sequence=sequence)
    writer.add_metadata("tidesync", dict(NOTES))
    writer.finish()  # type: ignore[no-untyped-call]


def json_schema() -> Mapping[str, Any]:
    """What a message of the MCAP file is; integers are ns and need 64 bits."""
    properties: dict[str, dict[str, Any]] = {
        name: {"type": "string" if name in _TEXTS else "integer", "description": note}
        for name, note in FIELDS.items()
    }
    properties["u95_ns"]["type"] = ["integer", "null"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tidesync.Offset",
        "description": "; ".join(NOTES.values()),
        "type": "object",
        "properties": properties,
        "required": list(FIELDS),
    }


def _message(row: Row) -> bytes:
    return json.dumps(dict(zip(FIELDS, row, strict=True))).encode()
