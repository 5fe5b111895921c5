"""Windows' `msvcrt`, as far as locks go: a byte range is locked for one open file, until it is closed."""

import errno
import fcntl
import os
import struct

LK_NBLCK = 2
_FLOCK = struct.Struct("@hhqqi4x")


def locking(descriptor, mode, length):
    """As Windows: PermissionError where another open file, of this process too, has the range."""
    assert mode == LK_NBLCK
    start = os.lseek(descriptor, 0, os.SEEK_CUR)
    wanted = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
    except BlockingIOError as error:
        raise PermissionError(errno.EACCES, "Permission denied") from error
