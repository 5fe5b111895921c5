"""The heartbeat file of a live agent, and `python -m runtime.heartbeat FILE`, which says if it is fresh.

The stamp is CLOCK_MONOTONIC, which neither a step of the clock nor a suspend makes old, and the boot that it
belongs to. Exit code 0: fresh. 1: not so, and why on standard error. Only the standard library is loaded.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

FRESH_S = 10.0

_log = logging.getLogger(__name__)


class HeartbeatFile:
    """The file as its agent sees it; one that cannot be written is said once, and harms nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.new")
        self._refused = False

    def beat(self, now_ns: int, status_text: str) -> None:
        """Stamp it with `now_ns` of CLOCK_MONOTONIC; `status_text` is for people."""
        try:
            self._draft.write_text(f"{now_ns} {_boot_id()}\n{status_text}\n", encoding="utf-8")
            self._draft.replace(self._path)
        except OSError as error:
            if not self._refused:
                _log.warning("cannot write the heartbeat file %s (%s); going on", self._path, error.strerror)
            self._refused = True
        else:
            self._refused = False


def complaint(path: Path, now_ns: int) -> str | None:
    """Why the agent that stamps `path` is not alive, or None when it is; `now_ns` is of CLOCK_MONOTONIC."""
    try:
        first, _, _ = path.read_text(encoding="utf-8").partition("\n")
        stamp, _, boot_id = first.partition(" ")
        age_s = (now_ns - int(stamp)) / 1e9
    except OSError as error:
        return f"no heartbeat in {path}: {error.strerror}"
    except ValueError:
        return f"{path} is no heartbeat file"
    if boot_id != _boot_id() or age_s < 0:
        return f"the heartbeat in {path} is from before the last boot"
    if age_s > FRESH_S:
        return f"the last heartbeat in {path} is {age_s:.0f} s old (at most {FRESH_S:g} s are well)"
    return None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def main(arguments: list[str]) -> int:
    """Check the file named; returns the exit code."""
    if len(arguments) != 1:
        print("usage: python -m runtime.heartbeat FILE", file=sys.stderr)
        return 2
    reason = complaint(Path(arguments[0]), time.monotonic_ns())
    if reason:
        print(reason, file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
