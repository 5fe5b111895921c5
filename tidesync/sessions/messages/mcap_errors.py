"""The channel of a corrected MCAP file that says of each message how wrong its time can be.

A message of it has the errors of up to 500 consecutive messages of one state, as columns in JSON: a few dozen
bytes for each before compression, and still a curve to plot (`max_error_ms`).
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from mcap.opcode import Opcode
from mcap.records import Channel, Schema

from tidesync.sessions.correction.timeline import NO_U95, STATES
from tidesync.sessions.messages.mcap_block import Definition, McapBlock, Placed, message
from tidesync.sessions.messages.mcap_records import packed, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.sessions.correction.timeline import Corrections
    from topside_agent.estimator.blocks import Integers

TOPIC = "/tidesync/error"
_MOST = 500
_NUMBERS = {"type": "array", "items": {"type": "integer"}}
_OR_NULL = {"type": ["array", "null"], "items": {"type": ["integer", "null"]}}
_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "state": ({"type": "string"}, "ok, or holdover: nothing was measured around these messages"),
    "max_error_ms": ({"type": "number"}, "the greatest possible error of their log_time, rounded up"),
    "channel_id": (_NUMBERS, "an entry for each message, in the order of the file, before this one"),
    "sequence": ({**_OR_NULL}, "of each message; null where all are 0"),
    "after_ns": (_NUMBERS, "its log_time less this message's log_time"),
    "max_error_ns": (_NUMBERS, "the greatest possible error of its log_time"),
    "u95_ns": (_OR_NULL, "the error that 95 of 100 keep, if both directions share their smallest delay"),
    "stamp_max_error_ns": (
        _OR_NULL,
        "the greatest of its stamps; null for all where these are as recorded, and for each without",
    ),
    "publish_max_error_ns": (
        _OR_NULL,
        "of its publish_time; null for all where that is log_time, and for one without an answer, likewise",
    ),
}


def error_definitions(number: int, schema: int) -> list[Definition]:
    """The schema and the channel, with these numbers."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tidesync.Error",
        "type": "object",
        "properties": {name: {**kind, "description": about} for name, (kind, about) in _FIELDS.items()},
        "required": list(_FIELDS),
    }
    records = (
        (
            Opcode.SCHEMA,
            schema,
            Schema(schema, json.dumps(document).encode(), "jsonschema", "tidesync.Error"),
        ),
        (Opcode.CHANNEL, number, Channel(number, TOPIC, "json", {}, schema)),
    )
    found = []
    for opcode, each, record in records:
        found.append(Definition(opcode, each, packed(record)))
    return found


def is_error_channel(definition: Definition) -> bool:
    """Whether it is the channel of a file that has been corrected."""
    if definition.opcode != Opcode.CHANNEL:
        return False
    return parsed(Channel, definition.record[9:]).topic == TOPIC


class ErrorMessages:
    """Makes the messages of the channel, numbered through the file."""

    def __init__(self, channel: int) -> None:
        self.channel, self._sequence = channel, 0

    def after(self, placed: Placed, block: McapBlock, columns: Sequence[Corrections]) -> Placed:
        """`placed`, the answered messages of `block`, with their errors behind them: its data grow."""
        rows = np.flatnonzero(columns[0].answered)
        data, starts, times = placed.data, [], []
        for part in _parts(columns[0].state[rows]):
            at_ns, payload = _payload(block, columns, rows[part])
            starts.append(len(data))
            times.append(at_ns)
            data += message(self.channel, self._sequence, at_ns, payload)
            self._sequence += 1
        return Placed(
            data,
            np.concatenate([placed.starts, np.array(starts, dtype=np.int64)]),
            np.concatenate([placed.channels, np.full(len(starts), self.channel, dtype=np.int64)]),
            np.concatenate([placed.log_ns, np.array(times, dtype=np.uint64)]),
        )


def _parts(state: Integers) -> Iterator[slice]:
    """Consecutive ones of one state, no more than can be one message."""
    changes = np.flatnonzero(np.diff(state)) + 1
    cuts = np.unique(np.concatenate([[0], changes, np.arange(0, state.size, _MOST), [state.size]]))
    for begin, end in pairwise(cuts.tolist()):
        yield slice(begin, end)


def _payload(block: McapBlock, columns: Sequence[Corrections], rows: Integers) -> tuple[int, bytes]:
    log, publish = columns[0], columns[1]
    at_ns, sequences = int(log.topside_ns[rows[0]]), block.sequences[rows]
    own = block.publish_ns[rows] != block.log_ns[rows]
    errors = log.max_error_ns[rows]
    document = {
        "state": STATES[int(log.state[rows[0]])],
        "max_error_ms": -(-int(errors.max()) // 1000) / 1e3,
        "channel_id": block.channels[rows].tolist(),
        "sequence": sequences.tolist() if sequences.any() else None,
        "after_ns": (log.topside_ns[rows] - at_ns).tolist(),
        "max_error_ns": errors.tolist(),
        "u95_ns": _or_null(log.u95_ns[rows], log.u95_ns[rows] != NO_U95),
        "publish_max_error_ns": _or_null(publish.max_error_ns[rows], publish.answered[rows])
        if own.any()
        else None,
    }
    stamp = columns[2] if len(columns) > 2 else None  # noqa: PLR2004 - where asked for
    document["stamp_max_error_ns"] = (
        None if stamp is None else _or_null(stamp.max_error_ns[rows], stamp.answered[rows])
    )
    return at_ns, json.dumps(document, separators=(",", ":")).encode()


def _or_null(values: Integers, known: Any) -> list[int | None] | None:
    if known.all():
        return list(values.tolist())
    return [
        each if is_known else None for each, is_known in zip(values.tolist(), known.tolist(), strict=True)
    ]
