"""Real brokers in processes of their own, which can be killed and started again."""

import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress

from tests.deadline import until
from tests.ports import free_port

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class RunningBroker:
    """A broker in a process of its own, on a port that it keeps over a restart."""

    def __init__(self, kind, folder, access="allow_anonymous true\n"):
        self.kind = kind
        self.folder = folder
        self.access = access
        self.port = free_port("127.0.0.1")
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._process = None

    def start(self):
        log = (self.folder / f"{self.kind}.log").open("ab")
        self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        until(self._listens, 15, f"{self.kind} listening")

    def kill(self):
        """End it as a power cut would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self):
        """A mosquitto that listens, and has not begun its loop yet, forgets a signal."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
            self._process.terminate()
            self._process.wait(60)

    def _command(self):
        if self.kind == "amqtt":
            return [sys.executable, "-m", "tidesync", "-q", "broker", "--port", str(self.port)]
        config = self.folder / "mosquitto.conf"
        config.write_text(f"set_tcp_nodelay true\nlistener {self.port} 127.0.0.1\nuser root\n{self.access}")
        return [MOSQUITTO, "-c", str(config)]

    def _listens(self):
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
            return True
        return False
