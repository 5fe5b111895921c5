"""The stamps of consecutive messages as a batch of rows; those that are no timestamp are malformed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tidesync.sessions.correction.table import Batch, Malformed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.unexplained import Flags


def batch_of(form: StampForm, stamps: NDArray[Any], known: Flags, *, size: int, before: int) -> Batch:
    """Those of `size` bytes of messages, of which `before` were read already; void where not `known`."""
    found = form.read_numbers(np.where(known, stamps, 0).astype(np.int64), known)
    malformed = [
        Malformed(before + row + 1, str(stamps[row])) for row in np.flatnonzero(~found.readable).tolist()
    ]
    return Batch(None, found.unix_ns, found.readable, malformed, size, None, found.resolution_ns)
