"""netCDF 4 onto a stream: a disk that is full is an OSError, where HDF5 alone would end the process.

HDF5 does not survive a write that fails: h5py then frees what was freed already. So it writes to an object
that keeps the first error, and discards what follows it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def netcdf_on(stream: BinaryIO, folder: Path | None = None) -> Iterator[tuple[Any, Callable[[], None]]]:
    """A new file of h5netcdf, which is on `stream` when the block ends; it is made in `folder`.

    The second value raises the OSError of a write that failed, which the block's end does too.
    """
    import h5netcdf  # noqa: PLC0415 - only this format needs it

    with checked_on(stream, folder) as checked, h5netcdf.File(checked, "w") as file:
        yield file, checked.check


@contextmanager
def checked_on(
    stream: BinaryIO, folder: Path | None = None, original: Path | None = None
) -> Iterator[CheckedFile]:
    """A file for h5py, with the content of `original` if there is one; see `netcdf_on`."""
    with TemporaryFile(dir=folder, buffering=0) as made:
        checked = CheckedFile(made)
        if original is not None:
            with original.open("rb") as source:
                shutil.copyfileobj(source, checked, 1 << 20)
            checked.check()
        try:
            yield checked
        finally:
            checked.check()
        made.seek(0)
        shutil.copyfileobj(made, stream, 1 << 20)


class CheckedFile:
    """What h5py needs of a file: none of it raises."""

    def __init__(self, file: Any) -> None:
        """`file` is not buffered: its errors show at once."""
        self._file, self._place, self._size = file, 0, 0
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first error."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = begin + offset
        return self._place

    def tell(self) -> int:
        """Where it is."""
        return self._place

    def write(self, data: Any) -> int:
        """Write all, or keep the error."""
        view = memoryview(data).cast("B")
        size = len(view)
        try:
            self._file.seek(self._place)
            while self._error is None and view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self._error = error
        self.seek(size, os.SEEK_CUR)
        self._size = max(self._size, self._place)
        return size

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is; the rest is zeros."""
        view = memoryview(buffer).cast("B")
        try:
            self._file.seek(self._place)
            found = self._file.read(len(view))
        except OSError as error:
            self._error, found = self._error or error, b""
        view[: len(found)] = found
        view[len(found) :] = bytes(len(view) - len(found))
        self.seek(len(view), os.SEEK_CUR)
        return len(view)

    def read(self, size: int = -1) -> bytes:
        """The same as bytes."""
        buffer = bytearray(self._size - self._place if size < 0 else size)
        self.readinto(buffer)
        return bytes(buffer)

    def truncate(self, size: int | None = None) -> int:
        """Cut off or extend."""
        self._size = self._place if size is None else size
        try:
            if self._error is None:
                self._file.truncate(self._size)
        except OSError as error:
            self._error = error
        return self._size

    def flush(self) -> None:
        """Nothing is held."""
