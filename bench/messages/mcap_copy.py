"""`python -m bench.messages.mcap_copy FROM TO`: copies an MCAP message by message with the mcap library."""

from __future__ import annotations

import sys
from pathlib import Path

from mcap.reader import NonSeekingReader
from mcap.writer import Writer


def main(source: Path, target: Path) -> None:
    """Read in the order of the file, write with the library's defaults."""
    with source.open("rb") as stream, target.open("wb") as out:
        writer = Writer(out)
        writer.start()
        schemas: dict[int, int] = {}
        channels: dict[int, int] = {}
        reader = NonSeekingReader(stream)
        for schema, channel, message in reader.iter_messages(log_time_order=False):
            if channel.id not in channels:
                if schema is not None and schema.id not in schemas:
                    schemas[schema.id] = writer.register_schema(schema.name, schema.encoding, schema.data)
                of_schema = schemas.get(channel.schema_id, 0)
                channels[channel.id] = writer.register_channel(
                    channel.topic, channel.message_encoding, of_schema, channel.metadata
                )
            writer.add_message(
                channels[channel.id],
                message.log_time,
                message.data,
                message.publish_time,
                message.sequence,
            )
        writer.finish()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
