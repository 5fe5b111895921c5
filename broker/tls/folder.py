"""A folder with an authority (`ca.crt`, `ca.key`), the broker's certificate and those of accounts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from broker.errors import BrokerError
from broker.tls.authority import Authority, Host, Signed, host_of, serves
from runtime.files import PrivateFile, broker_owner, make_private_folder, replace_all, unusable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

AUTHORITY = "ca"
SERVER = "server"
RESERVED = (AUTHORITY, SERVER)
_PUBLIC = 0o644
_FOLDER_MODE = 0o755


class CertificatesError(BrokerError):
    """Certificates cannot be made as asked."""


class CertificateFolder:
    """Makes and renews certificates; nothing that is there is overwritten unless it is to be renewed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder

    def make(
        self, host: Host | None, accounts: Sequence[str], ends: datetime, now: datetime, *, renew: bool
    ) -> list[Path]:
        """Sign the broker's certificate for `host`, and one for each account; gives the files written.

        To renew with neither renews the broker's, with the names that it was issued for. A missing authority
        is made.
        """
        try:
            if renew and host is None and not accounts:
                host = host_of(self._path(SERVER, "crt").read_bytes())
            for name in ([SERVER] if host else []) + list(accounts):
                self._refuse_present(name, renew=renew)
            return self._write(self._signed(host, accounts, ends, now))
        except OSError as error:
            raise CertificatesError(unusable(Path(error.filename or self.path), error)) from error
        except ValueError as error:
            raise CertificatesError(f"{self._path(SERVER, 'crt')}: {error}") from error

    def serves(self, host: Host, until: datetime) -> bool:
        """Whether the broker's certificate is this authority's, for all of `host`, and good `until` then."""
        try:
            authority = self._path(AUTHORITY, "crt").read_bytes()
            return serves(authority, self._read(SERVER), host, until)
        except FileNotFoundError:
            return False

    def known(self) -> Host:
        """What the broker's certificate is issued for; nothing where there is none, or a damaged one."""
        try:
            return host_of(self._path(SERVER, "crt").read_bytes())
        except (FileNotFoundError, ValueError):
            return Host((), ())

    def _signed(
        self, host: Host | None, accounts: Sequence[str], ends: datetime, now: datetime
    ) -> dict[str, Signed]:
        present = [self._path(AUTHORITY, kind).exists() for kind in ("crt", "key")]
        if not any(present):
            authority = Authority.make(now)
            signed = {AUTHORITY: authority.signed}
        else:
            authority, signed = self._authority(), {}
        if authority.ends <= now:
            ended = f"{self._path(AUTHORITY, 'crt')} ended on {authority.ends:%Y-%m-%d}"
            raise CertificatesError(f"{ended}: start again in another folder")
        signed |= {account: authority.client(account, ends) for account in accounts}
        return signed | ({SERVER: authority.server(host, ends)} if host else {})

    def _authority(self) -> Authority:
        try:
            return Authority.load(self._read(AUTHORITY))
        except FileNotFoundError as error:
            raise CertificatesError(f"{error.filename} is missing: its other half is there") from error
        except (ValueError, TypeError) as error:
            raise CertificatesError(f"{self.path}: ca.crt and ca.key are no authority: {error}") from error

    def _write(self, signed: dict[str, Signed]) -> list[Path]:
        """The broker may read its own key; the authority's and the accounts' are for who made them."""
        make_private_folder(self.path, _FOLDER_MODE)
        owner = broker_owner(self.path)
        files = {}
        for name, one in signed.items():
            files[f"{name}.key"] = PrivateFile(one.key, owner if name == SERVER else None)
            files[f"{name}.crt"] = PrivateFile(one.certificate, owner, _PUBLIC)
        replace_all(self.path, files)
        return [self.path / name for name in files]

    def _refuse_present(self, name: str, *, renew: bool) -> None:
        for kind in ("crt", "key"):
            if self._path(name, kind).exists() and not renew:
                raise CertificatesError(
                    f"{self._path(name, kind)} is there already, and is not overwritten; --renew renews it"
                )

    def _read(self, name: str) -> Signed:
        return Signed(self._path(name, "crt").read_bytes(), self._path(name, "key").read_bytes())

    def _path(self, name: str, kind: str) -> Path:
        return self.path / f"{name}.{kind}"
