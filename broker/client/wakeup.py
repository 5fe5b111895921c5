"""What ends a thread's wait on its sockets from any other thread."""

from __future__ import annotations

import contextlib
import select
import socket


class Wakeup:
    """Select on it beside other sockets; `wake` makes it readable until `drain`."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def fileno(self) -> int:
        """What to select on."""
        return self._read.fileno()

    def wake(self) -> None:
        """End the wait that is under way, or the next one."""
        with contextlib.suppress(BlockingIOError):  # it is awake already
            self._write.send(b"\0")

    def drain(self) -> None:
        """Have the next wait last again."""
        with contextlib.suppress(BlockingIOError):
            while self._read.recv(4096):
                pass

    def pause(self, seconds: float) -> None:
        """Wait for `wake`, so long at most."""
        select.select([self._read], [], [], seconds)
        self.drain()
