"""A counter of time elapsed that began again at zero: it was restarted, or ran over (32 bits of µs: 71 min).

The rows behind have another anchor, which nobody stated, so the table is refused. A counter's value that
falls by more than a second and by more than half of what the table covers so far, after it rose, shows it.

Assumption: no row is late by so much; a shuffled table is refused too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from tidesync.sessions.correction.table import Job
    from topside_agent.estimator.blocks import Integers

_LEAST_NS = 1_000_000_000


class RestartCheck:
    """Takes a table's instants in the order of its rows."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._first_ns: int | None = None
        self._last = np.zeros(0, dtype=np.int64)

    def note(self, unix_ns: Integers) -> None:
        """The next rows' instants; UnusableFileError where a counter of elapsed time began again."""
        if self._job.stamps.since is None or not unix_ns.size:
            return
        at_ns = np.concatenate([self._last, unix_ns])
        if self._first_ns is None:
            self._first_ns = int(at_ns[0])
        before, last, following = at_ns[:-2], at_ns[1:-1], at_ns[2:]
        fell = (before <= last) & (last - following > _LEAST_NS)
        fell &= 2 * following < self._first_ns + last
        self._last = at_ns[-2:]
        if fell.any():
            place = int(np.flatnonzero(fell)[0])
            back_s = int(last[place] - following[place]) / 1e9
            reason = (
                f"--since: its elapsed times fall back by {back_s:.3f} s: the counter began again, or "
                "its rows are in disorder; divide the table there, or name a column of anchors"
            )
            raise UnusableFileError(self._job.path, reason)
