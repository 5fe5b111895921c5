"""Programs of a run: started in one place, measured by their pid, stopped by their pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runtime import listener
from schemas.compat import Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LOOPBACK = "127.0.0.1"
_STOP_S = 5.0
_ROOT = Path(__file__).parents[2]
"""Where `python -m bench…` is found."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class NotReadyError(Exception):
    """A program of the run did not come up in time."""


class Program:
    """A started process and its log."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.pid = process.pid
        self.log = log
        self._process = process
        self._asked = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def cpu_ns(self) -> int:
        """CPU time of all threads that live now, in ns."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(_first_number(thread) for thread in threads)

    def memory_mb(self) -> float:
        """Resident memory, in MB."""
        with suppress(OSError):
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE / 1e6
        return float("nan")

    def wait(self) -> None:
        """Wait for it to end by itself; notices at once, which waiting with a time-out does not."""
        self._process.wait()

    def ask_to_stop(self) -> None:
        """Once only: a second signal would interrupt its leaving."""
        if self.alive and not self._asked:
            self._process.send_signal(signal.SIGTERM)
        self._asked = True

    def stop(self) -> None:
        """End it: politely, then not."""
        self.ask_to_stop()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _first_number(path: Path) -> int:
    with suppress(OSError):  # a thread that has just ended
        return int(path.read_text().split()[0])
    return 0


class Programs:
    """Starts programs with their logs in `folder`; on leaving, stops them all, the last one first."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._environment = {**os.environ, **(environment or {})}
        self._started: list[Program] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for program in reversed(self._started):
            program.ask_to_stop()
        while self._started:
            self._started.pop().stop()

    def start(self, name: str, command: Sequence[str]) -> Program:
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*_tied_to_this_process(), *command],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._environment,
            )
        program = Program(name, process, log)
        self._started.append(program)
        return program

    def python(self, name: str, module: str, *arguments: object) -> Program:
        """Start a module of this repository."""
        return self.start(name, [sys.executable, "-m", module, *map(str, arguments)])

    def stop(self, program: Program) -> None:
        self._started.remove(program)
        program.stop()

    def dead(self) -> list[str]:
        """Names of programs that have ended although nobody stopped them."""
        return [program.name for program in self._started if not program.alive]


def _tied_to_this_process() -> list[str]:
    """A prefix that keeps the pid and has the kernel end the program should this process be killed."""
    setpriv = installed("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise NotReadyError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.02)


def wait_until_listening(port: int, what: str) -> None:
    def listens() -> bool:
        with suppress(OSError), socket.create_connection((LOOPBACK, port), 0.2):
            return True
        return False

    wait_until(listens, f"{what} listening on port {port}")


def free_port() -> int:
    """A TCP port of loopback on which nobody listens at this moment."""
    return listener.free_port(LOOPBACK)


def free_udp_port() -> int:
    """A UDP port of loopback that nobody holds at this moment, of those that systems give to nobody."""
    while True:
        port = free_port()
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((LOOPBACK, port))
            return port


def installed(program: str) -> str | None:
    """Where `program` is; servers stand where an ordinary user's path does not lead."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")


def exit_on_terminate() -> None:
    """Make SIGTERM end this process through its `finally` clauses."""

    def leave(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
