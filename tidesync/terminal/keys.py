"""What the terminal does with keys while a live table is drawn."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def unseen_interrupt() -> Iterator[None]:
    """Have the terminal print no `^C`: where it wraps, the table is drawn once more below."""
    try:
        import termios  # noqa: PLC0415 - not on Windows

        before = termios.tcgetattr(sys.stdin)
    except (ImportError, OSError, ValueError, termios.error):  # no terminal
        yield
        return
    local_modes = 3
    quiet = [*before]
    quiet[local_modes] = before[local_modes] & ~termios.ECHOCTL
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
