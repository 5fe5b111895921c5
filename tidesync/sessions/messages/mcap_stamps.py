"""Stamps within the messages of an MCAP file, where the schema of a channel proves that they are times.

ros_stamps.py, protobuf_stamps.py and json_stamps.py say which. A message may have several; they are corrected
all or none, so that they stay consistent.

Assumption: they are of the clock of the recorder; one later than the log time is not, and has no answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from mcap.opcode import Opcode
from mcap.records import Channel, Schema

from tidesync.sessions.correction.timeline import NO_U95, OK, UNREADABLE, Corrections
from tidesync.sessions.messages.json_stamps import json_stamps
from tidesync.sessions.messages.mcap_block import PAYLOAD_AT, with_payloads
from tidesync.sessions.messages.mcap_records import parsed
from tidesync.sessions.messages.protobuf_stamps import protobuf_stamps
from tidesync.sessions.messages.ros_places import places_of
from tidesync.sessions.messages.ros_stamps import ENCODINGS, RosStamps, ros_stamps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidesync.sessions.correction.unexplained import Flags
    from tidesync.sessions.messages.mcap_block import Definition, McapBlock, Placed
    from topside_agent.estimator.blocks import Integers

_NONE = -1
"""The place of a stamp that is not written in place."""
_S = 1_000_000_000
_FAR_NS = 2**62
"""Stands for every stamp that is no time since 1970, or a later one than this: it has no answer."""


class Rewriter(Protocol):
    """Stamps of messages that become longer or shorter with others."""

    def stamps(self, payload: bytes) -> list[int] | None:
        """The stamps, ns, in order; None: it is not what its schema says."""

    def rewritten(self, payload: bytes, stamps: list[int]) -> bytes:
        """The message with other stamps, as many as `stamps` found in it."""


class BlockStamps(NamedTuple):
    """The stamps in a block's messages; the arrays have an entry for each stamp, by messages in order."""

    rows: Integers
    """The number of its message in the block."""
    at_ns: Integers
    known: Flags
    """Which are set; also those without an answer, _FAR_NS."""
    places: Integers
    """Where in the block's data it is; _NONE."""
    rewriters: Mapping[int, Rewriter]
    """By the number of a message."""
    mismatched: int
    """Messages that are not what their schema says."""

    @property
    def usable_ns(self) -> Integers:
        """Those that are times."""
        return self.at_ns[self.known & (self.at_ns < _FAR_NS)]


class MessageStamps:
    """Finds the stamps of each channel, as far as its definition has been learnt."""

    def __init__(self, definitions: Iterable[Definition] = ()) -> None:
        self._schemas: dict[int, tuple[str, RosStamps | Rewriter]] = {}
        self._channels: dict[int, RosStamps | Rewriter] = {}
        self.unread = set[str]()
        """The names of schemas that may have stamps, and cannot be read."""
        self.learn_all(sorted(definitions, key=lambda each: each.opcode))

    def learn_all(self, definitions: Iterable[Definition]) -> None:
        """Take several, in their order."""
        for each in definitions:
            self.learn(each)

    def learn(self, definition: Definition) -> None:
        """Take a schema or a channel."""
        if definition.opcode == Opcode.SCHEMA:
            schema = parsed(Schema, definition.record[9:])
            self._schemas.pop(definition.number, None)
            try:
                found = _of_schema(schema)
            except ValueError:
                found = None
                self.unread.add(schema.name)
            if found is not None:
                self._schemas[definition.number] = found
        else:
            channel = parsed(Channel, definition.record[9:])
            encoding, stamps = self._schemas.get(channel.schema_id, ("", None))
            if stamps is not None and channel.message_encoding == encoding:
                self._channels[definition.number] = stamps

    def of(self, block: McapBlock) -> BlockStamps:
        """All stamps of the block's messages."""
        rows, places, at_ns, rewriters, mismatched = [_NO], [_NO], [_NO], dict[int, Rewriter](), 0
        for number, stamps in self._channels.items():
            of_channel = np.flatnonzero(block.channels == number)
            if isinstance(stamps, RosStamps):
                found, where, others = _in_place(block, of_channel, stamps)
                raw = np.frombuffer(block.data, dtype=np.uint8)
                parts = raw[where[:, np.newaxis] + np.arange(8)].view("<u4").astype(np.int64).reshape(-1, 2)
                ns = np.where(parts[:, 1] < _S, parts[:, 0] * _S + parts[:, 1], _FAR_NS)
                rows, places, at_ns = [*rows, found], [*places, where], [*at_ns, ns]
                mismatched += others
                continue
            for row in of_channel.tolist():
                ns_of = stamps.stamps(_payload(block, row))
                mismatched += ns_of is None
                if ns_of:
                    rewriters[row] = stamps
                    rows.append(np.full(len(ns_of), row))
                    places.append(np.full(len(ns_of), _NONE))
                    at_ns.append(np.array([each if 0 <= each < _FAR_NS else _FAR_NS for each in ns_of]))
        all_rows, every_ns, where = map(np.concatenate, (rows, at_ns, places))
        order = np.argsort(all_rows, kind="stable")
        every_ns = every_ns[order]
        return BlockStamps(all_rows[order], every_ns, every_ns >= _S, where[order], rewriters, mismatched)


_NO = np.zeros(0, dtype=np.int64)


def of_messages(stamps: BlockStamps, found: Corrections, count: int) -> Corrections:
    """Of each of `count` messages the greatest error of its stamps; UNREADABLE where one has no answer."""
    made = Corrections(*(np.full(count, void) for void in (0, 0, UNREADABLE, NO_U95)))
    rows, known = stamps.rows, stamps.known
    made.state[rows[known]] = OK
    made.state[rows[known & ~found.answered]] = UNREADABLE
    np.maximum.at(made.max_error_ns, rows[known], found.max_error_ns[known])
    made.max_error_ns[made.state == UNREADABLE] = 0
    return made


def with_stamps(block: McapBlock, stamps: BlockStamps, found: Corrections, kept: Flags) -> McapBlock:
    """The block with the stamps of the messages that are `kept` and not written in place."""
    payloads = {}
    for row, rewriter in stamps.rewriters.items():
        if kept[row]:
            here = stamps.rows == row
            ns = np.where(stamps.known[here], found.topside_ns[here], stamps.at_ns[here])
            payloads[row] = rewriter.rewritten(_payload(block, row), ns.tolist())
    return with_payloads(block, payloads) if payloads else block


def set_stamps(
    placed: Placed, block: McapBlock, stamps: BlockStamps, found: Corrections, *, kept: Flags, chosen: Flags
) -> None:
    """Write in place the stamps of the messages that are `chosen`, among those `kept` in `placed`."""
    each = np.flatnonzero(chosen[stamps.rows] & stamps.known & (stamps.places != _NONE))
    rows = stamps.rows[each]
    moved = placed.starts[np.cumsum(kept)[rows] - 1] - block.starts[rows]
    topside_ns = found.topside_ns[each]
    parts = np.stack([topside_ns // _S, topside_ns % _S], axis=1).astype("<u4")
    raw = np.frombuffer(placed.data, dtype=np.uint8)
    raw[(stamps.places[each] + moved)[:, np.newaxis] + np.arange(8)] = parts.view(np.uint8).reshape(-1, 8)


def _in_place(block: McapBlock, rows: Integers, stamps: RosStamps) -> tuple[Integers, Integers, int]:
    """The messages of the stamps of a channel, their places in the block's data, and how many do not fit."""
    begins = block.starts[rows] + PAYLOAD_AT
    if stamps.leaves is not None:
        whole, places = places_of(stamps.leaves, block.data, begins, block.ends[rows], is_cdr=stamps.is_cdr)
        places = places[whole]
        return np.repeat(rows[whole], places.shape[1]), places.reshape(-1), int((~whole).sum())
    pairs, others = list[tuple[int, int]](), 0
    for row, begin in zip(rows.tolist(), begins.tolist(), strict=True):
        within = stamps.places(_payload(block, row))
        others += within is None
        pairs += [(row, begin + place) for place in within or ()]
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1], others


def _payload(block: McapBlock, row: int) -> bytes:
    return block.data[int(block.starts[row]) + PAYLOAD_AT : int(block.ends[row])]


def _of_schema(schema: Schema) -> tuple[str, RosStamps | Rewriter] | None:
    """The encoding of its messages, and their stamps; None: it has none. ValueError: it cannot be read."""
    found: RosStamps | Rewriter | None = None
    encoding = {**ENCODINGS, "protobuf": "protobuf", "jsonschema": "json"}.get(schema.encoding)
    if schema.encoding in ENCODINGS:
        found = ros_stamps(schema)
    elif schema.encoding == "protobuf":
        found = protobuf_stamps(schema.name, schema.data)
    elif schema.encoding == "jsonschema":
        found = json_stamps(schema.data)
    return None if found is None or encoding is None else (encoding, found)
