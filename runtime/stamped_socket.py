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
TIMESTAMPING_STAMPS = {_TIMESTAMPING_OLD, _TIMESTAMPING_NEW}
_TIMESTAMPING_OPTIONS = (
    (_TIMESTAMPING_OLD,) if sys.maxsize > 2**32 else (_TIMESTAMPING_NEW, _TIMESTAMPING_OLD)
)
_ORIGIN_TIMESTAMPING, _OF_SENDING = 4, 0
_ERRORS = {(socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR and IPV6_RECVERR."""
_ERROR = Struct("@IB3xII")
"""struct sock_extended_err: number, origin, info, data."""
_SHORT, _LONG = Struct("=2i16x"), Struct("=2q32x")
"""struct scm_timestamping, of which the first of three is software's."""
_LONG_SIZE, _SHORT_SIZE, _ERROR_SIZE = _LONG.size, _SHORT.size, _ERROR.size
_long, _short, _error = _LONG.unpack_from, _SHORT.unpack_from, _ERROR.unpack_from
_SOCKET: int = socket.SOL_SOCKET
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
        self._sendto = self.socket.sendto
        self._next = 0
        """The next datagram that is sent, as we count: those that were sent."""
        self._uncounted = 0
        """How far the kernel's count is ahead, which has 32 bits."""
        self._sure_from = 0
        """The first datagram of which that is so."""
        self._failures = self._first_failure = self._last_failure = 0
        """Sendings that failed, and whether the kernel counted them is not known; after how many others."""
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
            self._sendto(data, to)
        except OSError as error:
            if is_lasting(error):
                raise
            self._first_failure = self._first_failure if self._failures else self._next
            self._failures, self._last_failure = self._failures + 1, self._next
            return None
        number = self._next
        self._next = number + 1
        self.collect(number)  # as a rule it is there, and can be no other's
        return number

    def collect(self, number: int) -> None:
        """Take stamps from the error queue, which needs room and ends waits, until that of `number` came."""
        if self.refused:
            return
        left, recvmsg = self._left, self._recvmsg
        while number not in left:
            try:
                ancillary = recvmsg(0, _ANCILLARY, _ERROR_QUEUE)[1]
            except OSError:
                break
            counted, stamp_ns = datagram_number(ancillary), _stamp(ancillary)
            which = None if counted is None or not stamp_ns else self._ours(counted)
            if which is None or which in left:  # of repeated stamps the first counts
                continue
            left[which] = stamp_ns
            if len(left) > _KEPT:
                left.popitem(last=False)

    def _ours(self, counted: int) -> int | None:
        """Our number of the datagram that the kernel gave this one; None: that may be several's.

        The kernel may have counted those that it could not send, or some of them.
        """
        ahead = (counted - self._uncounted - self._next + _COUNT // 2) % _COUNT - _COUNT // 2
        most = self._next + ahead
        if not self._failures or most < self._first_failure:
            return most if self._sure_from <= most < self._next else None
        least = max(self._first_failure, most - self._failures)
        if least != min(most, self._next - 1):
            return None
        if least >= self._last_failure:
            self._failures = 0
            if most > least:
                self._uncounted, self._sure_from = self._uncounted + most - least, least
        return least

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
        return ask_for_stamps(self.socket, _FLAGS)


def ask_for_stamps(of: socket.socket, flags: int) -> str | None:
    """Have the kernel stamp datagrams, as SO_TIMESTAMPING's `flags` say; why it does not, None if it does."""
    refusal = "the system refuses them"
    for option in _TIMESTAMPING_OPTIONS:
        try:
            of.setsockopt(_SOCKET, option, flags)
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
        if level == _SOCKET and kind in TIMESTAMPING_STAMPS:
            size = len(content)
            if size >= _LONG_SIZE:
                seconds, nanoseconds = _long(content)
            elif size >= _SHORT_SIZE:
                seconds, nanoseconds = _short(content)
            else:
                continue
            stamp_ns: int = seconds * 1_000_000_000 + nanoseconds
            return stamp_ns
    return 0


def datagram_number(ancillary: Iterable[tuple[int, int, bytes]]) -> int | None:
    """Which datagram's departure the message tells; None: it tells something else."""
    for level, kind, content in ancillary:
        if level != _SOCKET and (level, kind) in _ERRORS and len(content) >= _ERROR_SIZE:
            error, origin, info, number = _error(content)
            if origin == _ORIGIN_TIMESTAMPING and info == _OF_SENDING and error == errno.ENOMSG:
                datagram: int = number
                return datagram
    return None
