"""The system calls that hardware stamps need; tests bring their own."""

from __future__ import annotations

import ctypes
import os
import socket
from struct import Struct

from runtime.system_modules import fcntl

_REQUEST = Struct("@16sP8x")
"""struct ifreq with a pointer to what the driver reads and writes."""


class Kernel:
    """Linux's. Each raises OSError where the system refuses."""

    def name_of(self, interface: int) -> str:
        """The interface with this index."""
        return socket.if_indextoname(interface)

    def ask(self, name: str, request: int, content: bytes) -> bytes:
        """What the driver of the interface makes of `content`."""
        if fcntl is None:
            raise OSError("this system has no ioctl")
        answer = ctypes.create_string_buffer(content, len(content))
        asked = _REQUEST.pack(name.encode()[:15], ctypes.addressof(answer))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            fcntl.ioctl(asking.fileno(), request, asked)
        return answer.raw

    def open(self, path: str) -> int:
        """The file, to be read only."""
        return os.open(path, os.O_RDONLY)

    def control(self, file: int, request: int, content: bytearray) -> None:
        """Have the file's driver read and write `content`."""
        if fcntl is None:
            raise OSError("this system has no ioctl")
        fcntl.ioctl(file, request, content)

    def close(self, file: int) -> None:
        """Close the file."""
        os.close(file)
