"""What a session writes, seen from the network thread: lines wait in memory until the disk has taken them."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from tidesync.sessions.document import Document, NotMetadataError, block_of
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.recorder.background import at_once
from tidesync.sessions.recorder.folder_writer import FolderWriter, Job, Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from runtime.clock import Reading
    from schemas.clock_history import ClockLine
    from schemas.events import EventLine
    from schemas.exchange import Exchange
    from tidesync.sessions.recorder.background import Background
    from tidesync.sessions.recorder.metadata import MetadataUpdate
    from tidesync.sessions.recorder.recording import Recording

_log = logging.getLogger(__name__)

_INDEX_LINES = 5000
_INDEX_SHARE = 200
_INDEX_BYTES_PER_S = 15_000
"""An index of a long journal is large, four bytes an exchange: it is written at most as often as that takes
so many bytes a second."""
_FRAME_NS = 3_000_000_000
"""A frame is appended so often; what a kill takes of the memory is asked for again."""
_FRAME_LINES = 5000


class SessionStore:
    """Writes one session; a disk that is slow, full or away raises nothing and holds up nothing.

    `problem` names it, what could not be written waits in memory, and each `write` tries again. All but
    `is_claimed` is for the network thread; `background` does what touches the disk.
    """

    def __init__(self, folder: Path, memory_exchanges: int, background: Background = at_once) -> None:
        self.folder = SessionFolder(folder)
        self._writer = FolderWriter(self.folder)
        self._memory_exchanges = memory_exchanges
        self._background = background
        self._new = Lines()
        self._unindexed = 0
        self._indexed_ns = self._index_bytes = self._frame_ns = 0
        self.jobs = 0
        """How often the disk was asked for something."""
        self._begun = False
        """The first write is done at once: who starts a session finds its metadata, or hears why not."""
        self._idle = threading.Event()
        self._idle.set()

    @property
    def problem(self) -> str | None:
        """Why the disk did not take something, a sentence; None if it took all that it was asked to."""
        return self._writer.problem

    @property
    def write_errors(self) -> int:
        """How often it did not."""
        return self._writer.write_errors

    @property
    def moved(self) -> bool:
        """The folder, or its journal, is not the one that was recorded into: nothing is written into it."""
        return self._writer.moved

    @property
    def metadata_changed(self) -> bool:
        """Somebody else has written the metadata since we did, or it could not be written."""
        return self._writer.metadata_changed

    @property
    def busy(self) -> bool:
        """Whether the disk is still at what it was last asked to write."""
        return not self._idle.is_set()

    @property
    def compressed(self) -> bool:
        """Whether exchanges and pieces are written in frames, every few seconds."""
        return self._writer.compressed

    def compress(self) -> None:
        """Write them so from now on; not to be called while the disk is `busy`."""
        self._writer.compressed = True

    @property
    def knows_long_end(self) -> bool:
        """Whether the end takes long, and the disk has that it has begun: a restart goes on with it."""
        saved = self._writer.saved
        return self.compressed and saved is not None and saved.stop_request_id is not None

    @property
    def settled(self) -> bool:
        """Whether the disk has taken everything."""
        return not (self.busy or self.waiting or self.problem)

    @property
    def full(self) -> bool:
        """Whether the memory holds as much as it may; what comes later must be requested again."""
        return self.waiting >= self._memory_exchanges

    @property
    def waiting(self) -> int:
        """Lines that the disk has not taken yet."""
        return len(self._new) + len(self._writer.lines)

    @property
    def resumes(self) -> bool:
        """Whether an earlier process has recorded something here, or may have."""
        here = self.folder
        try:
            return any(path.exists() for path in (*here.growing_paths, here.events_path))
        except OSError:
            return True

    def load_block(self) -> Document:
        """Our block in the metadata file, or an empty one."""
        try:
            return block_of(self.folder.read_metadata())
        except (OSError, NotMetadataError):
            return {}

    def note_resumed(self, unindexed: int) -> None:
        """So many lines of the journals follow their index."""
        self._unindexed = unindexed

    def index_due(self, exchanges: int, now: Reading, *, soon: bool = False) -> bool:
        """Whether so many lines follow the index, of `exchanges` in all, that it is to be written again.

        A restart reads them. `soon`: a few are enough.
        """
        wait_ns = self._index_bytes * 1_000_000_000 // _INDEX_BYTES_PER_S
        enough = soon or self._unindexed + len(self._new) >= max(_INDEX_LINES, exchanges // _INDEX_SHARE)
        return enough and not self.busy and self.problem is None and now.raw_ns - self._indexed_ns >= wait_ns

    def write_index(self, state: bytes, parts: Iterable[bytes | memoryview]) -> None:
        """Write the index of all lines, in this thread."""
        self._writer.write_index(state, parts)

    def add(
        self,
        exchanges: Sequence[Exchange] = (),
        events: Sequence[EventLine] = (),
        clock: Sequence[ClockLine] = (),
    ) -> None:
        """Append; in memory, while the disk does not take it. Events wait for no frame: none comes again."""
        self._new.exchanges.extend(exchanges)
        self._new.events.extend(events)
        self._new.clock.extend(clock)
        waits = self.compressed and len(self._new) < _FRAME_LINES
        if waits and not self._new.events:
            return
        if self._new and self.problem is None and not self.moved:
            self._ask(self._writer.append, lines=not waits)

    def claim_again(self) -> None:
        """Record into the folder that is there now, or a new one; what waits is appended first."""
        self._writer.claim_again()

    def is_claimed(self) -> bool:
        """Whether the folder is the one that was recorded into; any thread may ask."""
        try:
            return self._writer.claim.state() == "same"
        except OSError:
            return False

    def write(
        self,
        update: MetadataUpdate | None,
        recording: Recording | None,
        now: Reading,
        index: tuple[bytes, Iterable[bytes | memoryview]] | None = None,
        *,
        flush: bool = False,
    ) -> None:
        """Append what waits, merge the metadata, write an index of all lines; what is None is left out.

        `recording`: for a restart; None: it has ended, and a restart does not resume it. `flush`: no frame is
        waited for. Not to be called while the disk is `busy`.
        """
        state_and_parts = None
        if index:
            state_and_parts = index[0], [bytes(part) for part in index[1]]
            self._indexed_ns, self._index_bytes = (
                now.raw_ns,
                len(index[0]) + sum(map(len, state_and_parts[1])),
            )
        job = Job(recording, None if update is None else (update, now), state_and_parts)
        full = flush or index or update or not self.compressed or now.raw_ns - self._frame_ns >= _FRAME_NS
        self._frame_ns = now.raw_ns if full else self._frame_ns
        background = self._background if self._begun else at_once
        self._ask(lambda: self._writer.write(job), background, lines=bool(full))
        self._begun = True
        self._unindexed = 0 if index else self._unindexed

    def finish(self, within_s: float) -> None:
        """The process ends: have the disk take what waits, if it is done with the rest `within_s`."""
        if self._idle.wait(within_s):
            self._ask(self._writer.append, at_once)

    def forget(self) -> None:
        """The recording has ended: a restart does not resume it."""
        self._ask(lambda: self._writer.write(Job()))

    def _ask(
        self, work: Callable[[], None], background: Background | None = None, *, lines: bool = True
    ) -> None:
        if self.busy:
            return
        if lines:
            self._unindexed += len(self._new.exchanges) + len(self._new.clock)
            self._writer.lines.take(self._new)
        else:
            self._writer.lines.take_events(self._new)
        self.jobs += 1
        self._idle.clear()

        def done() -> None:
            try:
                work()
            finally:
                self._idle.set()

        (background or self._background)(done, f"write-{self.folder.path.name}")
