"""The shared file's one writer: a new file at each start, in a folder of its own, that every user may read.

Writing goes to memory: no broker and no reader can hold it up. Where the file cannot be made, or has no
room for a vehicle, there is none, and the agent goes on.
"""

from __future__ import annotations

import logging
import mmap
import os
from typing import TYPE_CHECKING

from runtime.file_lock import lock
from topside_agent.shared_state import layout
from topside_agent.shared_state.layout import Head

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from topside_agent.shared_state.layout import Entry, Span

_log = logging.getLogger(__name__)
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644


class SharedFile:
    """The mapped file; `create` makes it. Used in one thread."""

    def __init__(self, path: Path, descriptor: int, memory: mmap.mmap, lock_descriptor: int) -> None:
        self._path, self._descriptor, self._memory, self._lock = path, descriptor, memory, lock_descriptor
        self._places: dict[str, int] = {}
        self._sequence: dict[int, int] = {}
        self._full = False

    @classmethod
    def create(cls, path: Path) -> SharedFile | None:
        """A new file in place of an older one; None, with a line in the log, where that fails.

        Another topside that runs keeps its own.
        """
        try:
            if not path.parent.exists():
                path.parent.mkdir(parents=True)
                path.parent.chmod(_FOLDER_MODE)  # whatever the umask is
            descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, _FILE_MODE)
            if not lock(descriptor):
                os.close(descriptor)
                _log.warning("shared state %s: another topside of this computer writes it", path)
                return None
            return cls(path, *_new(path), descriptor)
        except (OSError, ValueError, MemoryError) as error:
            _log.warning("shared state %s: not written: %s", path, error)
            return None

    def place(self, vehicle: str) -> int | None:
        """The vehicle's place, taken now if it has none; None where all are taken."""
        if vehicle not in self._places and not self._full:
            index = len(self._places)
            try:
                _reserve(self._descriptor, layout.place_of(index), layout.PLACE_BYTES)
            except OSError as error:
                self._full = True
                _log.warning("%s has no place for %s: %s", self._path, vehicle, error)
                return None
            self._places[vehicle] = index
            self._full = len(self._places) == layout.PLACES
            self._write(layout.DIRECTORY + index * layout.NAME_BYTES, layout.encode_name(vehicle))
        return self._places.get(vehicle)

    def write(
        self,
        index: int,
        entries: Iterable[Entry],
        *,
        counts: tuple[int, int],
        tail: tuple[Entry, ...],
        spans: tuple[Span, ...],
        written_ns: int,
    ) -> None:
        """New entries, and a head that counts them; `counts`: the first that is kept, and the next."""
        for entry in entries:
            self._write(layout.entry_at(index, entry.number), layout.encode_entry(entry))
        sequence = self._sequence[index] = self._sequence.get(index, 0) + 1
        head = layout.encode_head(Head(sequence, written_ns, *counts, tail, spans))
        self._write(layout.place_of(index) + sequence % 2 * layout.HEAD_BYTES, head)

    def close(self) -> None:
        """Readers have nothing from now on."""
        for index in self._places.values():
            self.write(index, (), counts=(0, 0), tail=(), spans=(), written_ns=-layout.EVER_NS)
        self._write(0, bytes(layout.HEADER.size))
        self._memory.close()
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        os.close(self._lock)

    def _write(self, begin: int, record: bytes) -> None:
        self._memory[begin : begin + len(record)] = record


def _new(path: Path) -> tuple[int, mmap.mmap]:
    """The open file and its memory, under its name once its header is written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, _FILE_MODE)
    try:
        temporary.chmod(_FILE_MODE)
        os.ftruncate(descriptor, layout.SIZE)
        _reserve(descriptor, 0, layout.PLACE)
        memory = mmap.mmap(descriptor, layout.SIZE)
        header = layout.encode_header()
        memory[: len(header)] = header
        temporary.replace(path)
    except BaseException:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
        raise
    return descriptor, memory


def _reserve(descriptor: int, begin: int, size: int) -> None:
    """Take the pages now: a full tmpfs is an OSError here; later it would end the process by a signal."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, begin, size)


def shared_file(stated: Path | None) -> SharedFile | None:
    """The file that settings ask for; None for `off`, or where no place for it can be written."""
    if stated is not None:
        return None if str(stated) == "off" else SharedFile.create(stated)
    made = (SharedFile.create(path) for path in layout.default_paths() if _may_write(path))
    return next((each for each in made if each is not None), None)


def _may_write(path: Path) -> bool:
    """Whether the folder is there, or can be made."""
    folder = path.parent if path.parent.exists() else path.parent.parent
    return os.access(folder, os.W_OK)
