"""A UDP socket that knows when datagrams arrived and left: the kernel's stamps, in ns of realtime.

Linux stamps in software: arrivals with the datagram, departures through the socket's error queue, numbered
(SO_TIMESTAMPING with OPT_ID; OPT_TSONLY, without the datagram itself). Elsewhere there are none.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections import OrderedDict
from struct import Struct
from typing import TYPE_CHECKING, Any

from runtime.errors import ListenError

if TYPE_CHECKING:
    from collections.abc import Iterable

# From linux/net_tstamp.h, asm-generic/socket.h and linux/errqueue.h; Python names none of them.
_TX_SOFTWARE, _RX_SOFTWARE, _SOFTWARE, _OPT_ID, _OPT_TSONLY = 1 << 1, 1 << 3, 1 << 4, 1 << 7, 1 << 11
_FLAGS = _TX_SOFTWARE | _RX_SOFTWARE | _SOFTWARE | _OPT_ID | _OPT_TSONLY
_TIMESTAMPING_OLD, _TIMESTAMPING_NEW = 37, 65
"""The new one has 64-bit times on every system; Linux 5.1."""
_STAMPS = {_TIMESTAMPING_OLD, _TIMESTAMPING_NEW}
_OPTIONS = (_TIMESTAMPING_OLD,) if sys.maxsize > 2**32 else (_TIMESTAMPING_NEW, _TIMESTAMPING_OLD)
_ORIGIN_TIMESTAMPING, _OF_SENDING = 4, 0
_ERRORS = {(socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR and IPV6_RECVERR."""
_ERROR = Struct("@IBBBBII")
_SHORT, _LONG = Struct("=6i"), Struct("=6q")
_SOCKET = socket.SOL_SOCKET
_HAS_STAMPS = sys.platform == "linux" and callable(getattr(socket.socket, "recvmsg", None))
_space: Any = getattr(socket, "CMSG_SPACE", int)
_ANCILLARY = _space(_LONG.size) + _space(_ERROR.size + 28)
"""28: the size of the largest socket address that an error names."""
_ERROR_QUEUE: int = getattr(socket, "MSG_ERRQUEUE", 0) | getattr(socket, "MSG_DONTWAIT", 0)
_COUNT = 2**32
_KEPT = 64

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""As the `socket` module has it."""


class StampedSocket:
    """Receives and sends without waiting, unless `wait_at_most` was called."""

    def __init__(self, family: int) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self._recvmsg: Any = getattr(self.socket, "recvmsg", None)
        self.refused = self._ask_for_stamps()
        """Why the kernel gives no stamps; None if it accepted the request."""
        self._next = 0
        """The kernel's number of the next datagram that is sent."""
        self._left: OrderedDict[int, int] = OrderedDict()

    @classmethod
    def refusal(cls) -> str | None:
        """Why this system gives no stamps; None if it does."""
        asked = cls(socket.AF_INET)
        asked.close()
        return asked.refused

    def wait_at_most(self, seconds: float) -> None:
        """Have `receive` wait: one system call for a datagram, where a time-out of Python's polls first."""
        self.socket.setblocking(True)
        whole, parts = divmod(round(seconds * 1e6), 1_000_000)
        if sys.platform == "win32":
            times = [Struct("@I").pack(whole * 1000 + parts // 1000)]
        else:  # in C's long, or in 64 bits where times have these on a 32-bit system
            times = [Struct(layout).pack(whole, parts) for layout in ("@ll", "@qq")]
        for time in times:
            with contextlib.suppress(OSError):
                self.socket.setsockopt(_SOCKET, socket.SO_RCVTIMEO, time)
                return
        self.socket.settimeout(seconds)

    def receive(self, size: int) -> tuple[bytes, int, SocketAddress] | None:
        """A datagram's first `size` bytes, the kernel's stamp or 0, the sender; None if there is none.

        An ICMP error of an earlier datagram counts as none. OSError if the socket is of no use any more.
        """
        try:
            if self.refused:
                data, sender = self.socket.recvfrom(size)
                return data, 0, sender
            data, ancillary, _, sender = self._recvmsg(size, _ANCILLARY)
        except OSError as error:
            if is_lasting(error):
                raise
            return None
        return data, _stamp(ancillary), sender

    def send(self, data: bytes, to: SocketAddress) -> int | None:
        """Send; the number under which `left` knows the departure; None: it could not be sent."""
        try:
            self.socket.sendto(data, to)
        except OSError as error:
            if is_lasting(error):
                raise
            return None
        number = self._next
        self._next = (number + 1) % _COUNT
        return number

    def collect(self, number: int) -> None:
        """Take stamps from the error queue, which needs room and ends waits, until that of `number` came.

        One of a number that was not sent yet shows that the kernel counted a datagram which it did not send:
        it is the newest one's, and counting goes on from it.
        """
        while not self.refused and number not in self._left:
            try:
                _, ancillary, _, _ = self._recvmsg(0, _ANCILLARY, _ERROR_QUEUE)
            except OSError:
                break
            which, stamp_ns = _number(ancillary), _stamp(ancillary)
            if which is None or not stamp_ns:
                continue
            if (which - self._next) % _COUNT < _COUNT // 2:
                newest = (self._next - 1) % _COUNT
                self._next = (which + 1) % _COUNT
                which = newest
            self._left.setdefault(which, stamp_ns)  # of repeated stamps the first counts
            if len(self._left) > _KEPT:
                self._left.popitem(last=False)

    def left(self, number: int) -> int:
        """The kernel's stamp of that datagram's departure, once; 0: not known, or not yet."""
        self.collect(number)
        return self._left.pop(number, 0)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _ask_for_stamps(self) -> str | None:
        if not _HAS_STAMPS:
            return f"{sys.platform} has none"
        refusal = "the system refuses them"
        for option in _OPTIONS:
            try:
                self.socket.setsockopt(_SOCKET, option, _FLAGS)
            except OSError as error:
                refusal = f"the system refuses them: {error.strerror}"
            else:
                return None
        return refusal


def listening(setting: str, host: str, port: int, make: type[StampedSocket] = StampedSocket) -> StampedSocket:
    """A socket bound to `port` of `host`, or of all addresses of both families where `host` is empty.

    ListenError names `setting`, the address and the reason.
    """
    families = _families(host)
    for family in families:
        try:
            return _bound(make(family), host, port)
        except OSError as error:
            if family is families[-1] or error.errno == errno.EADDRINUSE:
                raise _listen_error(setting, host, port, error) from None
    raise AssertionError


def _bound(stamped: StampedSocket, host: str, port: int) -> StampedSocket:
    try:
        if not host and stamped.socket.family is socket.AF_INET6:
            stamped.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        stamped.socket.bind((host, port))
    except OSError:
        stamped.close()
        raise
    return stamped


def _families(host: str) -> tuple[socket.AddressFamily, ...]:
    """Both in one where the system has IPv6, else IPv4 alone."""
    if not host:
        return socket.AF_INET6, socket.AF_INET
    return (socket.AF_INET6,) if ":" in host else (socket.AF_INET,)


def _listen_error(setting: str, host: str, port: int, error: OSError) -> ListenError:
    reason = (error.strerror or str(error)).lower()
    return ListenError(setting, host or "any", port, reason, in_use=error.errno == errno.EADDRINUSE)


def is_lasting(error: OSError) -> bool:
    """Whether the socket itself is of no use any more; else the next datagram may go."""
    return error.errno in {errno.EBADF, errno.ENOTSOCK}


def _stamp(ancillary: Iterable[tuple[int, int, bytes]]) -> int:
    """The software stamp, ns of realtime; 0 if there is none."""
    for level, kind, content in ancillary:
        if level == _SOCKET and kind in _STAMPS:
            layout = _LONG if len(content) >= _LONG.size else _SHORT
            if len(content) >= layout.size:
                seconds, nanoseconds = layout.unpack_from(content)[:2]
                return int(seconds * 1_000_000_000 + nanoseconds)
    return 0


def _number(ancillary: Iterable[tuple[int, int, bytes]]) -> int | None:
    """Which datagram's departure the message tells; None: it tells something else."""
    for level, kind, content in ancillary:
        if (level, kind) in _ERRORS and len(content) >= _ERROR.size:
            error, origin, _, _, _, info, data = _ERROR.unpack_from(content)
            if error == errno.ENOMSG and origin == _ORIGIN_TIMESTAMPING and info == _OF_SENDING:
                return int(data)
    return None
