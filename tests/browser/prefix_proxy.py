"""A reverse proxy as BlueOS has one: it takes a prefix away, passes its own Host, and tells nobody."""

import re
import socket
import threading
from contextlib import suppress

PREFIX = "/some/prefix/"


class PrefixProxy:
    """Serves the dashboard at `port` below PREFIX; all else is 404, so that a page's absolute URL shows.

    `failures` has, by path, how the next request of it fails: its connection is "cut", or it is "held".
    """

    def __init__(self, port):
        self.failures = {}
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{PREFIX}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, suppress(OSError):
            request = self._read_head(client)
            if request is None:
                return
            failure = self.failures.pop(request.split(b" ")[1].decode(), None)
            if failure == "held":
                client.recv(1)  # until the browser gives up
            if failure:
                return
            try:
                upstream = socket.create_connection(("127.0.0.1", self._upstream), 10)
            except OSError:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with upstream:
                upstream.settimeout(None)
                upstream.sendall(request)
                sending = threading.Thread(target=pump, args=(client, upstream), daemon=True)
                sending.start()
                pump(upstream, client)
                client.shutdown(socket.SHUT_RDWR)
                sending.join()  # else it might read from the next connection that gets this one's descriptor

    def _read_head(self, client):
        """The request with its prefix gone; one request a connection keeps this short."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = client.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        line, _, headers = head.partition(b"\r\n")
        method, path, version = line.split(b" ")
        if not path.startswith(PREFIX.encode()):
            client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return None
        headers = re.sub(rb"(?im)^(host|connection):.*\r?\n?", b"", headers + b"\r\n").rstrip(b"\r\n")
        own = f"Host: 127.0.0.1:{self._upstream}\r\nConnection: close".encode()
        path = path[len(PREFIX) - 1 :]
        return b" ".join([method, path, version]) + b"\r\n" + own + b"\r\n" + headers + b"\r\n\r\n" + body


def pump(source, sink):
    """Everything that comes, as it comes."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
