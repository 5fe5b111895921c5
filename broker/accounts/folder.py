"""The folder that the broker reads its accounts from: `accounts.json`, and what is made of it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from broker.accounts.book import AccountsError, Book
from broker.accounts.texts import texts

if sys.platform != "win32":
    import fcntl
    import pwd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

SOURCE = "accounts.json"
_USER = "mosquitto"


class AccountFolder:
    """Reads and changes the accounts below one folder; one change at a time, whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.path = folder

    def read(self) -> Book | None:
        """The accounts, or None where there are none yet; AccountsError when they cannot be read."""
        path = self.path / SOURCE
        try:
            return Book.decode(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except AccountsError as error:
            raise AccountsError(f"{path}: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(path, error) from error

    def change(self, change: Callable[[Book | None], Book]) -> Book:
        """Write what `change` makes of the accounts; nobody else changes them meanwhile."""
        try:
            made = not self.path.is_dir()
            self.path.mkdir(parents=True, exist_ok=True)
            if made:
                give(self.path, broker_owner(self.path), 0o750)
            with _locked(self.path):
                before = self.read()
                if before is None:
                    self._refuse_foreign()
                book = change(before)
                replace_all(self.path, texts(book) | {SOURCE: book.encode()})
        except OSError as error:
            raise _unusable(self.path, error) from error
        return book

    def _refuse_foreign(self) -> None:
        """Files of somebody's own making are not overwritten."""
        for name in texts(Book()):
            if (self.path / name).exists():
                raise AccountsError(
                    f"{self.path / name} is not of our making ({SOURCE} is not beside it): move it away"
                    " and add its accounts again, or take another --folder"
                )


def replace_all(folder: Path, contents: Mapping[str, str]) -> None:
    """Write files, readable by the broker alone; first aside, so that a full disk changes nothing.

    They are put in place in order: the last, the source, says what is so only when it is.
    """
    owner = broker_owner(folder)
    aside = {name: folder / f".{name}.new" for name in contents}
    try:
        for name, content in contents.items():
            aside[name].unlink(missing_ok=True)
            write_new(aside[name], content.encode(), owner)
        for name in contents:
            aside[name].replace(folder / name)
    finally:
        for path in aside.values():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    _sync(folder)


def write_new(path: Path, content: bytes, owner: tuple[int, int] | None = None, mode: int = 0o600) -> None:
    """Write a file that must not be there yet, for its owner alone, down to the disk; whole or not at all."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags, 0o600), "wb") as file:  # noqa: PTH123 - of a descriptor
        try:
            file.write(content)
            file.flush()
            give(file.fileno(), owner, mode)  # the open file, not what may stand under its name by now
            os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            raise


def broker_owner(folder: Path) -> tuple[int, int] | None:
    """Whom root gives files in `folder` to, so that the broker can read them: its owner, else mosquitto."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    status = folder.stat()
    if status.st_uid:
        return status.st_uid, status.st_gid
    try:
        user = pwd.getpwnam(_USER)
    except KeyError:
        return None
    return user.pw_uid, user.pw_gid


def give(file: Path | int, owner: tuple[int, int] | None, mode: int) -> None:
    """Set the mode of a path or open file, and its owner where one is given."""
    if sys.platform != "win32":
        os.chmod(file, mode)  # noqa: PTH101 - of a descriptor
        if owner:
            os.chown(file, *owner)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait for another change to end; a file system without locks goes without."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unusable(path: Path, error: Exception) -> AccountsError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    hint = "; run it as root or as the folder's owner" if isinstance(error, PermissionError) else ""
    return AccountsError(f"{path}: {reason}{hint}")
