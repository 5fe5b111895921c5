"""Stamps within messages of ROS: the time of a header that a message begins with, where its schema says so.

Of `ros2msg` schemas a first field `std_msgs/Header` or `builtin_interfaces/Time`, in little-endian CDR; of
`ros1msg` ones `Header` or `time`. Such stamps have a fixed place and size, so payloads are not decoded.

Assumption: they are of the clock of the recorder; one later than the log time is not, and has no answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from mcap.opcode import Opcode
from mcap.records import Channel, Schema

from tidesync.sessions.messages.mcap_block import PAYLOAD_AT
from tidesync.sessions.messages.mcap_records import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.correction.unexplained import Flags
    from tidesync.sessions.messages.mcap_block import Definition, McapBlock, Placed
    from topside_agent.estimator.blocks import Integers

NONE = -1
"""The place of a stamp that a message does not have."""
_S = 1_000_000_000
_HEADERS = {"std_msgs/Header", "std_msgs/msg/Header", "Header"}
_TIMES = {"builtin_interfaces/Time", "builtin_interfaces/msg/Time"}
_ENCODINGS = {"ros2msg": "cdr", "ros1msg": "ros1"}


class MessageStamps:
    """Where the stamps of each channel are, as far as its definition has been learnt."""

    def __init__(self, definitions: Iterable[Definition] = ()) -> None:
        self._schemas: dict[int, tuple[str, int]] = {}
        self._channels: dict[int, tuple[str, int]] = {}
        for each in sorted(definitions, key=lambda each: each.opcode):
            self.learn(each)

    def learn(self, definition: Definition) -> None:
        """Take a schema or a channel."""
        if definition.opcode == Opcode.SCHEMA:
            schema = parsed(Schema, definition.record[9:])
            if (place := _place(schema)) is not None:
                self._schemas[definition.number] = _ENCODINGS[schema.encoding], place
        else:
            channel = parsed(Channel, definition.record[9:])
            encoding, place = self._schemas.get(channel.schema_id, ("", 0))
            if encoding and channel.message_encoding == encoding:
                self._channels[definition.number] = encoding, place

    def places(self, block: McapBlock) -> Integers:
        """Where in the block's data the stamp of each message is; NONE."""
        raw, found = np.frombuffer(block.data, dtype=np.uint8), np.full(block.starts.shape, NONE)
        for number, (encoding, place) in self._channels.items():
            rows = np.flatnonzero(block.channels == number)
            at = block.starts[rows] + PAYLOAD_AT
            fits = at + place + 8 <= block.ends[rows]
            rows, at = rows[fits], at[fits]
            if encoding == "cdr":
                little = raw[at + 1] & 1 == 1
                rows, at = rows[little], at[little]
            found[rows] = at + place
        return found


def stamps_at(block: McapBlock, places: Integers) -> tuple[Integers, Flags]:
    """The stamps, ns, and which messages have one that is set."""
    has = places != NONE
    raw = np.frombuffer(block.data, dtype=np.uint8)
    parts = raw[places[has, np.newaxis] + np.arange(8)].view("<u4").astype(np.int64).reshape(-1, 2)
    stamps, known = np.zeros(places.shape, dtype=np.int64), has.copy()
    stamps[has] = parts[:, 0] * _S + parts[:, 1]
    known[has] = (parts[:, 1] < _S) & (parts[:, 0] > 0)
    return stamps, known


def set_stamps(placed: Placed, block: McapBlock, kept: Flags, places: Integers, found: Corrections) -> None:
    """Write the answered stamps of the messages that are `kept`, in order, in `placed`."""
    rows = np.flatnonzero(kept & found.answered & (places != NONE))
    moved = placed.starts[np.cumsum(kept)[rows] - 1] - block.starts[rows]
    parts = np.stack([found.topside_ns[rows] // _S, found.topside_ns[rows] % _S], axis=1).astype("<u4")
    raw = np.frombuffer(placed.data, dtype=np.uint8)
    raw[(places[rows] + moved)[:, np.newaxis] + np.arange(8)] = parts.view(np.uint8).reshape(-1, 8)


def _place(schema: Schema) -> int | None:
    """Where in a payload the stamp of the first field is; None: there is none."""
    if schema.encoding not in _ENCODINGS:
        return None
    text = schema.data.decode("utf-8", "replace").split("\n===")[0]
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    fields = (words[0] for words in lines if len(words) > 1 and "=" not in "".join(words[1:]))
    first = next(fields, "")
    if schema.encoding == "ros2msg":
        return 4 if first in _HEADERS | _TIMES else None
    return 4 if first in _HEADERS else 0 if first == "time" else None
