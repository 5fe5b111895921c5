"""A stranger who holds a server's connections: many, each with a request that never ends."""

import resource
import selectors
import socket
import threading
from contextlib import suppress

import pytest

SLOWLY = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Endless: "

_AT_ONCE = 300


class HttpHold:
    """Keeps `count` connections to a port of loopback, each sending one more byte of its header at a time.

    A connection that is ended is opened again. `ended` is how many were.
    """

    def __init__(self, port, count, address="127.0.0.1"):
        self.ended = 0
        self._port, self._count, self._address = port, count, address
        self._stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    def _run(self):
        while not self._stopping.wait(0.2):
            for _ in range(min(_AT_ONCE, self._count - len(self._selector.get_map()))):
                self._open()
            for key, _ in self._selector.select(0):
                self._read(key.fileobj)
            for key in list(self._selector.get_map().values()):
                with suppress(OSError):
                    key.fileobj.send(b"x")

    def _open(self):
        peer = socket.socket()
        peer.settimeout(0.2)
        try:
            peer.bind((self._address, 0))
            peer.connect(("127.0.0.1", self._port))
            peer.send(SLOWLY)
        except OSError:
            peer.close()
            return
        peer.setblocking(False)
        self._selector.register(peer, selectors.EVENT_READ)

    def _read(self, peer):
        with suppress(BlockingIOError):
            try:
                if peer.recv(4096):
                    return
            except ConnectionError:
                pass
            self.ended += 1
            self._selector.unregister(peer)
            peer.close()


@pytest.fixture
def many_files():
    """This process may open as many files as such an attack needs."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 4096:
        pytest.skip(f"at most {before[1]} files can be opened here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
