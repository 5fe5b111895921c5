"""Work for tests of what does tasks: functions that processes started by them find."""

import os
import signal
import time
from pathlib import Path

from tidesync.errors import SettingsError


def doubled(task, shared, progress):
    """The task twice and what is shared; some tasks end the process, and one waits in its folder."""
    progress(1)
    if task == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "fault":
        raise ArithmeticError("too much")
    if task == "memory":
        raise MemoryError
    if task == "usage":
        raise SettingsError("--zone: expected a zone")
    if isinstance(task, Path):
        waiting = task / f".{os.getpid()}.new"
        try:
            waiting.touch()
            while True:
                time.sleep(0.05)  # noqa: TID251 - what it waits for is to be ended
        finally:
            waiting.unlink()
    return task, task, shared, os.getpid()
