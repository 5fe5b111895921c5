"""MAVLink .tlog: the stamp before each packet; the packets stay as they are.

A stamp has µs, of which MAVProxy uses the lowest two bits for the number of the link: these bits are kept,
and 4 µs are in each error, once as they were read and once as they are written.

By whose clock the packets are stamped is not in the file: the recorder's, on the vehicle or on the surface.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from tidesync.sessions.correction.stamps.column import form_of_numbers
from tidesync.sessions.correction.stamps.numbers import UNIX
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Batch
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.messages.format import Block, Outcome
from tidesync.sessions.messages.mavlink_packets import LINK, LINK_NS, STAMP, Packets, packets_of
from tidesync.sessions.messages.sidecar import unmarked
from tidesync.sessions.messages.stamp_batches import batch_of
from tidesync.sessions.messages.tlog_output import tlog_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.messages.format import Answer, Target, Write
    from topside_agent.estimator.blocks import Integers

_US = UNIX[2]
_SURVEYED_PARTS = 8


@contextmanager
def open_tlog(job: Job, measured: Measured) -> Iterator[TlogFile]:
    """Open a .tlog; see `format.OpenMessages`."""
    with job.path.open("rb") as stream:
        yield TlogFile(job, measured, stream)


class TlogFile:
    """An open .tlog; see `format.Messages`."""

    names = ("timestamp",)
    step_ns = LINK_NS

    def __init__(self, job: Job, measured: Measured, stream: BinaryIO) -> None:
        stated = StampOptions(resolution_ms=job.stamps.resolution_ms)
        self._job, self._stream = replace(job, stamps=stated, unit=None), stream
        self._size = job.path.stat().st_size
        self.outcome = Outcome()
        surveyed = [stamps_of(each) for each in islice(packets_of(stream, self._size, []), _SURVEYED_PARTS)]
        stamps = np.concatenate([np.zeros(0, dtype=np.int64), *surveyed])
        if not stamps.size:
            reason = "no MAVLink packet with a stamp before it is in it" if self._size else "it is empty"
            raise UnusableFileError(job.path, f"it is no .tlog: {reason}")
        form = form_of_numbers(self._job, measured, stamps & ~LINK, _US, fixed=True)
        self.forms = (replace(form, resolution_ns=max(form.resolution_ns, LINK_NS)),)

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All packets' stamps."""
        for block in self.read():
            yield block.columns

    def read(self) -> Iterator[Block]:
        """All packets, about a MB at a time."""
        losses = self.outcome.losses
        losses.clear()
        passed = 0
        for packets in packets_of(self._stream, self._size, losses):
            stamps = stamps_of(packets)
            every = np.ones(stamps.shape, dtype=bool)
            batch = batch_of(self.forms[0], stamps & ~LINK, every, size=packets.size, before=passed)
            yield Block((packets, stamps), (batch,))
            passed += stamps.size

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:  # noqa: ARG002 - it needs no other file
        """That of the vehicle's clock."""
        return vehicles

    def foreign(self, target: Target) -> Iterator[Path]:
        """Nothing in a .tlog names its writer: those of a correction have the table of errors beside them."""
        return unmarked(target)

    def output(self, target: Target) -> AbstractContextManager[Write]:
        """See tlog_output.py."""
        return tlog_output(target, self.outcome)


def stamps_of(packets: Packets) -> Integers:
    """The stamps of packets, µs since 1970."""
    raw = np.frombuffer(packets.data, dtype=np.uint8)
    places = np.array(packets.starts, dtype=np.int64)[:, np.newaxis] + np.arange(STAMP)
    found: Integers = raw[places].view(">i8").reshape(-1).astype(np.int64)
    return found
