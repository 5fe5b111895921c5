"""MCAP: the log and publish times of its messages; chunks, compression and all other records stay.

Both times are taken to be of one clock, the job's. A publish time that is the log time has its answer; one
that is later than the log time is not of that clock, or it was set in between: it has none. Where a publish
time has no answer it is written as the log time, as the format has it where it is not available.

Assumption: the recorder and the publishers read the same clock. Another computer's publish times, if they are
earlier than the log times, are not distinguished.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
from mcap.opcode import Opcode

from tidesync.figures import counted
from tidesync.sessions.correction.stamps.column import form_of_numbers
from tidesync.sessions.correction.stamps.numbers import UNIX
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Batch
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.messages.format import Block, Loss, Outcome
from tidesync.sessions.messages.mcap_block import block_of, without
from tidesync.sessions.messages.mcap_errors import TOPIC, is_error_channel
from tidesync.sessions.messages.mcap_output import is_ours, mcap_output
from tidesync.sessions.messages.mcap_reader import McapReader
from tidesync.sessions.messages.mcap_stamps import MessageStamps
from tidesync.sessions.messages.mcap_summary import MAGIC, read_header, read_summary
from tidesync.sessions.messages.stamp_batches import batch_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mcap.records import Header
    from numpy.typing import NDArray

    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.correction.unexplained import Flags
    from tidesync.sessions.messages.format import Answer, Target, Write
    from tidesync.sessions.messages.mcap_block import Definition, McapBlock
    from tidesync.sessions.messages.mcap_reader import Passage
    from tidesync.sessions.messages.mcap_stamps import BlockStamps
    from topside_agent.estimator.blocks import Integers

_NS = UNIX[-1]
_LATEST = np.uint64(2**63 - 1)
_AHEAD = np.uint64(1_000_000)
"""A publish time may be so much later than the log time: one of them may be written in ms."""
_SURVEYED, _PLACES = 4_096, 32
_TOGETHER = 8 << 20
"""Bytes of chunks whose times are answered at once."""
_NAMED, _LONGEST = 5, 60


class Part(NamedTuple):
    """Of a file: where it is, and its records."""

    passage: Passage
    block: McapBlock
    stamps: BlockStamps | None
    """Those within its messages, where they are asked for."""


@contextmanager
def open_mcap(job: Job, measured: Measured) -> Iterator[McapFile]:
    """Open an MCAP file; see `format.OpenMessages`."""
    with job.path.open("rb") as stream:
        size, begin = job.path.stat().st_size, stream.read(len(MAGIC))
        if begin != MAGIC:
            received = f"it begins with {begin!r}" if begin else "it is empty"
            raise UnusableFileError(job.path, f"it is no MCAP file: {received}")
        header = read_header(stream, size)
        if header is None:
            raise UnusableFileError(job.path, "its header cannot be read: it is cut off or damaged there")
        yield McapFile(job, measured, stream, header)


class McapFile:
    """An open MCAP file; see `format.Messages`."""

    step_ns = 0

    def __init__(self, job: Job, measured: Measured, stream: BinaryIO, header: Header) -> None:
        stated = StampOptions(resolution_ms=job.stamps.resolution_ms)
        self._job, self._stream = replace(job, stamps=stated, unit=None), stream
        self._size, self.header = job.path.stat().st_size, header
        self.summary, self.outcome = read_summary(stream, self._size), Outcome()
        for definition in self.summary.definitions.values():
            self._refuse_corrected(definition)
        self.names = ("log_time", "publish_time", "stamp")[: 3 if job.message_stamps else 2]
        self.forms: Sequence[StampForm] = [
            form_of_numbers(self._job, measured, times, _NS, fixed=True)
            for _, times in zip(self.names, self._surveyed(), strict=False)
        ]

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All messages' times."""
        for block in self.read():
            yield block.columns

    def read(self) -> Iterator[Block]:
        """All messages, several chunks at a time: `records` are passages with their blocks."""
        reader, found = self._reader(), 0
        known, parts = set(self.summary.definitions), list[Part]()
        stamps = self._message_stamps()
        for passage in reader.passages():
            block = self._block(passage, reader.losses, known)
            if stamps:
                stamps.learn_all(block.definitions)
            parts.append(Part(passage, block, stamps.of(block) if stamps else None))
            if sum(len(each.passage.data) for each in parts) >= _TOGETHER:
                yield Block(parts, self._columns(parts, found))
                found, parts = found + sum(each.block.starts.size for each in parts), []
        yield Block(parts, self._columns(parts, found))
        found += sum(each.block.starts.size for each in parts)
        stated = self.summary.messages
        if self.summary.damaged and not reader.losses:
            reason = "its summary cannot be read: what else of it is missing is unknown"
            reader.losses.append(Loss(self._size, 0, reason))
        self.outcome.losses[:] = reader.losses
        unknown = ", ".join(f"0x{each:02x}" for each in sorted(reader.unknown))
        note = f"{reader.unknown.total()} records of kinds that MCAP does not define ({unknown}) are copied"
        self.outcome.notes[:] = [note] if unknown else []
        if stamps and stamps.unread:
            names = ", ".join(repr(each[:_LONGEST]) for each in sorted(stamps.unread)[:_NAMED])
            count = counted(len(stamps.unread), "schema")
            note = f"{count} cannot be read ({names}): stamps within messages of it stay as recorded"
            self.outcome.notes.append(note)
        self.outcome.missing = None if stated is None else max(stated - found, 0)

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:  # noqa: ARG002 - it needs no other file
        """That of the vehicle's clock."""
        return vehicles

    def foreign(self, target: Target) -> Iterator[Path]:
        """Those whose header does not name a correction."""
        files = (target.output, target.unanswered)
        yield from (path for path in files if path.exists() and not is_ours(path))

    def output(self, target: Target) -> AbstractContextManager[Write]:
        """See mcap_output.py."""
        return mcap_output(self._job.path, self.header, self.summary, target, self.outcome)

    def _message_stamps(self) -> MessageStamps | None:
        """What finds the stamps within messages, where they are asked for."""
        return MessageStamps(self.summary.definitions.values()) if len(self.names) > 2 else None  # noqa: PLR2004

    def _reader(self) -> McapReader:
        return McapReader(self._stream, self._size, self.summary.chunks)

    def _block(self, passage: Passage, losses: list[Loss], known: set[tuple[int, int]]) -> McapBlock:
        """The records of a passage without messages of unknown channels; `known` is added to."""
        block = block_of(passage.data)
        left = len(passage.data) - block.consumed
        if left:
            losses.append(Loss(passage.at, left, "records within a chunk do not follow each other"))
        if block.others:
            reason = (
                f"{block.others} records within a chunk are of kinds that it cannot have: they are copied"
            )
            losses.append(Loss(passage.at, 0, reason))
        for definition in block.definitions:
            self._refuse_corrected(definition)
            known.add((definition.opcode, definition.number))
        losses.extend(_without_schema(block.definitions, passage.at, known))
        used = [each for each in np.unique(block.channels).tolist() if (Opcode.CHANNEL, each) not in known]
        if not used:
            return block
        lost = np.isin(block.channels, used)
        which = ", ".join(map(str, used))
        reason = f"{counted(int(lost.sum()), 'message')} of channels that are not defined ({which})"
        losses.append(Loss(passage.at, int((block.ends - block.starts)[lost].sum()), reason))
        return without(block, lost)

    def _refuse_corrected(self, definition: Definition) -> None:
        if is_error_channel(definition):
            raise UnusableFileError(
                self._job.path, f"there is a channel {TOPIC} already: it has been corrected before"
            )

    def _surveyed(self) -> tuple[Integers, Integers, Integers]:
        """Log times, publish times of their own, and stamps, of messages all over the file."""
        reader, chunks = self._reader(), self.summary.chunks
        places = np.unique(np.linspace(0, len(chunks) - 1, _PLACES).astype(int)).tolist() if chunks else ()
        passages = chain(
            islice((each for each in reader.passages() if not each.copied), _PLACES),
            *(reader.chunk_at(chunks[place]) for place in places),
        )
        log, publish, stamps = ([np.zeros(0, dtype=np.int64)] for _ in range(3))
        where = self._message_stamps()
        for passage in passages:
            block = block_of(passage.data)
            readable = (block.log_ns <= _LATEST) & (block.publish_ns <= _LATEST)
            own = readable & (block.publish_ns != block.log_ns)
            log.append(block.log_ns[readable][:_SURVEYED].astype(np.int64))
            publish.append(block.publish_ns[own][:_SURVEYED].astype(np.int64))
            if where:
                where.learn_all(block.definitions)
                stamps.append(where.of(block).usable_ns[:_SURVEYED])
        all_log, all_publish = np.concatenate(log), np.concatenate(publish)
        return all_log, all_publish if all_publish.size else all_log, np.concatenate(stamps)

    def _columns(self, parts: Sequence[Part], before: int) -> tuple[Batch, ...]:
        """The times as batches of rows; `before` messages were read already."""
        none = np.zeros(0, dtype=np.uint64)
        log_ns = np.concatenate([none, *(each.block.log_ns for each in parts)])
        publish_ns = np.concatenate([none, *(each.block.publish_ns for each in parts)])
        readable = log_ns <= _LATEST
        not_ahead = readable & (publish_ns <= np.where(readable, log_ns, 0) + _AHEAD)
        size = sum(each.passage.size for each in parts)
        log = batch_of(self.forms[0], log_ns, readable, size=size, before=before)
        found = log, _batch(self.forms[1], publish_ns, not_ahead)
        return found if len(self.names) == len(found) else (*found, self._stamps(parts, log_ns, readable))

    def _stamps(self, parts: Sequence[Part], log_ns: NDArray[np.uint64], readable: Flags) -> Batch:
        """The stamps within the messages; those that are later than its log time cannot be read."""
        found, before = [each.stamps for each in parts if each.stamps is not None], 0
        rows = [np.zeros(0, dtype=np.int64)]
        for each in parts:
            rows.append(each.stamps.rows + before if each.stamps is not None else rows[0])
            before += each.block.starts.size
        of_message = np.concatenate(rows)
        stamps = np.concatenate([np.zeros(0, np.int64), *(each.at_ns for each in found)]).astype(np.uint64)
        known = np.concatenate([np.zeros(0, bool), *(each.known for each in found)]) & readable[of_message]
        known &= stamps <= np.where(readable, log_ns, 0)[of_message] + _AHEAD
        return _batch(self.forms[2], stamps, known)


def _without_schema(
    definitions: Sequence[Definition], at: int, known: set[tuple[int, int]]
) -> Iterator[Loss]:
    """A loss for each channel whose schema is not among the `known`."""
    for each in definitions:
        schema = int.from_bytes(each.record[11:13], "little")
        if each.opcode == Opcode.CHANNEL and schema and (Opcode.SCHEMA, schema) not in known:
            reason = f"schema {schema} of channel {each.number} is not defined: readers may refuse the file"
            yield Loss(at, 0, reason)


def _batch(form: StampForm, times: NDArray[np.uint64], readable: Flags) -> Batch:
    found = form.read_numbers(np.where(readable, times, 0).astype(np.int64), readable)
    return Batch(None, found.unix_ns, found.readable, (), 0, None, found.resolution_ns)
