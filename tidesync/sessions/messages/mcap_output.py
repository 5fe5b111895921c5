"""The files of a corrected MCAP: the answered messages, and those without an answer, as they were."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from mcap.opcode import Opcode
from mcap.records import Header, Metadata

from runtime.files import replacing
from runtime.version import VERSION
from tidesync.sessions.correction.timeline import Corrections
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.messages.mcap_block import alone, with_front, with_times
from tidesync.sessions.messages.mcap_errors import ErrorMessages, error_definitions
from tidesync.sessions.messages.mcap_records import packed
from tidesync.sessions.messages.mcap_stamps import of_messages, set_stamps, with_stamps
from tidesync.sessions.messages.mcap_summary import MAGIC, read_header
from tidesync.sessions.messages.mcap_writer import McapOutput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.messages.format import Block, Outcome, Target, Write
    from tidesync.sessions.messages.mcap_block import Definition, McapBlock
    from tidesync.sessions.messages.mcap_stamps import BlockStamps
    from tidesync.sessions.messages.mcap_summary import Summary
    from topside_agent.estimator.blocks import Integers

_LIBRARY = f"tidesync correct {VERSION}"
_LAST = 65_535


@contextmanager
def mcap_output(
    path: Path, header: Header, summary: Summary, target: Target, outcome: Outcome
) -> Iterator[Write]:
    """Write the corrected file at `path`; see `format.Messages.output`."""
    with ExitStack() as stack:
        source = stack.enter_context(path.open("rb"))
        stream = stack.enter_context(replacing(target.output))
        files = _Files(path, header, summary, stream)

        def write(block: Block, columns: Sequence[Corrections]) -> None:
            if not columns[0].answered.all() and files.unanswered is None:
                further = stack.enter_context(replacing(target.unanswered))
                files.unanswered = McapOutput(further, files.header)
            begin = first = 0
            for passage, records, stamps in block.records:
                end, last = begin + records.starts.size, first + (0 if stamps is None else stamps.rows.size)
                if passage.copied:
                    files.main.copy(source, passage.at, passage.size)
                else:
                    here = [Corrections(*(values[begin:end] for values in each)) for each in columns[:2]]
                    here += [Corrections(*(values[first:last] for values in each)) for each in columns[2:]]
                    files.write(records, passage.compression, here, stamps)
                begin, first = end, last

        yield write
        _finish(files, target, outcome)


def is_ours(path: Path) -> bool:
    """Whether a correction wrote the file."""
    with path.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            return False
        header = read_header(stream, path.stat().st_size)
    return header is not None and header.library.startswith("tidesync correct ")


class _Files:
    """Both outputs, and what is known of channels and schemas so far."""

    def __init__(self, path: Path, header: Header, summary: Summary, stream: BinaryIO) -> None:
        self._path, self._known = path, dict(summary.definitions)
        self.header = packed(Header(header.profile, f"{_LIBRARY}; {header.library}"))
        self.main = McapOutput(stream, self.header)
        self.unanswered: McapOutput | None = None
        free = [_free(summary, opcode) for opcode in (Opcode.CHANNEL, Opcode.SCHEMA)]
        self._errors, self._own = ErrorMessages(free[0]), error_definitions(*free)
        self.without_publish = self.stamped = self.without_stamp = self.mismatched = 0

    def write(
        self,
        block: McapBlock,
        compression: str | None,
        columns: Sequence[Corrections],
        stamps: BlockStamps | None,
    ) -> None:
        """Write the messages of a block, each to its file."""
        self._learn(block)
        log, publish = columns[0], _settled(block, columns)
        kept = log.answered
        self.without_publish += int((kept & ~publish.answered).sum())
        publish_ns = np.where(publish.answered, publish.topside_ns, log.topside_ns)
        of_stamps = []
        if stamps is None:
            placed = with_times(block, kept, log.topside_ns, publish_ns)
        else:
            (found,) = columns[2:]
            within = of_messages(stamps, found, kept.size)
            chosen, of_stamps = kept & within.answered, [within]
            rewritten = with_stamps(block, stamps, found, chosen)
            placed = with_times(rewritten, kept, log.topside_ns, publish_ns)
            set_stamps(placed, block, stamps, found, kept=kept, chosen=chosen)
            self.stamped += int((chosen[stamps.rows] & stamps.known).sum())
            self.without_stamp += int((kept & ~chosen)[stamps.rows].sum())
            self.mismatched += stamps.mismatched
        placed = self._errors.after(placed, block, (log, publish, *of_stamps))
        front = self._missing(self.main, block.channels[kept], block.definitions)
        front += [each for each in self._own if not self.main.defines(each.opcode, each.number)]
        placed = with_front(placed, b"".join(each.record for each in front))
        self.main.add(placed, [*front, *block.definitions], compression)
        if not kept.all() and self.unanswered is not None:
            placed = alone(block, ~kept)
            front = self._missing(self.unanswered, placed.channels, ())
            placed = with_front(placed, b"".join(each.record for each in front))
            self.unanswered.add(placed, front, compression)

    def _learn(self, block: McapBlock) -> None:
        for each in block.definitions:
            if any((each.opcode, each.number) == (own.opcode, own.number) for own in self._own):
                kind = "channel" if each.opcode == Opcode.CHANNEL else "schema"
                raise UnusableFileError(self._path, f"its {kind} {each.number} is that of our error messages")
            self._known[each.opcode, each.number] = each

    def _missing(
        self, output: McapOutput, channels: Integers, within: Sequence[Definition]
    ) -> list[Definition]:
        """The definitions that `output` needs in front of messages of these channels."""
        there = {(each.opcode, each.number) for each in within}
        found = []
        for number in np.unique(channels).tolist():
            channel = self._known[Opcode.CHANNEL, number]
            schema = int.from_bytes(channel.record[11:13], "little")
            for key in ((Opcode.SCHEMA, schema), (Opcode.CHANNEL, number)):
                if key in self._known and key not in there and not output.defines(*key):
                    there.add(key)
                    found.append(self._known[key])
        return found


def _settled(block: McapBlock, columns: Sequence[Corrections]) -> Corrections:
    """The publish times' corrections: of those that are the log time its own."""
    same = block.publish_ns == block.log_ns
    pairs = zip(columns[0], columns[1], strict=True)
    return Corrections(*(np.where(same, log, publish) for log, publish in pairs))


def _finish(files: _Files, target: Target, outcome: Outcome) -> None:
    about = {**target.about, "times": "topside's clock; attachments and metadata as they were recorded"}
    files.main.metadata(packed(Metadata("tidesync", {**about, **target.summary()})))
    files.main.finish()
    if files.without_publish:
        outcome.notes.append(
            f"{files.without_publish} publish times without an answer are written as the log time"
        )
    if files.stamped or files.without_stamp:
        as_recorded = (
            f", {files.without_stamp} without an answer stay as recorded" if files.without_stamp else ""
        )
        outcome.notes.append(f"{files.stamped} stamps within messages are corrected{as_recorded}")
    if files.mismatched:
        reason = "messages are not what their schemas say: stamps within them stay as recorded"
        outcome.notes.append(f"{files.mismatched} {reason}")
    if files.unanswered is None:
        target.unanswered.unlink(missing_ok=True)
        return
    about = {**target.about, "times": "as they were recorded, by the vehicle's clock: without an answer"}
    files.unanswered.metadata(packed(Metadata("tidesync", about)))
    files.unanswered.finish()
    outcome.beside.append(target.unanswered)


def _free(summary: Summary, opcode: int) -> int:
    """The greatest number that no channel or schema has, as far as the summary tells."""
    return next(number for number in range(_LAST, 0, -1) if (opcode, number) not in summary.definitions)
