"""The processes of a soak: mosquitto, the recorder, and the commands that start and stop its session."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bench.soak_recorder.ending import wait_until_written
from bench.soak_recorder.setup import REBOOTED, STEPPED
from runtime.listener import free_port
from tidesync.sessions.folder import SessionFolder

if TYPE_CHECKING:
    from pathlib import Path

    from bench.soak_recorder.setup import Plan

MISSION, SESSION = "soak", "2026-05-01T12-00-00Z"
SENSORS = {"inWater": STEPPED, "surface": REBOOTED}
_CONNECT_S = 120.0
_HOST = "127.0.0.1"
_START_S = 60.0
_WRITE_S = 60.0


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


class RecorderProcess:
    """`tidesync record`, killed and started again."""

    def __init__(self, url: str, folder: Path, plan: Plan) -> None:
        self.folder = SessionFolder(folder / "root" / MISSION / f"session_{SESSION}")
        self.kills = 0
        self._url = url
        self._log_path = folder / "recorder.log"
        self._log = self._log_path.open("ab")
        self._root = folder / "root"
        self._longest_stop_s = plan.stop_wait_s + _WRITE_S
        self._options = ("--update-s", str(plan.update_s), "--stop-wait-s", str(plan.stop_wait_s))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log_path.read_text(encoding="utf-8")

    def start(self) -> None:
        where = ("--broker", self._url, "--root", str(self._root))
        command = [sys.executable, "-m", "tidesync", "record", *where, *self._options]
        self._process = subprocess.Popen(command, stderr=self._log)

    def kill(self) -> None:
        """SIGKILL; RuntimeError when it had ended by itself."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(
                f"the recorder ended by itself with {self._process.returncode}: {self.log[-500:]}"
            )
        self._process.kill()
        self._process.wait()
        self.kills += 1

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)

    def wait_until_connected(self) -> None:
        deadline = time.monotonic() + _CONNECT_S
        while "connected to broker" not in self.log:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the recorder did not connect: {self.log}")
            time.sleep(0.05)

    def begin_session(self) -> dict[str, Any]:
        sensors = [f"--sensor={sensor}={vehicle}" for sensor, vehicle in SENSORS.items()]
        return self._session("start", "--mission", MISSION, "--name", SESSION, "--timeout", "60", *sensors)

    def end_session(self) -> dict[str, Any]:
        """The answer comes after three seconds, whatever is still being written; this waits for that too."""
        answer = self._session("stop", SESSION)
        wait_until_written(self.folder, self._longest_stop_s)
        return answer

    def _session(self, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "tidesync", "session", *arguments, "--json", "--broker", self._url]
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"session {arguments[0]}: {done.stderr.decode()}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer
