"""MCAP: a channel for each vehicle and topside, JSON messages with a schema, logged at topside's time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO

from tidesync.sessions.export.fields import FIELDS, NOTES, TEXT_FIELDS, Tracks

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_mcap(tracks: Tracks, stream: BinaryIO) -> None:
    """Write a message for every row; schema, channels and file metadata have the notes."""
    from mcap.writer import Writer  # noqa: PLC0415 - only this format needs it

    writer = Writer(stream)
    writer.start(profile="", library="tidesync")
    schema = writer.register_schema("tidesync.Offset", "jsonschema", json.dumps(json_schema()).encode())
    for (vehicle, topside), rows in tracks:
        topic = f"tidesync/offset/{vehicle}/{topside}"
        channel = writer.register_channel(topic, "json", schema, dict(NOTES))
        for sequence, row in enumerate(rows):
            at_ns, message = row.topside_unix_ns, json.dumps(dict(zip(FIELDS, row, strict=True))).encode()
            writer.add_message(channel, at_ns, message, publish_time=at_ns, sequence=sequence)
        del rows
    writer.add_metadata("tidesync", dict(NOTES))
    writer.finish()  # type: ignore[no-untyped-call]


def json_schema() -> Mapping[str, Any]:
    """The schema of a message; integers are ns and need 64 bits."""
    properties: dict[str, dict[str, Any]] = {
        name: {"type": "string" if name in TEXT_FIELDS else "integer", "description": note}
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
