"""Ports for servers of the tests: nobody takes one before its server listens, or while that is restarted."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

_FIRST, _END = 20_000, 32_000
"""Below those that Linux gives to whoever asks for any port, or connects."""
_HELD = (Path(tempfile.gettempdir()) / f"tidesync-test-ports-{os.getuid()}").open("ab")
"""Its byte at a port's number is locked by the process of the tests that has the port, until that ends."""

_GIVEN = set()
"""By this process: its own locks do not refuse it a port again."""


def free_port(host="127.0.0.1"):
    """A TCP port of this process alone, on which nobody listens; each call another one."""
    for port in random.SystemRandom().sample(sorted({*range(_FIRST, _END)} - _GIVEN), 1000):
        try:
            fcntl.lockf(_HELD, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.bind((host, port))
        except OSError:
            continue
        _GIVEN.add(port)
        return port
    raise OSError("no port is free")
