"""The readers of stamps.py behind the shape of a form that reads and writes many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidesync.sessions.correction.stamps import StampReader, StampWriter, stamp_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.csv.lines import Bytes
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers


class Stamps(NamedTuple):
    """Unix ns of each text, and which are timestamps."""

    unix_ns: Integers
    readable: Flags


class Form:
    """The form of a column."""

    resolution_ns = 0

    def __init__(self, reader: StampReader) -> None:
        self._reader = reader

    @property
    def step_ns(self) -> int:
        """The unit of what is written."""
        return self._reader.form.step_ns if self._reader.form else 0

    def read(self, texts: Sequence[bytes]) -> Stamps:
        """The timestamps of `texts`."""
        return Stamps(*stamp_arrays([self._reader.read(text.decode("utf-8", "replace")) for text in texts]))

    def read_block(self, buffer: Bytes, starts: Integers, ends: Integers) -> Stamps:
        """The timestamps in `buffer`."""
        data = buffer.tobytes()
        return self.read([data[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)])

    def write(self, unix_ns: Integers) -> list[bytes]:
        """Instants in the column's form."""
        assert self._reader.form is not None, "a timestamp has been read"
        writer = StampWriter(self._reader.form)
        return [writer.write(each).encode() for each in unix_ns.tolist()]


def survey(texts: Sequence[bytes], job: Job, near_ns: int) -> Form:
    """The form in which `texts` are written."""
    reader = StampReader(job.unit, near_ns)
    for text in texts:
        reader.read(text.decode("utf-8", "replace"))
    return Form(reader)
