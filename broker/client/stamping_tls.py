"""TLS over a stamping socket: Python's SSLSocket reads the socket by itself and loses the kernel's stamps."""

from __future__ import annotations

import contextlib
import select
import ssl
from typing import TYPE_CHECKING, Any

from broker.client.stamps import KernelStamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.client.stamping_socket import StampingSocket

_HEADER = 5
"""Bytes in front of every TLS record: type, version, and in the last two its length."""
_ALERT_S = 0.25
"""Only a server that sends no tickets costs this much at each connect."""


class StampingTls:
    """What paho asks of a socket, over TLS; records are decrypted one at a time, so each has its own stamp.

    `send` takes all of a packet or nothing. Ciphertext that the socket did not accept yet is `unsent`, and
    goes out with `flush` once the socket is writable.
    """

    def __init__(self, tcp: StampingSocket, context: ssl.SSLContext, host: str) -> None:
        self._tcp = tcp
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)
        self._header = b""
        self._left = 0
        self._unsent = b""
        self.alert: ssl.SSLError | None = None
        try:
            self._handshake()
        except BaseException:
            tcp.close()
            raise

    def recv(self, bufsize: int) -> bytes:
        """At most `bufsize` decrypted bytes; none when the peer has closed."""
        while True:
            try:
                return self._tls.read(bufsize)
            except ssl.SSLWantReadError:
                with contextlib.suppress(BlockingIOError):
                    self.flush()  # TLS's own messages, for example after a key update
                self._pull()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                self.alert = error
                raise

    def send(self, data: bytes | bytearray) -> int:
        """Encrypt and send; BlockingIOError, with nothing taken, while earlier ciphertext is unsent."""
        self.flush()
        self._tls.write(data)
        with contextlib.suppress(BlockingIOError):
            self.flush()
        return len(data)

    @property
    def unsent(self) -> bool:
        """Whether ciphertext waits for the socket to be writable."""
        return bool(self._unsent)

    def flush(self) -> None:
        """Send ciphertext; BlockingIOError when not all of it could be."""
        self._unsent += self._out.read()
        while self._unsent:
            self._unsent = self._unsent[self._tcp.send(self._unsent) :]

    def peer_certificate(self) -> Mapping[str, Any] | None:
        """The peer's certificate, as `SSLSocket.getpeercert` gives it."""
        return self._tls.getpeercert()

    def pending(self) -> int:
        """Bytes that may be had although the socket is not readable."""
        return self._tls.pending() + self._tcp.pending()

    def arrival(self) -> KernelStamp | None:
        """When the record arrived that `recv` took its bytes from last; inexact while more of it is left."""
        stamp = self._tcp.arrival()
        if stamp is not None and self._tls.pending():
            return KernelStamp(stamp.realtime_ns, exact=False)
        return stamp

    def fileno(self) -> int:
        """The TCP socket's."""
        return self._tcp.fileno()

    def setblocking(self, flag: bool) -> None:
        """As on the TCP socket."""
        self._tcp.setblocking(flag)

    def settimeout(self, seconds: float | None) -> None:
        """As on the TCP socket."""
        self._tcp.settimeout(seconds)

    def close(self) -> None:
        """Close the TCP socket."""
        self._tcp.close()

    def _handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                self._pull()
            else:
                self.flush()
                self._await_alert()
                return

    def _await_alert(self) -> None:
        """Wait a moment for a TLS 1.3 server to accept our certificate: session tickets, or an alert.

        It decides only now, and closes the connection after an alert. Data sent meanwhile would be answered
        with a reset, which discards the alert.
        """
        if self._tls.version() != "TLSv1.3":
            return
        while self._tcp.pending() or select.select([self._tcp], [], [], _ALERT_S)[0]:
            self._pull()
            try:
                self._tls.read(1)  # gives nothing: an MQTT server does not send first
            except ssl.SSLWantReadError:
                if not self._header and not self._left:  # a whole record, and no alert
                    return
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return

    def _pull(self) -> None:
        """Take what the socket has, up to the end of one record."""
        data = self._tcp.recv(self._left or _HEADER - len(self._header))
        self._in.write(data)
        if not data:
            self._in.write_eof()
        elif self._left:
            self._left -= len(data)
        else:
            self._header += data
            if len(self._header) == _HEADER:
                self._left = int.from_bytes(self._header[3:], "big")
                self._header = b""
