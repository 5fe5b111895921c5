"""`tidesync.interval`: what interval of topside's time a stamp was, from what the local topside shares.

Nothing is sent and nothing waits: the state is a file in memory (`topside_agent.shared_state.layout`), of
which a vehicle's place is decoded again when topside has written it, once a second.
"""

from __future__ import annotations

import logging
import mmap
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidesync.library.places import Interval, Place, place_of
from tidesync.sessions.errors import UsageError
from topside_agent.shared_state import layout
from topside_agent.shared_state.layout import boottime_ns, is_fresh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_log = logging.getLogger(__name__)
_AGAIN_NS = 200_000_000
"""What was not there is looked for again after so long."""
_VARIABLE = "TIDESYNC_SHARED_STATE"


class SharedState:
    """Reads the first of `paths` that a topside keeps up to date; from any thread, and after a fork."""

    def __init__(self, paths: Sequence[Path], now_ns: Callable[[], int] = boottime_ns) -> None:
        self._paths, self._now_ns = paths, now_ns
        self._places: dict[str, Place] = {}
        self._memory: mmap.mmap | None = None
        self._looked_ns: dict[str, int] = {}
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def interval(self, stamp_ns: int, vehicle: str) -> Interval | None:
        """See `tidesync.interval`."""
        if type(stamp_ns) is not int:
            stamp_ns = _integer(stamp_ns)
        if type(vehicle) is not str:
            raise UsageError(f"vehicle: expected a name, received {vehicle!r}")
        now_ns = self._now_ns()
        place = self._places.get(vehicle)
        if place is not None:
            if place.changed():
                with self._lock:
                    place.load()
            known = place.known
            if is_fresh(known.written_ns, now_ns):
                return known.interval(stamp_ns)
        place = self._sought(vehicle, now_ns)
        return None if place is None else place.known.interval(stamp_ns)

    def _sought(self, vehicle: str, now_ns: int) -> Place | None:
        """The vehicle's place in a file that is up to date, looked for now and then."""
        with self._lock:
            place = self._places.get(vehicle)
            if place is not None and is_fresh(place.known.written_ns, now_ns):
                return place  # another thread was here before
            if now_ns - self._looked_ns.get(vehicle, -layout.EVER_NS) < _AGAIN_NS:
                return None
            self._looked_ns = {vehicle: now_ns} if len(self._looked_ns) > layout.PLACES else self._looked_ns
            self._looked_ns[vehicle] = now_ns
            for memory in self._memories():
                place = place_of(memory, vehicle)
                if place is not None and is_fresh(place.known.written_ns, now_ns):
                    if memory is not self._memory:
                        self._places, self._memory = {}, memory
                    self._places[vehicle] = place
                    return place
            self._places.pop(vehicle, None)
            return None

    def _memories(self) -> Iterable[mmap.mmap]:
        if self._memory is not None:
            yield self._memory
        for path in self._paths:
            memory = _mapped(path)
            if memory is not None:
                yield memory

    def _forked(self) -> None:
        self._lock = threading.Lock()


def _mapped(path: Path) -> mmap.mmap | None:
    """The file in memory; None where it is none of this version."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            memory = mmap.mmap(file.fileno(), layout.SIZE, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    header = layout.encode_header()
    if memory[: len(header)] == header:
        return memory
    if memory[: len(layout.MAGIC)] == layout.MAGIC:
        _log.debug("%s is of another version of tidesync", path)
    return None


def _at_once(path: str, flags: int) -> int:
    """Opened without waiting for a writer, if it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _integer(stamp_ns: Any) -> int:
    """An integer of another type; UsageError for all else, as floats do not hold nanoseconds."""
    if isinstance(stamp_ns, float | bool) or not hasattr(stamp_ns, "__index__"):
        raise UsageError(f"stamp_ns: expected an integer of Unix nanoseconds, received {stamp_ns!r}")
    try:
        return int(stamp_ns.__index__())
    except TypeError as error:  # an array of several
        raise UsageError(
            f"stamp_ns: expected an integer of Unix nanoseconds, received {stamp_ns!r}"
        ) from error


def _paths() -> list[Path]:
    given = os.environ.get(_VARIABLE)
    if given:
        return [] if given == "off" else [Path(given)]
    return layout.default_paths()


_state: SharedState | None = None


def interval(stamp_ns: int, vehicle: str) -> Interval | None:
    """What interval of topside's time it was when the clock of `vehicle` showed `stamp_ns` (Unix ns).

    Past stamps included, as far back as topside keeps them: half an hour. The state is that of the topside
    on this computer, from the file of its `--shared-state`, or here of the environment variable
    TIDESYNC_SHARED_STATE; by default both look in the same places. None where there is none, it is older
    than 3 s by a clock that counts sleep, or the vehicle is not measured. The answer's `state` says how far
    to trust it: see `Interval`. UsageError for what is no integer.

    Within [lower, upper] the truth is, for `ok`, if no message travels back in time, the RAW clocks keep
    their limits and both machines' clock histories are right. `conditional` also assumes that the vehicle's
    clock moved between two readings no farther than they show, and goes on since as it did.

    Assumption: the stamp was made while topside measured the vehicle, and before it read the vehicle's
    clock last. A clock that is set back shows what it showed before: a new stamp is taken for the old one
    until topside has heard of that, some tenths of a second later, or after an outage.
    """
    global _state  # noqa: PLW0603 - the mapping is kept
    if _state is None:
        _state = SharedState(_paths())
    return _state.interval(stamp_ns, vehicle)
