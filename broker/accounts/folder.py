"""The folder that the broker reads its accounts from: `accounts.json`, and what is made of it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from broker.accounts.book import AccountsError, Book
from broker.accounts.texts import texts
from runtime.file_lock import lock_folder
from runtime.files import PrivateFile, broker_owner, make_private_folder, replace_all, unusable
from schemas.names import Root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = "accounts.json"
_MODE = 0o750


class AccountSettings(BaseModel):
    """The production broker's folder, and the topic root of its accounts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(Path("/mosquitto/config"), description="Folder that the broker reads")
    topic_root: Root | None = Field(
        None, description="First level(s) of every topic  [default: the accounts' own, else tidesync]"
    )


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
            raise AccountsError(unusable(path, error)) from error

    def change(self, change: Callable[[Book | None], Book]) -> Book:
        """Write what `change` makes of the accounts; other changes wait."""
        try:
            make_private_folder(self.path, _MODE)
            with _locked(self.path):
                before = self.read()
                if before is None:
                    self._refuse_foreign()
                book = change(before)
                self._write(book)
        except OSError as error:  # the other name is that of a file that was to be renamed over
            raise AccountsError(unusable(Path(error.filename2 or self.path), error)) from error
        return book

    def _write(self, book: Book) -> None:
        """The source last: a revoked account is not gone from it before it is gone from the others."""
        owner = broker_owner(self.path)
        contents = {name: text.encode() for name, text in (texts(book) | {SOURCE: book.encode()}).items()}
        if any(_differs(self.path / name, content) for name, content in contents.items()):
            replace_all(self.path, {name: PrivateFile(each, owner) for name, each in contents.items()})

    def _refuse_foreign(self) -> None:
        """Files of somebody's own making are not overwritten."""
        for name in texts(Book()):
            if (self.path / name).exists():
                raise AccountsError(
                    f"{self.path / name} is not of our making ({SOURCE} is not beside it): move it away"
                )


def _differs(path: Path, content: bytes) -> bool:
    """Whether it must be written; what is so already needs no room on the disk."""
    try:
        return path.read_bytes() != content or path.stat().st_mode & 0o077 != 0
    except OSError:
        return True


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait for another change to end; a file system without locks goes without."""
    descriptor = lock_folder(folder, wait=True)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)
