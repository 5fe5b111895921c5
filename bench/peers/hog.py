"""`python -m bench.peers.hog SECONDS`: keeps one processor busy, for so long at most."""

from __future__ import annotations

import os
import sys
import time


def main() -> None:
    """Ends by itself, and when the run that started it has died."""
    end_s = time.monotonic() + float(sys.argv[1])
    parent = os.getppid()
    while time.monotonic() < end_s and os.getppid() == parent:
        sum(range(20_000))


if __name__ == "__main__":
    main()
