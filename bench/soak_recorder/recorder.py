"""The recorder in a process of its own, and the command line that starts and stops the session."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from bench.soak_recorder.setup import REBOOTED, STEPPED

if TYPE_CHECKING:
    from pathlib import Path

    from bench.soak_recorder.plan import Plan

MISSION, SESSION = "soak", "2026-05-01T12-00-00Z"
SENSORS = {"inWater": STEPPED, "surface": REBOOTED}
_CONNECT_S = 20.0


class RecorderProcess:
    """`tidesync record`, killed and started again."""

    def __init__(self, url: str, folder: Path, plan: Plan) -> None:
        self.folder = folder / "root" / MISSION / f"session_{SESSION}"
        self.kills = 0
        self._url = url
        self._log_path = folder / "recorder.log"
        self._log = self._log_path.open("ab")
        self._root = folder / "root"
        self._update_s = plan.update_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log_path.read_text(encoding="utf-8")

    def start(self) -> None:
        where = ["--broker", self._url, "--root", str(self._root), "--update-s", str(self._update_s)]
        command = [sys.executable, "-m", "tidesync", "record", *where]
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
            self._process.wait(10)

    def wait_until_connected(self) -> None:
        deadline = time.monotonic() + _CONNECT_S
        while "connected to broker" not in self.log:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the recorder did not connect: {self.log}")
            time.sleep(0.05)

    def begin_session(self) -> dict[str, Any]:
        sensors = [f"--sensor={sensor}={vehicle}" for sensor, vehicle in SENSORS.items()]
        return self._session("start", "--mission", MISSION, "--name", SESSION, *sensors)

    def end_session(self) -> dict[str, Any]:
        return self._session("stop", SESSION)

    def _session(self, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "tidesync", "session", *arguments, "--json", "--broker", self._url]
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"session {arguments[0]}: {done.stderr.decode()}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer
