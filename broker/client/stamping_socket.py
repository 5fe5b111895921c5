"""A TCP socket with the kernel's receive stamps."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from broker.client.stamps import KernelStamp

if TYPE_CHECKING:
    from collections.abc import Iterable

READ_AHEAD = 4096
"""Bytes asked for at a time: one system call reads a whole ping or pong."""
GATHERED = 64 * 1024
"""The same where messages are let gather: all of one read have its stamp."""
_MOST_AT_ONCE = 1 << 16
"""No more memory is set aside for one read, whatever a peer promises to send."""

# From linux/net_tstamp.h, asm-generic/socket.h and linux/tcp.h; Python 3.11 names none of them.
_SO_TIMESTAMPING = 37
_RX_SOFTWARE = 1 << 3
_SOFTWARE = 1 << 4
_TCP_INQ = 36

_SOCKET, _TCP = socket.SOL_SOCKET, socket.IPPROTO_TCP
_TIMESPEC = struct.Struct("@ll")
_INQ = struct.Struct("@i")
_HAS_STAMPS = sys.platform == "linux" and callable(getattr(socket.socket, "recvmsg", None))
_cmsg_space: Any = getattr(socket, "CMSG_SPACE", int)
_ANCILLARY = _cmsg_space(3 * _TIMESPEC.size) + _cmsg_space(_INQ.size)


class StampingSocket(socket.socket):
    """Reads ahead, so `pending` must be asked before waiting; `refused` says why there are no stamps."""

    if sys.platform == "win32":
        recvmsg: Any
        """Windows has none, and gives no stamps."""

    refused: str | None = None
    _deadline_s: float | None = None
    _ahead = b""
    _stamp_ns = 0
    _behind = 1

    @classmethod
    def adopt(cls, tcp: socket.socket) -> StampingSocket:
        """Take over a connected socket, and ask the kernel for stamps from now on."""
        timeout_s = tcp.gettimeout()
        adopted = cls(tcp.family, tcp.type, tcp.proto, fileno=tcp.detach())
        adopted.settimeout(timeout_s)
        adopted.refused = adopted._ask_for_stamps()
        return adopted

    def limit_handshake(self, seconds: float) -> None:
        """Until `setblocking(False)`, reads may take this long in total; TimeoutError after it.

        A time-out for each read alone lets a peer that sends a byte now and then hold the caller for ever.
        """
        self._deadline_s = monotonic() + seconds

    def setblocking(self, flag: bool, /) -> None:
        """As for any socket; without blocking there is no deadline."""
        if not flag:
            self._deadline_s = None
        super().setblocking(flag)

    def _set_time_left(self, deadline_s: float) -> None:
        left_s = deadline_s - monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left_s)

    def _ask_for_stamps(self) -> str | None:
        """Why the kernel gives no stamps, or None when it accepted the request."""
        if not _HAS_STAMPS:
            return f"{sys.platform} has none"
        try:
            self.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)
        except OSError as error:
            return f"the system refuses them: {error.strerror}"
        with contextlib.suppress(OSError):  # without it, no stamp is ever called exact
            self.setsockopt(socket.IPPROTO_TCP, _TCP_INQ, 1)
        return None

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """At most `bufsize` bytes; `flags` must be 0."""
        if flags:
            raise ValueError(f"expected no flags, received {flags}")
        bufsize = min(bufsize, _MOST_AT_ONCE)
        data = self._ahead
        if not data and self._deadline_s is not None:
            self._set_time_left(self._deadline_s)
        if not data and self.refused:
            data = super().recv(max(bufsize, READ_AHEAD))
        elif not data:
            data, ancillary, _, _ = self.recvmsg(max(bufsize, READ_AHEAD), _ANCILLARY)
            self._stamp_ns, self._behind = _parsed(ancillary)
        self._ahead = data[bufsize:]
        return data[:bufsize]

    def pending(self) -> int:
        """Bytes that `recv` gives although the kernel may have none."""
        return len(self._ahead)

    def arrival(self) -> KernelStamp | None:
        """When the kernel received the bytes that `recv` gave last, where it stamped them.

        It holds for the last byte of one `recvmsg`, and is later than the arrival of the bytes before it. The
        kernel joins queued segments and keeps the last one's stamp: with bytes behind, it may be theirs.
        """
        if not self._stamp_ns:
            return None
        return KernelStamp(self._stamp_ns, exact=not self._ahead and self._behind == 0)


def _parsed(ancillary: Iterable[tuple[int, int, bytes]]) -> tuple[int, int]:
    """The stamp (ns of realtime, 0 when there is none) and how many bytes are queued behind (else 1)."""
    stamp_ns, behind = 0, 1
    for level, kind, content in ancillary:
        if kind == _SO_TIMESTAMPING and level == _SOCKET and len(content) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(content)
            stamp_ns = seconds * 1_000_000_000 + nanoseconds
        elif kind == _TCP_INQ and level == _TCP and len(content) >= _INQ.size:
            (behind,) = _INQ.unpack_from(content)
    return stamp_ns, behind
