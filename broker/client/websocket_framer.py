"""paho's WebSocket, made to take a packet whole or not at all, as TLS does."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from broker.client.stamping_tls import StampingTls


class Frames(Protocol):
    """paho's wrapper: `send` frames its data, or goes on with the frame before while a part of it is left."""

    _sendbuffer: bytearray

    def recv(self, length: int) -> bytes:
        """Bytes of one frame at most."""

    def send(self, data: bytes | bytearray) -> int:
        """Bytes taken, 0 while a part of a frame is left."""

    def fileno(self) -> int:
        """The socket's."""

    def setblocking(self, flag: bool) -> None:
        """As on the socket."""

    def close(self) -> None:
        """Close the socket."""


class WebSocketFramer:
    """What paho asks of a socket; a frame that the socket would not take yet is `unsent` until `flush`."""

    def __init__(self, frames: Frames, tls: StampingTls | None) -> None:
        self._frames = frames
        self._tls = tls
        self.recv = frames.recv
        self.fileno = frames.fileno
        self.setblocking = frames.setblocking
        self.close = frames.close

    def send(self, data: bytes | bytearray) -> int:
        """Frame and send; BlockingIOError, with nothing taken, while an earlier frame is unsent."""
        self.flush()
        with contextlib.suppress(BlockingIOError):
            self._frames.send(data)
        return len(data)

    @property
    def unsent(self) -> bool:
        """Whether a frame waits for the socket to be writable."""
        return bool(self._frames._sendbuffer) or (self._tls is not None and self._tls.unsent)  # noqa: SLF001

    def flush(self) -> None:
        """Send what is left of a frame; BlockingIOError when not all of it could be."""
        while self._frames._sendbuffer:  # noqa: SLF001 - no method of it tells
            self._frames.send(b"")
        if self._tls:
            self._tls.flush()
