"""Running out of memory: what is prepared for it at the start, and how it is counted at the edges.

A process under `ulimit -v` (RLIMIT_AS) has to have room for its libraries and for the stacks of its threads:
below that, libraries that are not Python abort it. Where memory ends later, what asked for it is given up.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
from collections import Counter
from typing import Literal

from runtime.errors import MemoryLimitError
from runtime.system_modules import resource

_log = logging.getLogger(__name__)

Edge = Literal["message", "connection", "http"]
"""Where memory ended: with a message or other work of the agent, in the connection to the broker, or with a
request."""
shortages: Counter[Edge] = Counter()
"""How often this process gave something up because memory ended, by the edge at which it was noticed."""

LEAST_BYTES = 192 << 20
_HEAPS_OPTION = -8
"""Of glibc's `mallopt`, how many heaps threads may have: each takes 64 MiB of the address space."""
_MAPPED_OPTION = -3
"""From how many bytes on memory is mapped by itself, and given back when it is freed."""
_MAPPED_BYTES = 256 << 10
"""Left alone glibc raises this to 32 MiB, and what long sessions have freed stays in holes of the heap."""
_OBJECTS, _COLLECTIONS = 50_000, (20, 20)
"""Made and not freed until a collection, some 10 MB; collections of each generation until one of the next."""


def prepare() -> None:
    """To be called before numpy is imported; MemoryLimitError where the process may have too little.

    numpy's linear algebra gets one thread: each more takes 32 MiB, and the matrices here are small.
    """
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    _mallopt(_MAPPED_OPTION, _MAPPED_BYTES)
    most = _limit_bytes()
    if most is None:
        return
    if most < LEAST_BYTES:
        raise MemoryLimitError(
            f"this process may have {most >> 20} MiB of address space (ulimit -v, RLIMIT_AS); it needs "
            f"{LEAST_BYTES >> 20} MiB"
        )
    _mallopt(_HEAPS_OPTION, 2)


def collect_rarely() -> None:
    """Have Python look for cycles of objects after more of them were made, and not among those made so far.

    Looking at what the exchanges of 1000 vehicles make, each 700 objects, takes 6 % of topside's time; nearly
    all are freed without.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS, *_COLLECTIONS)


def _mallopt(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library than glibc
        ctypes.CDLL(None).mallopt(option, value)


def note(edge: Edge, what: str) -> None:
    """Count that memory ended, and log the first time and each tenfold: a peer may be the cause."""
    shortages[edge] += 1
    count = shortages[edge]
    if str(count).rstrip("0") == "1":
        with contextlib.suppress(MemoryError):
            _log.error("out of memory, %s is given up (%d so far)", what, count)


def is_shortage(error: BaseException | None) -> bool:
    """Whether `error`, or one that led to it, is for want of memory: also of a thread or a library."""
    while error is not None:
        text = str(error)
        if isinstance(error, MemoryError):
            return True
        if isinstance(error, RuntimeError) and "can't start new thread" in text:
            return True
        if isinstance(error, ImportError | OSError) and (
            "failed to map segment" in text or "Cannot allocate memory" in text
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def _limit_bytes() -> int | None:
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else int(soft)
