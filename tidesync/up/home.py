"""The folder of a surface: choices, accounts, passwords, certificates, and the broker's configuration.

Made at the first start and completed at each: every file is written whole or not at all, so a start that was
interrupted anywhere is finished by the next.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from broker.accounts.book import Account, Book, hashes, matches, new_password
from broker.accounts.folder import AccountFolder
from broker.tls.authority import Host
from broker.tls.folder import CertificateFolder
from runtime import files, host
from runtime.file_lock import lock
from runtime.system_modules import pwd
from schemas.compat import UTC
from schemas.join_file import JoinFile
from schemas.names import made_valid
from tidesync.errors import NotSoError
from tidesync.up import mosquitto
from tidesync.up.settings import Choices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.topic_kind import Role

_CERTIFICATE_DAYS = 825
_RENEWED_BEFORE = timedelta(days=60)
_MOST_PLACES = 32
"""Names or addresses of one certificate: a laptop gets another one in each network."""
_READERS = ("status", "watch", "wait", "pair", "doctor", "session", "forget")
"""Commands that need no account of their own on this computer."""
PROGRAMS: dict[str, Role] = {
    "topside": "topside",
    "recorder": "recorder",
    "dashboard": "operator",
    "operator": "operator",
}
"""The accounts of a surface, each with its role; topside's has the station's name."""


class Home:
    """Reads and completes one surface's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / mosquitto.CONFIG
        self.data = path / mosquitto.DATA
        self.conf = path / "mosquitto.conf"
        self._choices = path / "choices.json"
        self._accounts = AccountFolder(self.config)

    @property
    def is_made(self) -> bool:
        """Whether there was a start."""
        return self._choices.exists()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep other processes from completing the folder while the block runs."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o755)
        descriptor = os.open(self.path / "changing", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            lock(descriptor, wait=True)
            yield
        finally:
            os.close(descriptor)

    def choices(self) -> Choices:
        """Those kept; the defaults before the first start."""
        content = files.read(self._choices)
        return (
            Choices()
            if content is None
            else Choices.decode(self._choices, content.decode("utf-8", "replace"))
        )

    def prepare(self, choices: Choices) -> Choices:
        """Make what is missing; returns the choices with the station's name."""
        choices = choices if choices.topside else choices.changed({"topside": _station_name()})
        self.path.mkdir(parents=True, exist_ok=True, mode=0o755)
        if choices.own_broker:
            for program, role in PROGRAMS.items():
                self._ensure_account(self.account(program, choices), role, self.password_file(program))
            self._accounts.change(lambda before: before or Book())  # what is made of them may be damaged
            if choices.tls:
                self._ensure_certificates()
            files.make_private_folder(self.data, 0o750)
            self._give_to_broker()
            _write(self.conf, mosquitto.configuration(self.path, choices))
        _write(self.path / "tidesync.toml", self._for_readers(choices))
        _write(self._choices, choices.encode())
        return choices

    def account(self, program: str, choices: Choices) -> str:
        """The name of a program's account."""
        return str(choices.topside) if program == "topside" else program

    def password_file(self, program: str) -> Path:
        """Where a program's password is."""
        return self.path / "passwords" / program

    def add_vehicle(self, vehicle: str, choices: Choices, *, replace: bool) -> JoinFile:
        """Make the account of a vehicle (or renew its password): what its agent needs to know."""
        if choices.embedded:
            raise NotSoError("the embedded broker listens on this computer only: a vehicle needs mosquitto")
        if choices.broker is not None:
            return JoinFile(vehicle=vehicle, brokers=tuple(choices.broker.split(",")))
        present = (self._accounts.read() or Book()).find(vehicle)
        if present and present.role != "vehicle":
            raise NotSoError(f"{vehicle} is the name of a {present.role} of this surface: take another")
        if present and not replace:
            raise NotSoError(
                f"vehicle {vehicle} has an account already; --replace renews its password (its old file ends)"
            )
        password = new_password()
        self._accounts.change(lambda before: _with(before, vehicle, "vehicle", password))
        scheme = "mqtts" if choices.tls else "mqtt"
        names = [*host.addresses(), f"{host.host_name()}.local"]
        authority = files.read(self.config / "certs" / "ca.crt") if choices.tls else None
        return JoinFile(
            vehicle=vehicle,
            brokers=tuple(f"{scheme}://{name}:{choices.vehicles_port}" for name in names),
            username=vehicle,
            password=password,
            ca=authority.decode() if authority else None,
        )

    def vehicles(self) -> list[str]:
        """Those that have an account."""
        book = self._accounts.read() or Book()
        return [account.name for account in book.accounts if account.role == "vehicle"]

    def _ensure_account(self, name: str, role: Role, password_file: Path) -> None:
        """An account whose password is not in its file is of no use: it gets another one."""
        present = (self._accounts.read() or Book()).find(name)
        kept = files.read(password_file) or b""
        if present and matches(kept.decode("utf-8", "replace").strip(), present.password):
            return
        password = new_password()
        password_file.parent.mkdir(mode=0o700, exist_ok=True)
        password_file.unlink(missing_ok=True)
        self._accounts.change(lambda before: _with(before, name, role, password))
        files.write_new(password_file, files.PrivateFile(f"{password}\n".encode()))

    def _ensure_certificates(self) -> None:
        """The broker's is renewed before it ends, and where this computer has got another name or address.

        It keeps those that it had, since the vehicles' files name them; the authority stays, so these do too.
        """
        folder, now = CertificateFolder(self.config / "certs"), datetime.now(UTC)
        names = (host.host_name(), f"{host.host_name()}.local")
        here = Host(tuple(dict.fromkeys(names)), tuple(host.addresses()))
        if folder.serves(here, now + _RENEWED_BEFORE):
            return
        before = folder.known()
        reached = Host(_joined(here.names, before.names), _joined(here.addresses, before.addresses))
        folder.make(reached, (), now + timedelta(days=_CERTIFICATE_DAYS), now, renew=True)

    def _give_to_broker(self) -> None:
        """Files that root has brought back from a copy are root's: the broker could not read them."""
        if sys.platform != "win32" and mosquitto.user_for(self.path) == mosquitto.USER:
            certificates = self.config / "certs"
            read = [self.config, self.data, certificates, *self.config.iterdir(), *self.data.iterdir()]
            read += [certificates / name for name in ("ca.crt", "server.crt", "server.key")]
            user = pwd.getpwnam(mosquitto.USER)
            for path in read:
                with suppress(FileNotFoundError):
                    status = path.lstat()
                    of_this_name_alone = stat.S_ISDIR(status.st_mode) or status.st_nlink == 1
                    if status.st_uid == 0 and of_this_name_alone:  # else it could be any file of root's
                        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)

    def _for_readers(self, choices: Choices) -> str:
        """The settings of this computer's commands, below those of the user."""
        lines = [
            "# Made by `tidesync up` for the commands of this computer; your own tidesync.toml comes first."
        ]
        for command in _READERS:
            lines += ["", f"[{command}]", f'broker = "{choices.local_url}"']
            if command == "doctor":
                lines.append(f"root = {mosquitto.quoted(choices.root)}")
            if choices.own_broker:
                lines += [
                    'username = "operator"',
                    f"password_file = {mosquitto.quoted(self.password_file('operator'))}",
                ]
        return "\n".join(lines) + "\n"


def _joined(now: Sequence[str], before: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*now, *before]))[:_MOST_PLACES]


def _write(path: Path, text: str) -> None:
    """Unless it is so already: a start that changes nothing needs no room on the disk."""
    if files.read(path) != text.encode():
        files.replace(path, text.encode())


def _station_name() -> str:
    """This computer's name; kept, so it may be the name of a container that will have another."""
    name = made_valid(host.host_name())
    return "surface" if name in {None, "localhost", *PROGRAMS} else str(name)


def _with(before: Book | None, name: str, role: Role, password: str) -> Book:
    account = Account(
        name=name,
        role=role,
        **hashes(password),
        created_at=datetime.now(UTC),
        may_forget=name == "operator",
    )
    return (before or Book()).added(account, replace=True)
