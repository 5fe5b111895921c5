"""ROS 1 bags (.bag), by rosbags: the time of each message; connections, payloads and their order stay.

The errors are in a table beside the bag. A bag without an index, as one that is cut off, is read without it.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from rosbags.interfaces import ConnectionExtRosbag1
from rosbags.rosbag1 import Writer
from rosbags.rosbag1.reader import Header, decompressors, read_bytes, read_uint32

from tidesync.sessions.correction.stamps.column import form_of_numbers
from tidesync.sessions.correction.stamps.numbers import UNIX
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Batch
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.messages.built_file import built
from tidesync.sessions.messages.format import Block, Outcome
from tidesync.sessions.messages.rosbag1_reader import BROKEN, BagReader
from tidesync.sessions.messages.sidecar import marked, unmarked
from tidesync.sessions.messages.stamp_batches import batch_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rosbags.interfaces import Connection

    from tidesync.sessions.correction.table import Job, Malformed, Measured
    from tidesync.sessions.correction.timeline import Corrections, Timeline
    from tidesync.sessions.messages.format import Answer, Target, Write

_NS = UNIX[-1]
_TOGETHER_BYTES, _SURVEYED = 8 << 20, 16_384
_COLUMNS = ("message", "topic", "timestamp")
_WRITTEN_NS = 1_000
"""The table has µs."""


class Message(NamedTuple):
    """A message of a bag."""

    connection: int
    at_ns: int
    data: bytes


@contextmanager
def open_rosbag1(job: Job, measured: Measured) -> Iterator[Rosbag1File]:
    """Open a bag; see `format.OpenMessages`."""
    with ExitStack() as stack:
        try:
            reader = stack.enter_context(BagReader(job.path))
        except BROKEN as error:
            raise UnusableFileError(job.path, f"it is no ROS 1 bag that can be read: {error}") from error
        if not reader.entries and reader.losses:
            raise UnusableFileError(job.path, f"no message of it can be read: {reader.losses[0].reason}")
        yield Rosbag1File(job, measured, reader)


class Rosbag1File:
    """An open bag; see `format.Messages`."""

    names = ("timestamp",)
    step_ns = 0

    def __init__(self, job: Job, measured: Measured, reader: BagReader) -> None:
        stated = StampOptions(resolution_ms=job.stamps.resolution_ms)
        self._path, self._reader = job.path, reader
        self.outcome = Outcome()
        times = np.array([each.time for each in reader.entries], dtype=np.int64)
        surveyed = times[:: max(times.size // _SURVEYED, 1)]
        own = replace(job, stamps=stated, unit=None)
        self.forms = (form_of_numbers(own, measured, surveyed, _NS, fixed=True),)
        self._bytes = job.path.stat().st_size / max(times.size, 1)

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All messages' times, in the order of the file."""
        for begin in range(0, len(self._reader.entries), _SURVEYED):
            yield (self._batch(begin, begin + _SURVEYED),)

    def read(self) -> Iterator[Block]:
        """All messages."""
        some, size, passed = list[Message](), 0, 0
        self.outcome.losses[:] = self._reader.losses
        try:
            for message in self._messages():
                some.append(message)
                size += len(message.data)
                if size >= _TOGETHER_BYTES:
                    yield Block(some, (self._batch(passed, passed + len(some)),))
                    some, size, passed = [], 0, passed + len(some)
        except BROKEN as error:
            raise UnusableFileError(self._path, f"it changed while it was read: {error}") from error
        yield Block(some, (self._batch(passed, passed + len(some)),))

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:  # noqa: ARG002 - it needs no other file
        """That of the vehicle's clock."""
        return vehicles

    def foreign(self, target: Target) -> Iterator[Path]:
        """Nothing in a bag names its writer: those of a correction have the table of errors beside them."""
        return unmarked(target)

    @contextmanager
    def output(self, target: Target) -> Iterator[Write]:
        """Two bags, of the answered messages and of the others, and the table."""
        topics = {each.id: each.topic for each in self._reader.connections}
        passed = left = 0
        with (
            self._bag(target.output) as answered_bag,
            self._bag(target.unanswered) as unanswered_bag,
            marked(target, _COLUMNS) as table,
        ):
            bags = answered_bag, unanswered_bag

            def write(block: Block, columns: Sequence[Corrections]) -> None:
                nonlocal passed, left
                (found,) = columns
                for message, answered, at_ns in zip(
                    block.records, found.answered.tolist(), found.topside_ns.tolist(), strict=True
                ):
                    bag, connections = bags[0 if answered else 1]
                    bag.write(
                        connections[message.connection], at_ns if answered else message.at_ns, message.data
                    )
                    left += not answered
                numbered = enumerate(block.records, passed + 1)
                fronts = (
                    f"{number},{_field(topics[each.connection])},{each.at_ns}" for number, each in numbered
                )
                table.write(fronts, found, _WRITTEN_NS)
                passed += len(block.records)

            yield write
        self.outcome.beside.append(target.sidecar)
        if left:
            self.outcome.beside.append(target.unanswered)
        else:
            target.unanswered.unlink(missing_ok=True)

    @contextmanager
    def _bag(self, output: Path) -> Iterator[tuple[Writer, dict[int, Connection]]]:
        """A bag with the same connections, that replaces `output` in the end."""
        with built(output) as path:
            writer = Writer(path)
            if compression := self._compression():
                writer.set_compression(compression)
            with writer:
                yield writer, self._connected(writer)

    def _connected(self, writer: Writer) -> dict[int, Connection]:
        """New connections by the numbers of the old ones; the library has one for those that are equal."""
        made: dict[int, Connection] = {}
        by_content: dict[tuple[object, ...], Connection] = {}
        for each in sorted(self._reader.connections, key=lambda each: each.id):
            ext = cast("ConnectionExtRosbag1", each.ext)
            content = (each.topic, each.msgtype, each.msgdef.data, each.digest, ext)
            if content not in by_content:
                by_content[content] = writer.add_connection(
                    each.topic,
                    each.msgtype,
                    msgdef=each.msgdef.data,
                    md5sum=each.digest,
                    callerid=ext.callerid,
                    latching=ext.latching,
                )
            made[each.id] = by_content[content]
        return made

    def _compression(self) -> Writer.CompressionFormat | None:
        """That of the first chunk."""
        first = next((each.decompressor for each in self._reader.chunks.values()), None)
        names = [name for name, each in decompressors.items() if each is first]
        return next((each for each in Writer.CompressionFormat if each.name.lower() in names), None)

    def _messages(self) -> Iterator[Message]:
        """All messages, in the order of the file; the library has them in that of their times."""
        at, data = -1, BytesIO()
        for entry in self._reader.entries:
            if entry.chunk_pos != at:
                at, data = entry.chunk_pos, self._reader.messages_of(entry.chunk_pos)
            data.seek(entry.offset)
            Header.read(data)
            yield Message(entry.connection, entry.time, read_bytes(data, read_uint32(data)))

    def _batch(self, first: int, last: int) -> Batch:
        """The times of the messages from `first` to before `last`; those in doubt are none."""
        entries = self._reader.entries[first:last]
        stamps = np.array([each.time for each in entries], dtype=np.int64)
        known = np.array([not each.doubtful for each in entries], dtype=bool)
        size = round(len(entries) * self._bytes)
        found = batch_of(self.forms[0], stamps, known, size=size, before=first)
        return found._replace(malformed=[self._malformed(each) for each in found.malformed])

    def _malformed(self, each: Malformed) -> Malformed:
        entry = self._reader.entries[each.place - 1]
        value = str(entry.time)
        return each._replace(value=value, reason=_OTHER) if entry.doubtful else each._replace(value=value)


_OTHER = "is not the time that the bag's index has of it"


def _field(topic: str) -> str:
    return '"' + topic.replace('"', '""') + '"' if set(topic) & {",", '"', "\n"} else topic
