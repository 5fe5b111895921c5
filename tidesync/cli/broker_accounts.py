"""`tidesync broker add-…|revoke|list`: the accounts of the production broker."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from broker.accounts.book import (
    Account,
    AccountsError,
    Book,
    Hashes,
    UnknownAccountError,
    UnusablePasswordError,
    checked,
    hashes,
    new_password,
)
from broker.accounts.folder import AccountFolder, AccountSettings
from runtime.files import PrivateFile, checkout_of, folder_owner, write_new
from schemas.compat import UTC
from schemas.instants import iso_utc
from schemas.names import PING_SUFFIX, account_name, vehicle_name
from schemas.topic_kind import Role
from tidesync.errors import NotSoError, SettingsError, named
from tidesync.figures import in_columns
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from broker.accounts.permissions import Permissions

_RELOAD = "reload a running broker: `sudo systemctl reload mosquitto`, or send it SIGHUP"
"""A reload disconnects a revoked account at once. mosquitto 2.0.21 forgets max_connections at a reload."""
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_RIGHTS = {
    "vehicle": "answers pings and publishes its own status, info and events",
    "topside": "pings every vehicle and publishes its own results",
    "recorder": "records sessions, and asks topsides to send again",
    "dashboard": "reads results, statuses, events and session states; publishes nothing",
    "operator": "reads as a dashboard, and commands topsides and sessions",
}
_OPTIONAL_RIGHTS = {
    "topside": {
        "--homeassistant": "It may announce vehicles to Home Assistant.",
        "--blueos-mirror": "It may publish its results for BlueOS's telemetry too.",
    },
    "dashboard": {
        "--homeassistant": "It is Home Assistant, and reads what is announced to it.",
        "--blueos-mirror": "It is BlueOS's telemetry, and reads what extensions publish for it.",
    },
    "operator": {
        "--may-forget": "For `tidesync forget`: it may clear, and so write, what is retained of any vehicle"
        " or topside."
    },
}
"""Rights that an account may be given besides those of its role."""


def commands() -> list[click.Command]:
    """The subcommands of `tidesync broker` for accounts."""
    return [*map(_adder, get_args(Role)), revoke, list_]


def _adder(role: Role) -> click.Command:
    @click.argument("name")
    @click.option("--replace", is_flag=True, help="Renew the password of an account that is there.")
    @click.option(
        "--password-out",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write the password to this new file, readable by you alone, instead of printing it.",
    )
    @click.option(
        "--password-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="Take the password from this file's first line instead of making one.",
    )
    @with_settings(AccountSettings)
    @_AS_JSON
    def command(
        settings: AccountSettings,
        *,
        name: str,
        replace: bool,
        password_out: Path | None,
        password_file: Path | None,
        as_json: bool,
        may_forget: bool = False,
        homeassistant: bool = False,
        blueos_mirror: bool = False,
        for_pair: tuple[str, ...] = (),
    ) -> int:
        account_name(name)
        if password_out and password_file:
            raise SettingsError("--password-out and --password-file exclude each other")
        if as_json and not (password_out or password_file):
            raise SettingsError("--json shows no password: name a --password-out for it")
        password = _read_password(password_file) if password_file else new_password()
        account = Account(
            name=name,
            role=role,
            created_at=datetime.now(UTC),
            may_forget=may_forget,
            homeassistant=homeassistant,
            blueos_mirror=blueos_mirror,
            for_pair=tuple(named("--for-pair", vehicle_name, each) for each in for_pair),
            **hashes(password),
        )
        _store(settings, account, password, password_out, replace=replace)
        _report_added(settings, account, password_out, as_json=as_json)
        if not (password_out or password_file):
            click.echo(password)
        return 0

    for name, meaning in _OPTIONAL_RIGHTS.get(role, {}).items():
        command = click.option(name, is_flag=True, help=meaning)(command)
    if role == "topside":
        command = click.option(
            "--for-pair",
            multiple=True,
            metavar="VEHICLE",
            help="It measures this vehicle alone (repeatable), and publishes exchanges without results: for a"
            " topside on a vehicle's computer, for `tidesync pair`.",
        )(command)
    article = "an" if role == "operator" else "a"
    return click.command(
        f"add-{role}",
        help=f"Make the account of {article} {role}: it {_RIGHTS[role]}.",
        short_help=f"Make the account of {article} {role}.",
    )(command)


def _read_password(path: Path) -> str:
    try:
        return checked(path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r"))
    except (OSError, UnicodeDecodeError, UnusablePasswordError) as error:
        raise SettingsError(f"--password-file {path}: {error}") from error


def _store(
    settings: AccountSettings, account: Account, password: str, password_out: Path | None, *, replace: bool
) -> None:
    """Write the password, then the account: an account whose password is lost is of no use."""

    def add(before: Book | None) -> Book:
        book = _with_root(before or Book(), settings).added(account, replace=replace)
        if password_out:
            _write_password(password_out, password)
            written.append(password_out)
        return book

    written: list[Path] = []
    try:
        AccountFolder(settings.folder).change(add)
    except AccountsError:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _with_root(book: Book, settings: AccountSettings) -> Book:
    return book.model_copy(update={"topic_root": settings.topic_root}) if settings.topic_root else book


def _write_password(path: Path, password: str) -> None:
    if (checkout := checkout_of(path)) is not None:
        raise SettingsError(f"--password-out {path}: not into {checkout}, which is a checkout of git")
    try:
        write_new(path, PrivateFile(f"{password}\n".encode(), folder_owner(path.absolute().parent)))
    except FileExistsError as error:
        raise SettingsError(f"--password-out {path} is there already, and is not overwritten") from error
    except OSError as error:
        raise SettingsError(f"--password-out {path}: {error.strerror}") from error


def _report_added(
    settings: AccountSettings, account: Account, password_out: Path | None, *, as_json: bool
) -> None:
    where = f"; its password is in {password_out}" if password_out else ""
    if as_json:
        click.echo(json.dumps(_plain(account, settings.folder, password_out)))
    click.echo(f"{account.role} {account.name} is in {settings.folder}{where}; now {_RELOAD}", err=True)


def _plain(account: Account, folder: Path, password_out: Path | None) -> dict[str, Any]:
    return {
        "name": account.name,
        "role": account.role,
        "folder": str(folder),
        "password_file": str(password_out) if password_out else None,
    }


@click.command("revoke")
@click.argument("name")
@with_settings(AccountSettings)
@_AS_JSON
def revoke(settings: AccountSettings, *, name: str, as_json: bool) -> int:
    """Revoke the account NAME."""
    folder = AccountFolder(settings.folder)
    try:
        (folder.read() or Book()).without(name)  # creates no file where there is none
        folder.change(lambda before: _with_root(before or Book(), settings).without(name))
    except UnknownAccountError as error:
        raise NotSoError(f"{settings.folder}: {error}") from error
    if as_json:
        click.echo(json.dumps({"name": name, "folder": str(settings.folder)}))
    click.echo(
        f"{name} is removed from {settings.folder}; now {_RELOAD}, which also ends its connection. What the"
        " broker has retained of it stays",
        err=True,
    )
    return 0


@click.command("list")
@with_settings(AccountSettings)
@_AS_JSON
def list_(settings: AccountSettings, *, as_json: bool) -> int:
    """List the accounts, and with --json what each may publish and read."""
    book = AccountFolder(settings.folder).read() or Book()
    if as_json:
        accounts = [_described(account, book.permissions(account)) for account in book.accounts]
        click.echo(json.dumps({"topic_root": book.topic_root, "accounts": accounts}, indent=2))
    elif book.accounts:
        rows = [(account.name, _role(account), iso_utc(account.created_at)) for account in book.accounts]
        click.echo(in_columns(("ACCOUNT", "ROLE", "PASSWORD MADE"), rows))
    else:
        click.echo(f"no account in {settings.folder}")
    return 0


def _role(account: Account) -> str:
    more = {
        ", may forget": account.may_forget,
        ", Home Assistant": account.homeassistant,
        ", BlueOS": account.blueos_mirror,
        f", pairs {', '.join(account.for_pair)}": bool(account.for_pair),
    }
    return account.role + "".join(words for words, given in more.items() if given)


def _described(account: Account, allowed: Permissions) -> dict[str, Any]:
    return account.model_dump(mode="json", exclude=set(Hashes.__annotations__)) | {
        "publish": allowed.publish,
        "subscribe": allowed.subscribe,
        "for_pings": account.name + PING_SUFFIX if allowed.of_pings.publish else None,
    }
