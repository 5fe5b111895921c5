"""Timestamps that are written more coarsely than they were taken: true ones within ± the resolution.

A writer cuts off, or it rounds: a stamp t, written in steps of r, was taken in [t, t + r) or in
[t − r/2, t + r/2]. The instant of t is reported, and t − r to t + r are covered.

In a segment the Pi's clock only rises, so the true instant is not before the earliest instant of t − r and
not after the latest of t + r. Where r is at most 2 ms, those are within 1.12·r of that of t: no
two clocks run farther apart. Segments reach r farther on both sides: a stamp written within r of a cut may
have been taken on its other side, and is ambiguous.

Assumption: r is the resolution in which the column is written (stamps/resolution.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tidesync.sessions.correction.interpolation import Instants, Inverse
    from topside_agent.estimator.blocks import Integers

_FINE_NS = 2_000_000
_RATES = 1.12
"""More than any two clocks of two machines run apart."""


class CoarseInverse:
    """`fine`, for timestamps that were taken up to `resolution_ns` before or after what is written."""

    def __init__(self, fine: Inverse, resolution_ns: int) -> None:
        self._fine, self._resolution_ns = fine, resolution_ns
        self.first_ns, self.last_ns = fine.first_ns + resolution_ns, fine.last_ns - resolution_ns

    def instants(self, pi_ns: Integers) -> Instants:
        """The topside instants of `pi_ns`, with errors that cover the resolution."""
        written = self._fine.instants(pi_ns)
        wider = np.ceil(_RATES * self._resolution_ns)
        if self._resolution_ns <= _FINE_NS:
            return written._replace(max_error_ns=written.max_error_ns + wider, u95_ns=written.u95_ns + wider)
        earliest = self._fine.instants(pi_ns - self._resolution_ns)
        latest = self._fine.instants(pi_ns + self._resolution_ns)
        error = np.maximum(
            written.topside_ns - earliest.topside_ns + earliest.max_error_ns,
            latest.topside_ns - written.topside_ns + latest.max_error_ns,
        )
        return written._replace(
            max_error_ns=np.maximum(error, written.max_error_ns),
            u95_ns=np.minimum(written.u95_ns + wider, error),
            held=earliest.held | written.held | latest.held,
            undecided=earliest.undecided | written.undecided | latest.undecided,
        )
