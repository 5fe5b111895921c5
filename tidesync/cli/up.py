"""`tidesync up`: everything of the surface, with one command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.files import PrivateFile, checkout_of, replace_all, unusable
from runtime.lifecycle import run_until_stopped
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
) -> int:
    """Run everything that a surface needs: broker (mosquitto), topside, recorder and dashboard.

    The first start makes what is missing, in one folder: accounts, settings, with --tls certificates. What is
    chosen by an option is kept there for the next start.
    """
    home = Home(settings.home)
    try:
        choices = home.choices().changed(settings.chosen)
        if choices.broker and choices.embedded:
            raise SettingsError("--broker and --embedded exclude each other")
        if add_vehicle is not None:
            return _add(
                home, home.prepare(choices), vehicle_name(add_vehicle), out, replace=replace, as_json=as_json
            )
        with run.only_one(home):
            choices = home.prepare(choices)
            if installs:
                click.echo(install(home))
                return 0
            return _run(home, choices)
    except OSError as error:
        raise NotSoError(unusable(Path(error.filename or home.path), error)) from error


def _run(home: Home, choices: Choices) -> int:
    programs = run.programs(home, choices)
    return run_until_stopped(
        Supervisor(
            programs, lambda line: click.echo(line, err=True), lambda: click.echo(run.summary(home, choices))
        )
    )


def _add(
    home: Home, choices: Choices, vehicle: str, out: Path | None, *, replace: bool, as_json: bool
) -> int:
    path = _place(home, vehicle, out)
    if path.exists() and not replace:
        raise NotSoError(f"{path} is there already; --replace writes it, with a new password")
    joined = home.add_vehicle(vehicle, choices, replace=replace)
    replace_all(path.parent, {path.name: PrivateFile(joined.encode().encode())})
    if as_json:
        click.echo(json.dumps({"vehicle": vehicle, "file": str(path), "brokers": joined.brokers}))
    else:
        click.echo(f"{path} is made; it holds a password. Copy it to the vehicle, and there:\n")
        click.echo(f"  tidesync pi --join {path.name}")
    return 0


def _place(home: Home, vehicle: str, out: Path | None) -> Path:
    """Where the file goes: here, but never into a checkout, from which a password would be published."""
    path = (out or Path(f"{vehicle}.tidesync")).absolute()
    if checkout_of(path) is None:
        return path
    if out is not None:
        raise SettingsError(f"--out {out}: it would be in a checkout of git, and it holds a password")
    folder = home.path / "vehicles"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / path.name
