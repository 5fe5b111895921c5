"""The listening socket of every server of ours, with its limits.

A peer that opens connections without end gets no more than a share of them, and none of the files that the
process keeps for its broker and its journals. A connection on which nothing has been sent to the peer for
`idle_s` is ended: that limits the time for a request's header, for its body, between two requests, and for
taking the answer. When most connections are in use, those that have waited longest are ended earlier.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import random
import socket
import sys
import threading
import time
from collections import Counter
from typing import Any, Literal, NamedTuple

from runtime.errors import ListenError
from runtime.system_modules import resource

_log = logging.getLogger(__name__)

Refusal = Literal["all", "address", "idle", "crowded", "files"]
"""Why a connection was ended: too many in all or of one address, nothing sent for too long, or for less long
while most connections were in use, or no file descriptor left."""
refused: Counter[Refusal] = Counter()
"""Connections that this process's listeners refused or ended, by reason."""

MOST_CONNECTIONS = 256
IDLE_S = 15.0
RESERVED_FILES = 64
"""Kept for the broker's connection, journals and logs: no peer of a listener can take them."""
BACKLOG = 128
_UNLIMITED = 1 << 20
_OF_SELECT = 512
"""Sockets that Python can wait for by select on Windows, which has no better way for our event loops."""
_CROWDED = 0.75
"""From this share of the connections on, those that have waited for `_GRACE_S` are ended."""
_GRACE_S = 2.0
_PAUSE_S = 0.002
"""After each refusal, so that a flood of them takes little of the processor."""
_EXHAUSTED_PAUSE_S = 0.05
_FREE_PORTS = range(12_000, 20_000)
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_LOG_EVERY_S = 60.0
_pause = threading.Event()
"""Never set: waiting for it gives the processor to the other threads."""


class Limits(NamedTuple):
    """Of one listener; `idle_s` None: a connection that was answered once may stay idle."""

    connections: int
    per_address: int
    first_s: float = IDLE_S
    """From the connection to the first byte sent to the peer."""
    idle_s: float | None = IDLE_S


def limits(most: int = MOST_CONNECTIONS, *, shared: bool = True, idle_s: float | None = IDLE_S) -> Limits:
    """At most `most` connections, fewer where the process may open few files; half of them for one address.

    With `shared` False one address may have them all.
    """
    free = _most_files() - RESERVED_FILES
    connections = max(4, min(most, free // 2))
    return Limits(connections, max(2, connections // 2) if shared else connections, idle_s=idle_s)


def _most_files() -> int:
    if resource is None:
        return _OF_SELECT
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else int(soft)


class Peer(socket.socket):
    """An accepted connection; it notes when something was sent last."""

    address = ""
    sent_s = 0.0
    answered = ended = False

    def send(self, *arguments: Any) -> int:
        """As for any socket."""
        return self._noted(super().send(*arguments))

    def sendall(self, *arguments: Any) -> None:
        """As for any socket."""
        super().sendall(*arguments)
        self._noted(1)

    if sys.platform != "win32":

        def sendmsg(self, *arguments: Any) -> int:
            """As for any socket; Windows has none of it."""
            return self._noted(super().sendmsg(*arguments))

    def end(self) -> None:
        """Have the server find the connection's end; any thread may ask."""
        self.ended = True
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def _noted(self, count: int) -> int:
        if count:
            self.sent_s, self.answered = time.monotonic(), True
        return count


class Listener(socket.socket):
    """Accepts within `limits`; the thread that accepts must call `end_idle` some times a second."""

    limits: Limits
    _peers: list[Peer]
    _spare: socket.socket | None = None
    _logged_s = -_LOG_EVERY_S

    @classmethod
    def adopt(cls, listening: socket.socket, limits: Limits) -> Listener:
        """Take over a listening socket."""
        timeout_s = listening.gettimeout()
        adopted = cls(listening.family, listening.type, listening.proto, fileno=listening.detach())
        adopted.settimeout(timeout_s)
        adopted.limits, adopted._peers, adopted._spare = limits, [], socket.socket()
        return adopted

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection within the limits; BlockingIOError after one beyond them, which is closed."""
        accepted, address = self._accepted()
        self._peers = [peer for peer in self._peers if peer.fileno() >= 0]
        of_address = sum(peer.address == address[0] for peer in self._peers)
        if len(self._peers) >= self.limits.connections:
            self._refuse("all", accepted, address[0])
        if of_address >= self.limits.per_address:
            self._refuse("address", accepted, address[0])
        peer = Peer(fileno=accepted.detach())
        peer.address, peer.sent_s = address[0], time.monotonic()
        self._peers.append(peer)
        return peer, address

    def end_idle(self) -> None:
        """End what has been idle for too long, and, while it is crowded, what has waited longest."""
        now_s = time.monotonic()
        self._peers = [peer for peer in self._peers if peer.fileno() >= 0]
        for peer in self._served():
            if self._is_idle(peer, now_s):
                self._end("idle", peer)
        self._thin_out(self._served(), self.limits.connections, now_s)
        for address in {peer.address for peer in self._peers}:
            own = [peer for peer in self._served() if peer.address == address]
            self._thin_out(own, self.limits.per_address, now_s)

    def close(self) -> None:
        """As for any socket."""
        if self._spare:
            self._spare.close()
        super().close()

    def _accepted(self) -> tuple[socket.socket, Any]:
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
        if self._spare:
            self._spare.close()  # with its file the peer is at least disconnected, instead of asking for ever
        with contextlib.suppress(OSError):
            super().accept()[0].close()
        self._spare = None
        with contextlib.suppress(OSError):
            self._spare = socket.socket()
        self._note("files", "")
        _pause.wait(_EXHAUSTED_PAUSE_S)
        raise BlockingIOError

    def _refuse(self, why: Refusal, accepted: socket.socket, address: str) -> None:
        accepted.close()
        self._note(why, address)
        _pause.wait(_PAUSE_S)
        raise BlockingIOError

    def _served(self) -> list[Peer]:
        return [peer for peer in self._peers if not peer.ended]

    def _is_idle(self, peer: Peer, now_s: float) -> bool:
        most_s = self.limits.idle_s if peer.answered else self.limits.first_s
        return most_s is not None and now_s - peer.sent_s > most_s

    def _thin_out(self, peers: list[Peer], most: int, now_s: float) -> None:
        too_many = len(peers) - int(most * _CROWDED)
        if too_many <= 0 or self.limits.idle_s is None:
            return
        for peer in sorted(peers, key=lambda peer: peer.sent_s)[:too_many]:
            if now_s - peer.sent_s > _GRACE_S:
                self._end("crowded", peer)

    def _end(self, why: Refusal, peer: Peer) -> None:
        peer.end()
        self._note(why, peer.address)

    def _note(self, why: Refusal, address: str) -> None:
        refused[why] += 1
        now_s = time.monotonic()
        if why != "idle" and now_s - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = now_s
            _log.warning(
                "port %d: too many connections%s (%s); %d at most, %d of one address. Logged once a minute",
                self.getsockname()[1],
                f", the last of {address}" if address else "",
                why,
                self.limits.connections,
                self.limits.per_address,
            )


def open_listener(setting: str, host: str, port: int, most: Limits | None = None) -> Listener:
    """Listen on a TCP port, IPv4 or IPv6 by `host`; 0 takes a free port, and `::` serves both protocols.

    ListenError names `setting`, the address and the reason: in use, not permitted, not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        reason, _, _ = (error.strerror or str(error)).partition(" (while")  # the address follows
        in_use = error.errno == errno.EADDRINUSE
        raise ListenError(setting, host, port, reason.lower(), in_use=in_use) from error
    return Listener.adopt(listening, most or limits())


def free_port(host: str) -> int:
    """A TCP port that nobody listens on at this moment, of those that systems give to nobody who connects.

    Any other could be taken before a server listens on it, or while one is restarted: even by a client of its
    own that tries again, whose connection is then one to itself.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in random.SystemRandom().sample(_FREE_PORTS, 100):
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            probe.bind((host, port))
            return port
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def url_of(listener: socket.socket, host: str) -> str:
    """The URL of the server on `listener`, with `host` as the settings name it."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}/"
