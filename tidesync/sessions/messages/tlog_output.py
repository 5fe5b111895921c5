"""The files of a corrected .tlog: packets with an answer, those without one, and a table of all errors."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from runtime.files import replacing
from tidesync.sessions.messages.mavlink_packets import LINK, LINK_NS, STAMP, described
from tidesync.sessions.messages.sidecar import marked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.correction.unexplained import Flags
    from tidesync.sessions.messages.format import Block, Outcome, Target, Write
    from tidesync.sessions.messages.mavlink_packets import Packets
    from topside_agent.estimator.blocks import Integers

_COLUMNS = ("packet", "timestamp", "system", "component", "message")


@contextmanager
def tlog_output(target: Target, outcome: Outcome) -> Iterator[Write]:
    """Write the corrected files; see `format.Messages.output`."""
    passed, unanswered = 0, list[BinaryIO]()
    with ExitStack() as stack, marked(target, _COLUMNS) as table:
        stream = stack.enter_context(replacing(target.output))

        def write(block: Block, columns: Sequence[Corrections]) -> None:
            nonlocal passed, unanswered
            (packets, stamps), (found,) = block.records, columns
            kept = found.answered
            topside_us = (found.topside_ns + 500) // 1000 & ~LINK | stamps & LINK
            _write(stream, packets, kept, topside_us)
            if not kept.all():
                unanswered = unanswered or [stack.enter_context(replacing(target.unanswered))]
                _write(unanswered[0], packets, ~kept, stamps)
            numbers = range(passed + 1, passed + stamps.size + 1)
            fronts = zip(numbers, stamps.tolist(), described(packets), strict=True)
            table.write((f"{number},{us},{what}" for number, us, what in fronts), found, LINK_NS)
            passed += stamps.size

        yield write
    outcome.beside.append(target.sidecar)
    if unanswered:
        outcome.beside.append(target.unanswered)
    else:
        target.unanswered.unlink(missing_ok=True)


def _write(stream: BinaryIO, packets: Packets, chosen: Flags, stamps: Integers) -> None:
    """The chosen packets, with these stamps."""
    raw = bytearray(packets.data)
    places = np.array(packets.starts, dtype=np.int64)
    view = np.frombuffer(raw, dtype=np.uint8)
    stamp_bytes = stamps.astype(">i8").view(np.uint8).reshape(-1, STAMP)
    view[places[:, np.newaxis] + np.arange(STAMP)] = stamp_bytes
    stream.writelines(
        memoryview(raw)[packets.starts[place] : packets.ends[place]]
        for place in np.flatnonzero(chosen).tolist()
    )
