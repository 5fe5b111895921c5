"""`tidesync up`: everything of the surface, with one command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.accounts.book import AccountsError
from runtime.files import PrivateFile, checkout_of, replace_all, unusable
from runtime.lifecycle import run_until_stopped
from schemas.join_file import HEAD
from schemas.names import vehicle_name
from tidesync.errors import NotSoError, SettingsError
from tidesync.settings import with_settings
from tidesync.up import run
from tidesync.up.home import Home
from tidesync.up.install import install
from tidesync.up.settings import UpSettings
from tidesync.up.supervisor import Supervisor

if TYPE_CHECKING:
    from tidesync.up.settings import Choices


@click.command("up")
@click.option(
    "--add-vehicle",
    metavar="NAME",
    help="Make NAME.tidesync, with which a vehicle's `tidesync pi --join` finds and enters this broker.",
)
@click.option("--replace", is_flag=True, help="With --add-vehicle: renew a vehicle's password.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --add-vehicle: the file to write  [default: NAME.tidesync here]",
)
@click.option("--install", "installs", is_flag=True, help="Start it with this computer, or at login.")
@click.option("--mosquitto", is_flag=True, help="Run mosquitto again, after --broker or --embedded.")
@click.option("--no-tls", is_flag=True, help="Listen without TLS again.")
@click.option("--json", "as_json", is_flag=True, help="With --add-vehicle: print one JSON document.")
@with_settings(UpSettings)
def command(
    settings: UpSettings,
    *,
    add_vehicle: str | None,
    replace: bool,
    out: Path | None,
    installs: bool,
    as_json: bool,
    mosquitto: bool,
    no_tls: bool,
) -> int:
    """Run everything that a surface needs: broker (mosquitto), topside, recorder and dashboard.

    The first start makes what is missing, in one folder: accounts, settings, with --tls certificates. What is
    chosen by an option is kept there for the next start.
    """
    home = Home(settings.home.absolute())
    chosen = settings.chosen | ({"tls": False} if no_tls else {})
    if mosquitto:
        chosen |= {"broker": None, "embedded": False}
    try:
        if chosen.get("broker") and chosen.get("embedded"):
            raise SettingsError("--broker and --embedded exclude each other")
        if add_vehicle is not None:
            return _add(home, chosen, vehicle_name(add_vehicle), out, replace=replace, as_json=as_json)
        if out or replace or as_json:
            raise SettingsError("--out, --replace and --json belong to --add-vehicle")
        with run.only_one(home):
            return _install(home, chosen) if installs else _run(home, chosen)
    except OSError as error:
        raise NotSoError(unusable(Path(error.filename or home.path), error)) from error
    except AccountsError as error:
        if isinstance(error.__cause__, OSError):  # no fault of the accounts: as a full disk
            raise NotSoError(str(error)) from error
        raise AccountsError(
            f"{error}; to make all accounts again move {home.config} away, then give each vehicle a new file"
            " (--add-vehicle NAME --replace)"
        ) from error


def _prepare(home: Home, chosen: dict[str, Any]) -> Choices:
    with home.changing():
        return home.prepare(home.choices().changed(chosen))


def _install(home: Home, chosen: dict[str, Any]) -> int:
    _prepare(home, chosen)
    click.echo(install(home))
    return 0


def _run(home: Home, chosen: dict[str, Any]) -> int:
    run.check(home.choices().changed(chosen))
    choices = _prepare(home, chosen)
    programs = run.programs(home, choices)
    all_run = Supervisor(
        programs, lambda line: click.echo(line, err=True), lambda: _show(run.summary(home, choices))
    )
    code = run_until_stopped(all_run)
    _show(f"Tidesync has stopped; the sessions are in {choices.root}")
    return code


def _show(text: str) -> None:
    """Print `text`; that nobody reads it, as once a terminal is closed, is no reason to end."""
    try:
        click.echo(text)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # what is left in its buffer goes there
        os.close(nowhere)


def _add(
    home: Home, chosen: dict[str, Any], vehicle: str, out: Path | None, *, replace: bool, as_json: bool
) -> int:
    path = _place(home, vehicle, out, replace=replace)
    with home.changing():
        kept = home.choices()
        other = [name for name, value in chosen.items() if getattr(kept, name) != value]
        if home.is_made and other:
            option = other[0].replace("_", "-")
            raise SettingsError(f"--{option} is chosen with `tidesync up`, before --add-vehicle")
        choices = home.prepare(kept.changed(chosen))
        joined = home.add_vehicle(vehicle, choices, replace=replace)
        replace_all(path.parent, {path.name: PrivateFile(joined.encode().encode())})
    if as_json:
        click.echo(json.dumps({"vehicle": vehicle, "file": str(path), "brokers": joined.brokers}))
    else:
        click.echo(f"{path} is made; it holds a password. Copy it to the vehicle, and there:\n")
        click.echo(f"  tidesync pi --join {path.name}\n")
        click.echo(f"It looks for this broker at {', '.join(joined.brokers)}. If the vehicle's network")
        click.echo("is not among them, connect this computer to it and make the file again (--replace).")
    return 0


def _place(home: Home, vehicle: str, out: Path | None, *, replace: bool) -> Path:
    """Where the file goes: here, but never into a checkout, from which a password would be published."""
    path = (out or Path(f"{vehicle}.tidesync")).absolute()
    if checkout_of(path) is not None:
        if out is not None:
            raise SettingsError(f"--out {out}: it would be in a checkout of git, and it holds a password")
        path = home.path / "vehicles" / path.name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise NotSoError(f"{path.parent}: expected a folder that can be written to")
    if path.exists() and not (replace and path.is_file() and path.read_bytes().startswith(HEAD)):
        raise NotSoError(f"{path} is there already; --replace replaces a vehicle's file, with a new password")
    return path
