"""The form of one column's timestamps, as the survey found it: reads them, and writes instants like them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tidesync.sessions.correction.stamps.blocks import block_of
from tidesync.sessions.correction.stamps.candidates import instants_of
from tidesync.sessions.correction.stamps.readers import EARLIEST_NS, LATEST_NS, NumberReader
from tidesync.sessions.correction.stamps.widths import out_of_order
from tidesync.sessions.correction.stamps.writing import write_iso, write_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tidesync.sessions.correction.stamps.numbers import Scale
    from tidesync.sessions.correction.stamps.readers import Parsed, Reader
    from tidesync.sessions.correction.stamps.resolution import Writing
    from tidesync.sessions.correction.stamps.writing import Texts
    from tidesync.sessions.correction.stamps.zones import Zone
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Floats, Integers


class Stamps(NamedTuple):
    """Instants of consecutive rows, Unix ns as int64, void where not `readable`."""

    unix_ns: Integers
    readable: Flags
    repeated: Flags
    """Local times that the end of summer time repeats: `unix_ns` is the first instant of two."""
    later_ns: Integers
    """The second one; elsewhere the same."""
    resolution_ns: Integers
    """What each of them resolves, where that is coarser than the column is otherwise; else 0."""

    def spread(self, rows: Integers, count: int) -> Stamps:
        """These, which are of `rows`, among `count` rows."""
        unix_ns, later_ns = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        readable, repeated = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        unix_ns[rows], readable[rows] = self.unix_ns, self.readable
        repeated[rows], later_ns[rows] = self.repeated, self.later_ns
        resolution_ns = np.zeros(count, dtype=np.int64)
        resolution_ns[rows] = self.resolution_ns
        return Stamps(unix_ns, readable, repeated, later_ns, resolution_ns)


@dataclass(frozen=True, slots=True)
class StampForm:
    """How a column is written; `survey` makes it."""

    reader: Reader
    zone: Zone | None
    """Of times that state none; None: those are no timestamps."""
    writing: Writing
    resolution_ns: int
    """The step in which the column is written; its instants are known within ± this."""
    scale: Scale | None = None
    """How instants are written; None: as ISO 8601 in UTC."""
    fine: bool = False
    """Whether they are written to the nanosecond instead of the microsecond."""
    comma: bool = False
    """Whether the decimal sign is a comma."""
    described: tuple[str, ...] = ()
    """What a summary says about it."""
    summary: tuple[tuple[str, Any], ...] = ()
    """The same for --json: names and values."""
    hint: str = ""
    """Why every row may be outside, and what to state."""

    @property
    def step_ns(self) -> int:
        """Written instants are rounded to a multiple of this."""
        return 1 if self.fine else 1_000

    def read(self, texts: Sequence[bytes], ends: Flags | None = None) -> Stamps:
        """The instants of rows' texts; those of `ends` end their row, and may be torn."""
        parsed = [self.reader.parse(text.decode("utf-8", "replace").strip()) for text in texts]
        known = [
            each if each is not None and EARLIEST_NS <= each.at_ns <= LATEST_NS else None for each in parsed
        ]
        return self.of_instants(
            np.array([0 if each is None else each.at_ns for each in known], dtype=np.int64),
            np.array([each is not None and each.fixed for each in known], dtype=bool),
            np.array([each is not None for each in known], dtype=bool),
            np.array([0 if each is None else self._step_ns(each) for each in known], dtype=np.int64),
            ends=ends,
            lengths=np.array([len(text) for text in texts], dtype=np.int64),
        )

    def read_block(
        self, buffer: NDArray[np.uint8], starts: Integers, ends: Integers, torn: Flags | None = None
    ) -> Stamps:
        """The instants of the texts `buffer[starts[i]:ends[i]]`; those in a usual form by vectorised code.

        Those of `torn` end their row.
        """
        at_ns, fixed, steps_ns, done = block_of(self.reader, buffer, starts, ends)
        rest = np.flatnonzero(~done)
        readable = done.copy()
        for row, begin, end in zip(rest.tolist(), starts[rest].tolist(), ends[rest].tolist(), strict=True):
            found = self.reader.parse(buffer[begin:end].tobytes().decode("utf-8", "replace").strip())
            if found is not None and EARLIEST_NS <= found.at_ns <= LATEST_NS:
                at_ns[row], fixed[row], readable[row] = found.at_ns, found.fixed, True
                steps_ns[row] = self._step_ns(found)
        return self.of_instants(at_ns, fixed, readable, steps_ns, ends=torn, lengths=ends - starts)

    def _step_ns(self, found: Parsed) -> int:
        """The unit of the last digit, that of a coarser anchor than the column's included."""
        coarser = found.since_step_ns > self.writing.anchor_ns
        return min(found.step_ns + coarser * found.since_step_ns, LATEST_NS)

    def read_numbers(self, values: Integers | Floats, known: Flags) -> Stamps:
        """The instants of numbers; those that are not `known` have none."""
        assert isinstance(self.reader, NumberReader)
        at_ns, readable = instants_of(self.reader.scale, np.where(known, values, 0))
        fixed = np.full(at_ns.shape, not self.reader.scale.local)
        return self.of_instants(at_ns, fixed, readable & known)

    def of_instants(
        self,
        at_ns: Integers,
        fixed: Flags,
        readable: Flags,
        steps_ns: Integers | None = None,
        *,
        ends: Flags | None = None,
        lengths: Integers | None = None,
    ) -> Stamps:
        """From instants on the column's own clock (`fixed`: UTC already) to UTC; see `Writing.of_rows`.

        `lengths` is how many characters each has.
        """
        coarser = np.zeros(at_ns.shape, dtype=np.int64)
        if steps_ns is not None and lengths is not None:
            rows = np.flatnonzero(readable)
            slack_ns = np.maximum(steps_ns[rows], self.resolution_ns)
            readable[rows[out_of_order(at_ns[rows], slack_ns, lengths[rows])]] = False
        steps_ns = None if steps_ns is None else steps_ns[readable]
        ends = None if ends is None else ends[readable]
        coarser[readable] = self.writing.of_rows(at_ns[readable], self.resolution_ns, steps_ns, ends)
        every = self.writing.coarsest(at_ns[readable])
        coarser = np.maximum(coarser, every if every > self.resolution_ns else 0)
        later_ns, repeated = at_ns.copy(), np.zeros(at_ns.shape, dtype=bool)
        local = np.flatnonzero(readable & ~fixed)
        if local.size and self.zone is None:
            readable[local] = False
        elif local.size and self.zone is not None:
            found = self.zone.utc(at_ns[local])
            at_ns[local], later_ns[local] = found.utc_ns, found.later_ns
            repeated[local], readable[local] = found.repeated, found.exists
        return Stamps(at_ns, readable, repeated & readable, later_ns, coarser)

    def write(self, unix_ns: Integers) -> Texts:
        """Instants in the column's own form, rounded to `step_ns`; those of dates as ISO 8601 in UTC."""
        sign = b"," if self.comma else b"."
        if self.scale is None:
            return write_iso(unix_ns, fine=self.fine, sign=sign)
        local = self.zone.local(unix_ns) if self.scale.local and self.zone else unix_ns
        return write_numbers(local, self.scale, fine=self.fine, sign=sign)
