"""Runs of rows whose Pi times follow each other, and the breaks between them, found in one pass over a table.

A chunk's *spacing* is the median distance of the times of two consecutive rows; its direction is the one in
which most times go. A time follows another in that direction if it is not more than _BACK spacings before
and _AHEAD after it; in a regular chunk, where nearly all are about one spacing apart, only if it is at least
half of one after it. All else is a break; breaks with a few rows between them are one. So what is out
of place by a few rows stays within a run, or is a break of a few rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Integers

_CHUNK = 256
"""Rows with one spacing and direction."""
_BLOCK = 256 * _CHUNK
_BACK, _AHEAD = 2, 8
_REGULAR = 0.9
"""A chunk is regular if such a share of its steps is between a half and one and a half spacings."""
_MERGED = 11
"""Breaks with fewer rows between them are one."""
_CHANGE = 3
"""Where the spacing changes by such a factor, there is a break."""
MOST_BREAKS = 20_000
"""With more, the table has no order."""


class Breaks(NamedTuple):
    """Arrays with an entry for each break. Rows are counted from 0, times are ns."""

    last: Integers
    """The last row before it."""
    first: Integers
    """The first row after it."""
    before_ns: Integers
    after_ns: Integers
    spacing_before: Integers
    spacing_after: Integers
    forward_before: Integers
    """1 where times rise in the run before it, else 0."""
    forward_after: Integers
    least_ns: Integers
    """The extreme times of the rows before and after it and of those between, which are of neither run."""
    greatest_ns: Integers


class RunFinder:
    """Takes the times of a table's rows; the result does not depend on how they are divided into batches."""

    def __init__(self) -> None:
        self._pending: list[Integers] = []
        self._waiting = 0
        self._count = 0
        """The rows before the pending ones, of which the last one is pending too."""
        self._chunk: tuple[int, int] | None = None
        """Spacing and direction of the chunk before the pending rows."""
        self._found: list[Breaks] = []
        self._breaks = 0
        self.ends_ns: tuple[int, int] | None = None
        """The times of the first and the last row."""
        self.rows = 0

    @property
    def disordered(self) -> bool:
        """Whether there are more than MOST_BREAKS."""
        return self._breaks > MOST_BREAKS

    def note(self, pi_ns: Integers) -> None:
        """Take the next rows' times."""
        if not pi_ns.size:
            return
        first_ns = int(pi_ns[0]) if self.ends_ns is None else self.ends_ns[0]
        self.ends_ns = first_ns, int(pi_ns[-1])
        self.rows += pi_ns.size
        self._pending.append(pi_ns)
        self._waiting += pi_ns.size
        if self._waiting > _BLOCK + _CHUNK:
            pending = np.concatenate(self._pending)
            while pending.size > _BLOCK + _CHUNK:
                self._note_block(pending[: _BLOCK + 1])
                pending = pending[_BLOCK:]
            self._pending, self._waiting = [pending], pending.size

    def breaks(self) -> Breaks:
        """All breaks, once every row has been noted."""
        if self._waiting > 1:
            self._note_block(np.concatenate(self._pending))
        self._pending, self._waiting = [], 0
        if not self._found or self.disordered:
            return Breaks(*(np.zeros(0, dtype=np.int64) for _ in Breaks._fields))
        return _merged(Breaks(*(np.concatenate(column) for column in zip(*self._found, strict=True))))

    def _note_block(self, pi_ns: Integers) -> None:
        step = np.diff(pi_ns)
        spacing, forward, regular, edges = _chunks(step)
        places = np.concatenate([[edge for edge in edges if edge], [0]]).astype(np.int64)
        signed = np.where(forward, step, -step)
        least = np.where(regular == 1, spacing // 2, -_BACK * spacing)
        follows = (signed >= least) & (signed <= _AHEAD * spacing)
        old = spacing[places - 1], forward[places - 1]
        if self._chunk is not None:
            old[0][-1], old[1][-1] = self._chunk
        else:
            old[0][-1], old[1][-1] = spacing[0], forward[0]
        narrow, wide = np.minimum(old[0], spacing[places]), np.maximum(old[0], spacing[places])
        follows[places[(wide > _CHANGE * narrow) | (old[1] != forward[places])]] = False
        self._chunk = int(spacing[-1]), int(forward[-1])
        self._note_breaks(np.flatnonzero(~follows), pi_ns, spacing, forward)
        self._count += step.size

    def _note_breaks(self, broken: Integers, pi_ns: Integers, spacing: Integers, forward: Integers) -> None:
        if not broken.size or self.disordered:
            return
        apart = np.flatnonzero(np.diff(broken) > _MERGED)
        begin, end = broken[np.concatenate([[0], apart + 1])], broken[np.concatenate([apart, [-1]])]
        before, after = np.maximum(begin - 1, 0), np.minimum(end + 1, spacing.size - 1)
        found = Breaks(
            self._count + begin,
            self._count + end + 1,
            pi_ns[begin],
            pi_ns[end + 1],
            spacing[before],
            spacing[after],
            forward[before],
            forward[after],
            *(_within(each, pi_ns, begin, end + 2) for each in (np.minimum, np.maximum)),
        )
        self._found.append(found)
        self._breaks += begin.size


def _within(extreme: np.ufunc, values: Integers, begins: Integers, ends: Integers) -> Integers:
    """The extreme value of each part from `begins` to before `ends`, which may be the end of the values."""
    edges = np.stack([begins, ends], axis=1).ravel()
    found: Integers = extreme.reduceat(np.append(values, values[-1]), edges)[::2]
    return found


def _chunks(step: Integers) -> tuple[Integers, Integers, Integers, list[int]]:
    """Spacing, direction and regularity at each step between two rows, and where chunks begin."""
    edges = [index * _CHUNK for index in range(max(step.size // _CHUNK, 1))]
    whole = step[: edges[-1]].reshape(-1, _CHUNK)
    parts = [_of_chunks(each) for each in (whole, step[None, edges[-1] :])]
    lengths = np.diff([*edges, step.size])
    columns = (np.repeat(np.concatenate(each), lengths) for each in zip(*parts, strict=True))
    spacing, forward, regular = columns
    return spacing, forward, regular, edges


def _of_chunks(step: Integers) -> tuple[Integers, Integers, Integers]:
    """Of each row of a matrix the median size of the steps other than 0, and two flags.

    The first is whether more steps rise than fall, the second whether nearly all have about the median size.
    """
    size = np.abs(step)
    ordered = np.sort(size, axis=1)
    zeros = (ordered == 0).sum(axis=1)
    middle = np.minimum((zeros + size.shape[1]) // 2, size.shape[1] - 1)
    spacing = ordered[np.arange(size.shape[0]), middle]
    forward = (step > 0).sum(axis=1) >= (step < 0).sum(axis=1)
    usual = (2 * size >= spacing[:, None]) & (2 * size <= 3 * spacing[:, None])
    regular = usual.sum(axis=1) >= _REGULAR * size.shape[1]
    return spacing, forward.astype(np.int64), regular.astype(np.int64)


def _merged(found: Breaks) -> Breaks:
    """Breaks of neighbouring blocks with few rows between them are one."""
    apart = np.flatnonzero(found.last[1:] - found.first[:-1] + 1 > _MERGED)
    begin, end = np.concatenate([[0], apart + 1]), np.concatenate([apart, [found.last.size - 1]])
    places = {"first", "after_ns", "spacing_after", "forward_after"}
    columns = {
        name: column[end if name in places else begin]
        for name, column in zip(Breaks._fields, found, strict=True)
    }
    columns["least_ns"] = np.minimum.reduceat(found.least_ns, begin)
    columns["greatest_ns"] = np.maximum.reduceat(found.greatest_ns, begin)
    return Breaks(**columns)
