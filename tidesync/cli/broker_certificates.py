"""`tidesync broker make-certs`: certificates for a boat that has no authority of its own."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.compat import UTC
from schemas.instants import iso_utc
from schemas.names import account_name
from tidesync.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.tls.authority import Host

_DEFAULT_DAYS = 10 * 365
_MOST_DAYS = 25 * 365


@click.command("make-certs")
@click.option("--name", "names", multiple=True, metavar="HOST", help="A name of the broker; repeatable.")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="IP",
    help="An address of the broker; repeatable.",
)
@click.option(
    "--client", "clients", multiple=True, metavar="ACCOUNT", help="Also make an account's own; repeatable."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="/mosquitto/config/certs",
    show_default=True,
    metavar="DIR",
    help="The folder of the certificates.",
)
@click.option(
    "--days",
    type=click.IntRange(1, _MOST_DAYS),
    default=_DEFAULT_DAYS,
    show_default=True,
    help="Days until they expire.",
)
@click.option("--renew", is_flag=True, help="Renew the existing certificates, with the existing authority.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def make_certs(
    *,
    names: Sequence[str],
    addresses: Sequence[str],
    clients: Sequence[str],
    folder: Path,
    days: int,
    renew: bool,
    as_json: bool,
) -> int:
    """Make an authority, and the broker's certificate for its names and addresses.

    Every program needs the authority's certificate (--ca-file ca.crt), and none its key: whoever has ca.key
    can impersonate the broker.
    """
    from broker.tls.folder import CertificateFolder  # noqa: PLC0415 - accounts do not need cryptography

    host = _host(names, addresses)
    accounts = _accounts(clients)
    if not (host or accounts or renew):
        raise SettingsError("give the broker's names or addresses: --name laptop.local --address 192.168.2.1")
    now = datetime.now(UTC)
    ends = now + timedelta(days=days)
    written = CertificateFolder(folder).make(host, accounts, ends, now, renew=renew)
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in written], "ends": iso_utc(ends)}))
    else:
        for path in written:
            click.echo(path)
    click.echo(f"valid until {ends:%Y-%m-%d}; the broker reads a new one at its next start", err=True)
    return 0


def _host(names: Sequence[str], addresses: Sequence[str]) -> Host | None:
    from broker.tls.authority import Host, InvalidHostError  # noqa: PLC0415 - see make_certs

    try:
        return Host(tuple(names), tuple(addresses)) if names or addresses else None
    except InvalidHostError as error:
        raise SettingsError(f"--{'name' if 'name' in str(error) else 'address'}: {error}") from error


def _accounts(clients: Sequence[str]) -> list[str]:
    from broker.tls.folder import RESERVED  # noqa: PLC0415 - see make_certs

    for client in clients:
        if account_name(client) in RESERVED:
            raise SettingsError(f"--client {client}: that file is the authority's or the broker's own")
    return list(dict.fromkeys(clients))
