"""A mosquitto in a process of its own, which keeps its port over a restart."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from broker.embedded import free_port

if TYPE_CHECKING:
    from pathlib import Path

_HOST = "127.0.0.1"
_START_S = 15.0


class Mosquitto:
    """Holds all it knows in memory, so that a kill loses the recorder's session too."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if found is None:
            raise FileNotFoundError("mosquitto is not installed")
        self._port = free_port(_HOST)
        config = folder / "mosquitto.conf"
        config.write_text(
            f"set_tcp_nodelay true\nlistener {self._port} {_HOST}\nallow_anonymous true\nuser root\n"
        )
        self._command = [found, "-c", str(config)]
        self._log = (folder / "mosquitto.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://{_HOST}:{self._port}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + _START_S
        while not self._listens():
            if time.monotonic() > deadline:
                raise TimeoutError(f"mosquitto does not listen on port {self._port}")
            time.sleep(0.02)

    def restart(self) -> None:
        """As after a power cut."""
        self.stop()
        self.start()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection((_HOST, self._port), 0.2):
            return True
        return False
