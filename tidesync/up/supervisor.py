"""Programs run as one: started in order, started again when they end, ended in reverse, their logs in one.

On Linux they end with the supervisor, also when that is killed (`setpriv --pdeathsig`).
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import TidesyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

_LOOK_S = 0.1
_NO_REASON = "Note:"
"""In lines of mosquitto that are no reason for its end."""
_STABLE_S = 10.0
_FIRST_S = 0.5
_LONGEST_S = 30.0
_END_S = 15.0
_READY_S = 120.0
"""A program that runs is waited for so long: a slow or busy computer takes long to load the dashboard."""
_LAST_LINES_S = 5.0
"""Of one that has ended; they are there at once, but for a process of its own that lives on."""
_WRONG_USAGE = 2
_MOST_EARLY_ENDS = 3
_NEW_GROUP = 0
"""Of Windows: so that Ctrl-C is not for the programs, and each can be sent Ctrl-Break."""
if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP


class ChildError(TidesyncError):
    """A program that cannot run."""

    exit_code = 1


class Program(NamedTuple):
    """What to run, and what to wait for before the next is started."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] | None = None
    """All of its variables; None: ours."""
    port: int | None = None
    """It is ready when this TCP port of loopback takes connections."""
    user: str | None = None
    """Whom to run it as, where root runs us: who changes its user by itself would outlive us."""
    reload_with: Path | None = None
    """It is sent SIGHUP when this file has changed."""
    explanations: Mapping[str, str] | None = None
    """What a word in its last line means here."""


class Supervisor:
    """A service for `run_until_stopped`; `ready` is called once all run, `write` with each of their lines."""

    def __init__(
        self, programs: Sequence[Program], write: Callable[[str], object], ready: Callable[[], object]
    ) -> None:
        self.failure: Exception | None = None
        self._children = [Child(program, write) for program in programs]
        self._ready = ready
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the programs, in a thread; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End all programs, the last started first."""
        self._stopping.set()
        self._thread.join()

    def wait_until_finished(self, timeout_s: float | None) -> bool:
        """Whether all has ended within `timeout_s`."""
        return self._finished.wait(timeout_s)

    def _run(self) -> None:
        try:
            for count, child in enumerate(self._children, 1):
                child.start()
                self._wait_until_ready(child, self._children[:count])
            if not self._stopping.is_set():
                self._ready()
            while not self._stopping.wait(_LOOK_S):
                for child in self._children:
                    child.look()
        except (ChildError, OSError) as error:
            self.failure = error
        finally:
            for child in reversed(self._children):
                child.end()
            self._finished.set()

    def _wait_until_ready(self, child: Child, started: Sequence[Child]) -> None:
        until_s = time.monotonic() + _READY_S
        while not child.ready() and not self._stopping.wait(_LOOK_S):
            for each in started:
                each.look()
            if time.monotonic() > until_s:
                raise ChildError(
                    f"{child.name} does not listen on port {child.program.port} after {_READY_S:g} s"
                )


class Child:
    """One program, and its restarts."""

    def __init__(self, program: Program, write: Callable[[str], object]) -> None:
        self.program = program
        self.name = program.name
        self._write = write
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._started_s = 0.0
        self._again_s: float | None = None
        self._early_ends = 0
        self._was_ready = False
        self._last_line = ""
        self._changed_ns = self._file_time()

    def start(self) -> None:
        """Run it."""
        self._again_s, self._started_s = None, time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own programs
            [*_dying_with_us(self.program.user), *self.program.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.program.environment,
            start_new_session=True,  # Ctrl-C is for the supervisor, which ends them in order
            creationflags=_NEW_GROUP,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def ready(self) -> bool:
        """Whether it takes connections; a program without a port is at once."""
        if self.program.port is not None:
            try:
                socket.create_connection(("127.0.0.1", self.program.port), 0.2).close()
            except OSError:
                return False
        self._was_ready = True
        return True

    def look(self) -> None:
        """Start it again if it has ended and its turn has come; ChildError if that is of no use."""
        now_s = time.monotonic()
        if self._again_s is not None:
            if now_s >= self._again_s:
                self.start()
        elif self._process and (code := self._process.poll()) is not None:
            self._ended(code, now_s)
        else:
            self._reload_if_changed()

    def end(self) -> None:
        """SIGTERM, after five seconds SIGKILL."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            _ask_to_end(process)
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                _log.warning("%s did not end within %g s: killed", self.name, _END_S)
                process.kill()
                process.wait()
        if self._reader:
            self._reader.join(_LAST_LINES_S)

    def _ended(self, code: int, now_s: float) -> None:
        if self._reader:
            self._reader.join(_LAST_LINES_S)
        early = now_s - self._started_s < _STABLE_S
        self._early_ends = self._early_ends + 1 if early else 0
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        if code == _WRONG_USAGE or (not self._was_ready and self._early_ends >= _MOST_EARLY_ENDS):
            raise ChildError(f"{self.name} cannot run ({why}): {self._reason()}")
        wait_s = min(_LONGEST_S, _FIRST_S * 2 ** max(0, self._early_ends - 1))
        self._again_s = now_s + wait_s
        _log.warning("%s ended (%s); it is started again in %g s", self.name, why, wait_s)

    def _reason(self) -> str:
        explanations = self.program.explanations or {}
        known = [text for word, text in explanations.items() if word in self._last_line]
        return "; ".join([self._last_line or "it printed nothing", *known])

    def _reload_if_changed(self) -> None:
        changed_ns = self._file_time()
        if changed_ns == self._changed_ns or self._process is None:
            return
        self._changed_ns = changed_ns
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is None:  # Windows: it is started again
            _ask_to_end(self._process)
        else:
            self._process.send_signal(hangup)
        _log.info("%s reads its accounts again", self.name)

    def _file_time(self) -> int | None:
        try:
            return self.program.reload_with.stat().st_mtime_ns if self.program.reload_with else None
        except OSError:
            return None

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                text = line.decode("utf-8", "replace").rstrip()
                if _NO_REASON not in text:
                    self._last_line = text
                with suppress(OSError):  # the terminal is gone, or nobody reads: it must be able to end
                    self._write(f"{self.name:<9} | {text}")


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM; on Windows, where that kills, Ctrl-Break."""
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        process.terminate()


_UNLESS_ORPHANED = '[ "$PPID" = "$0" ] && exec "$@"'
"""This process may have ended before the program asked for its signal: then none comes."""


def _dying_with_us(user: str | None) -> list[str]:
    """What has a program run as `user`, and sent SIGTERM when this process ends in any way."""
    found = shutil.which("setpriv") if sys.platform == "linux" else None
    if found is None:
        return []
    changed = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
    asked = [found, *changed, "--pdeathsig", "TERM", "--"]
    return [*asked, "sh", "-c", _UNLESS_ORPHANED, str(os.getpid())]
