"""The processes of the fleet: each can be killed, paused and started again, and is measured while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.soak_fleet.clocks import written_clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import SimulatedClock

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Life:
    """A process from its start to its end; `samples` are (age in s, resident MB, open descriptors)."""

    program: str
    pid: int
    began_s: float
    truth: Path
    ended_raw_ns: int | None = None
    """The machine's RAW when it was killed."""
    samples: list[tuple[float, float, int]] = field(default_factory=list)
    _clock: SimulatedClock | None = None

    @property
    def clock(self) -> SimulatedClock | None:
        """Its simulated clock; None if it has none, or has not written it down yet."""
        self._clock = self._clock or written_clock(self.truth)
        return self._clock


class Program:
    """`command` makes the command line of a life, given where it is to write down its clock."""

    def __init__(self, name: str, folder: Path, command: Callable[[Path], list[str]]) -> None:
        self.name = name
        self.lives: list[Life] = []
        self.log_path = folder / f"{name}.log"
        self._folder = folder
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        truth = self._folder / f"{self.name}.{len(self.lives)}.truth"
        environment = os.environ | {"XDG_STATE_HOME": str(self._folder / "state")}
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(truth), stdout=log, stderr=log, cwd=self._folder, env=environment
            )
        self.lives.append(Life(self.name, self._process.pid, time.monotonic(), truth))

    @property
    def runs(self) -> bool:
        """Whether its last process has not ended."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL; RuntimeError if it had ended by itself."""
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise RuntimeError(f"{self.name} ended by itself with {code}: {self.log[-800:]}")
        self.lives[-1].ended_raw_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def stop(self) -> None:
        """End it in order; it may have been paused or have ended."""
        if self._process is not None and self.runs:
            self._send(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def sample(self) -> None:
        """Note the memory and the descriptors that the running process has."""
        life, process = self.lives[-1], Path(f"/proc/{self.lives[-1].pid}")
        try:
            resident_mb = int((process / "statm").read_text().split()[1]) * _PAGE / 1e6
            descriptors = sum(1 for _ in (process / "fd").iterdir())
        except FileNotFoundError:
            return
        life.samples.append((time.monotonic() - life.began_s, resident_mb, descriptors))

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def _send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
