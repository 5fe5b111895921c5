"""`python -m tidesync.dashboard.products.process NICE BYTES COMMAND …`: a command in the background.

It has the low priority NICE, writes no file larger than BYTES, is the first to be ended where memory is
short, and ends with the process that started it, which holds the other end of its standard input.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from tidesync.cli.progress import Progress
from tidesync.command_line import run
from tidesync.dashboard.products.folder import PROGRESS


def _yield_to_others(nice: int, most_bytes: int) -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - POSIX

        os.nice(nice)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    # With a session of its own the priority would count within that session alone.
    for name, value in (("autogroup", str(nice)), ("oom_score_adj", "1000")):
        with suppress(OSError):
            Path("/proc/self", name).write_text(value, encoding="ascii")


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


class _Shown:
    """Writes each percent once."""

    def __init__(self) -> None:
        self._percent = -1

    def __call__(self, part: float) -> None:
        percent = int(100 * part)
        if percent > self._percent:
            self._percent = percent
            sys.stdout.write(f"{PROGRESS}{part:.2f}\n")
            sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run the command; its exit code."""
    _yield_to_others(int(arguments[0]), int(arguments[1]))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    Progress.observer = _Shown()
    return run(arguments[2:])


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the thread that waits for the parent would hold the interpreter up
