"""Locks between processes, which the system releases however the process that holds one ends.

POSIX locks an open file or folder (flock). Windows cannot open a folder, and keeps what is locked from
being read: there a byte far behind the end of a file is locked (`msvcrt.locking`), for a folder that of a
file in it.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

from runtime.system_modules import fcntl, msvcrt

if TYPE_CHECKING:
    from pathlib import Path

_TAKEN = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_FAR = 1 << 30
_AGAIN_S = 0.05
_IN_FOLDER = ".lock"
_pause = threading.Event()
"""Never set."""


def lock(descriptor: int, *, wait: bool = False) -> bool:
    """Lock an open file for this process until it is closed; False where another one has it.

    A file system without locks (some network drives) goes without: True, and two processes may have it.
    """
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        elif msvcrt is not None:
            _lock_byte(descriptor, wait=wait)
    except OSError as error:
        return error.errno not in _TAKEN
    return True


def lock_folder(folder: Path, *, wait: bool = False) -> int | None:
    """Lock `folder` until the returned descriptor is closed; None where another process has it.

    Without flock the lock is that of the file `.lock` in it, which stays there.
    """
    if fcntl is not None:
        descriptor = os.open(folder, os.O_RDONLY)
    else:
        descriptor = os.open(folder / _IN_FOLDER, os.O_RDWR | os.O_CREAT, 0o644)
    if lock(descriptor, wait=wait):
        return descriptor
    os.close(descriptor)
    return None


def _lock_byte(descriptor: int, *, wait: bool) -> None:
    while True:
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if not wait or error.errno not in _TAKEN:
                raise
        else:
            return
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
        _pause.wait(_AGAIN_S)
