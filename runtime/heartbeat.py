"""The heartbeat file of a live agent, and `python -m runtime.heartbeat FILE`, which checks that it is fresh.

The stamp is CLOCK_MONOTONIC, which does not change with a clock step or a suspend, and the boot id. Exit
code 0: fresh. 1: not fresh, with the reason on standard error. Only the standard library is loaded.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

MAX_AGE_S = 10.0

_log = logging.getLogger(__name__)


class HeartbeatFile:
    """The file, for its agent. If it cannot be written, that is logged once, and the agent continues."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new = path.with_name(f".{path.name}.new")
        self._failed = False

    def beat(self, now_ns: int, status_text: str) -> None:
        """Write `now_ns` of CLOCK_MONOTONIC; `status_text` is for people."""
        try:
            # without fsync: a heartbeat need not survive a power cut
            self._new.write_text(f"{now_ns} {_boot_id()}\n{status_text}\n", encoding="utf-8")
            self._new.replace(self._path)
        except OSError as error:
            if not self._failed:
                _log.warning(
                    "cannot write the heartbeat file %s (%s); continuing without it",
                    self._path,
                    error.strerror,
                )
            self._failed = True
        else:
            self._failed = False


def problem(path: Path, now_ns: int) -> str | None:
    """Why the agent that stamps `path` is not alive, or None if it is; `now_ns` is CLOCK_MONOTONIC."""
    try:
        first, _, _ = path.read_text(encoding="utf-8").partition("\n")
        stamp, _, boot_id = first.partition(" ")
        age_s = (now_ns - int(stamp)) / 1e9
    except OSError as error:
        return f"no heartbeat in {path}: {error.strerror}"
    except ValueError:
        return f"{path} is not a heartbeat file"
    if boot_id != _boot_id() or age_s < 0:
        return f"the heartbeat in {path} is from before the last boot"
    if age_s > MAX_AGE_S:
        return f"the last heartbeat in {path} is {age_s:.0f} s old (the limit is {MAX_AGE_S:g} s)"
    return None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def main(arguments: list[str]) -> int:
    """Check the given file; returns the exit code."""
    if len(arguments) != 1:
        print("usage: python -m runtime.heartbeat FILE", file=sys.stderr)
        return 2
    reason = problem(Path(arguments[0]), time.monotonic_ns())
    if reason:
        print(reason, file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
