"""Attacks on the agents themselves, from containers beside them, and what they cost the agent attacked."""

import threading
from contextlib import contextmanager, suppress

import pytest
from docker.errors import APIError, NotFound

from tests.containers.usage import usage

GROWN_MB = 32
"""More than an agent takes for the connections and messages that it allows."""
MOST_CPU_PERCENT = 75
"""Of one core: an agent under attack has time left for its own work."""

HOLD = """
import resource, selectors, socket, sys, time

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
held, opened, ended = selectors.DefaultSelector(), 0, 0
said = b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nX-Endless: "
while True:
    for _ in range(min(300, count - len(held.get_map()))):
        peer = socket.socket()
        peer.settimeout(0.3)
        try:
            peer.connect((host, port))
            peer.send(said)
        except OSError:
            peer.close()
            continue
        peer.setblocking(False)
        held.register(peer, selectors.EVENT_READ)
        opened += 1
    for key, _ in held.select(0):
        try:
            if key.fileobj.recv(4096):
                continue
        except BlockingIOError:
            continue
        except OSError:
            pass
        held.unregister(key.fileobj)
        key.fileobj.close()
        ended += 1
    for key in list(held.get_map().values()):
        try:
            key.fileobj.send(b"x")
        except OSError:
            pass
    print(opened, ended, flush=True)
    time.sleep(0.2)
"""
"""Keeps so many connections, each with a header that never ends; prints how many were opened, and ended."""

MAD_BROKER = """
import socket

listener = socket.create_server(("0.0.0.0", 1883))
ended, sent = 0, 0
while True:
    peer, _ = listener.accept()
    peer.settimeout(20)
    try:
        peer.recv(4096)
        peer.sendall(b"\\x20\\x02\\x00\\x00" + b"\\x30\\x80\\x80\\x80\\x64")
        for _ in range(3200):
            sent += peer.send(bytes(1 << 16))
    except OSError:
        pass
    peer.close()
    ended += 1
    print(ended, sent, flush=True)
"""
"""Accepts every client, announces a PUBLISH of 200 MiB and sends it; prints connections ended, bytes sent."""

REWRITE = """
import json, sys, time

path, until_s, count = sys.argv[1], time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < until_s:
    with open(path) as stream:
        document = json.load(stream)
    count += 1
    document["rewritten"] = count
    with open(path, "w") as stream:
        json.dump(document, stream)
print(count)
"""
"""Another program that changes a key of its own in a session's metadata, in place and as fast as it goes."""


class AgentUse:
    """An agent's memory in MB, before and at most, and its CPU in percent of a core, during an attack."""

    def __init__(self, container):
        self._container = container
        self.before_mb = self.most_mb = 0.0
        self._began = self._last = (0.0, 0.0, 0)

    def __str__(self):
        return f"{self.before_mb:.0f} MB before, {self.most_mb:.0f} MB at most, {self.cpu_percent:.0f} % CPU"

    @property
    def grown_mb(self):
        return self.most_mb - self.before_mb

    @property
    def cpu_percent(self):
        """Until it was sampled last."""
        return 100 * (self._last[2] - self._began[2]) / 1e9 / max(self._last[0] - self._began[0], 1e-9)

    def assert_bounded(self):
        assert self.grown_mb < GROWN_MB, str(self)
        assert 0 < self.cpu_percent < MOST_CPU_PERCENT, str(self)

    @contextmanager
    def sampled(self):
        """Sample while the block runs."""
        ended = threading.Event()
        self._began = self._last = usage(self._container) or pytest.fail("the agent does not run")
        self.before_mb = self.most_mb = self._began[1]
        thread = threading.Thread(target=self._sample, args=(ended,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()

    def _sample(self, ended):
        while not ended.wait(0.2):
            with suppress(APIError, NotFound):
                self._last = usage(self._container) or self._last
                self.most_mb = max(self.most_mb, self._last[1])


@contextmanager
def beside(fleet, image, command, *, name=None, **options):
    """A container of its own in the project's network, removed at the end; `name` is its host name there."""
    container = fleet.engine.containers.create(
        image,
        command,
        hostname=name,
        labels={"com.docker.compose.project": fleet.project},
        network=fleet.network().name,
        **options,
    )
    if name:
        fleet.network().disconnect(container)
        fleet.network().connect(container, aliases=[name])
    try:
        container.start()
        yield container
    finally:
        container.remove(force=True)


def script(fleet, source, *arguments, **options):
    """A container that runs the Python `source`."""
    return beside(
        fleet,
        "tidesync-topside",
        ["-c", source, *map(str, arguments)],
        entrypoint=["python"],
        healthcheck={"test": ["NONE"]},
        **options,
    )


def last_numbers(container):
    """The numbers of the last line that a script printed."""
    lines = container.logs(stderr=False).decode().strip().splitlines()
    return [int(word) for word in lines[-1].split()] if lines else None
