"""mosquitto for one surface: where it is, what it must be configured to, which port it cannot have."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.files import is_root
from runtime.system_modules import pwd
from tidesync.errors import NotSoError

if TYPE_CHECKING:
    from tidesync.up.settings import Choices

_PLACES = (
    "/usr/sbin",
    "/usr/local/sbin",
    "/opt/homebrew/sbin",
    "/opt/homebrew/opt/mosquitto/sbin",
    "/usr/local/opt/mosquitto/sbin",
    r"C:\Program Files\mosquitto",
    r"C:\Program Files (x86)\mosquitto",
)
"""Of Debian, Homebrew (on both kinds of Mac) and mosquitto's installer, which leaves the path alone."""
_LISTENERS = "# What follows `listener`"
"""The line of `broker/mosquitto.conf` at which what differs begins."""
_LEFT_OUT = ("log_type notice\n", "message_size_limit 64512\n")
"""Our programs log their connections themselves; max_packet_size limits messages too."""
_INSTALLED_BY = {
    "linux": "sudo apt install mosquitto (or this system's own package)",
    "darwin": "brew install mosquitto",
    "win32": "the installer of mosquitto.org",
}
_OLDEST = (2, 0)
CONFIG = "config"
DATA = "data"
"""Folders of a surface: what the broker reads, and what it keeps."""
USER = "mosquitto"
"""Whom root starts it as."""
_USUAL_PORT = 1883
_OF_THE_SYSTEM = " (by the system's own mosquitto? sudo systemctl disable --now mosquitto)"


def program() -> str:
    """The path of mosquitto 2.0 or later; NotSoError says how it is installed."""
    places = [place for place in _PLACES if Path(place).is_absolute()]  # those of this system
    found = shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), *places]))
    if found is None:
        how = _INSTALLED_BY.get(sys.platform, "this system's package")
        raise NotSoError(
            f"mosquitto is not installed: {how}; or name a broker that runs with --broker URL, or try it on"
            " this computer alone with --embedded"
        )
    if (version := version_of(found)) and version < _OLDEST:
        raise NotSoError(f"{found} is mosquitto {'.'.join(map(str, version))}: 2.0 or later is needed")
    return found


def version_of(program: str) -> tuple[int, ...] | None:
    """The version of an executable, as (2, 0, 11); None where it does not say."""
    try:
        asked = subprocess.run(  # noqa: S603 - found on the path
            [program, "-h"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"mosquitto version (\d+)\.(\d+)(?:\.(\d+))?", asked.stdout)
    return tuple(int(part) for part in match.groups() if part) if match else None


def configuration(home: Path, choices: Choices) -> str:
    """`broker/mosquitto.conf` with the files below `home` and two listeners.

    One for vehicles and other computers, where an account is one client; one on loopback, where several
    programs may use one account at once.
    """
    common = files("broker").joinpath("mosquitto.conf").read_text(encoding="utf-8").partition(_LISTENERS)[0]
    for line in _LEFT_OUT:
        common = common.replace(line, "")
    for place, folder in (("/mosquitto/config", home / CONFIG), ("/mosquitto/data", home / DATA)):
        common = common.replace(place, str(folder))
    certificates = home / CONFIG / "certs"
    tls = [
        f"certfile {certificates / 'server.crt'}",
        f"keyfile {certificates / 'server.key'}",
        "tls_version tlsv1.2",
    ]
    lines = [
        *([f"user {user}", ""] if (user := user_for(home)) else []),
        f"listener {choices.vehicles_port}",
        *(tls if choices.tls else []),
        "max_connections 500",
        "use_username_as_clientid true",
        "",
        f"listener {choices.local_port} 127.0.0.1",
        "max_connections 500",
    ]
    return common + "\n".join(lines) + "\n"


def refuse_taken_ports(choices: Choices) -> None:
    """NotSoError for a port that another program has, before anything is started."""
    ports = [choices.dashboard_port, choices.local_port, choices.vehicles_port]
    for port in ports:
        if choices.own_broker and ports.count(port) > 1:
            raise NotSoError(f"port {port} is wanted twice: expected three ports, received {ports}")
    wanted = [("--dashboard-port", "127.0.0.1", choices.dashboard_port)]
    if choices.broker is None:
        wanted.append(("--local-port", "127.0.0.1", choices.local_port))
    if choices.own_broker:
        wanted.append(("--broker-port", "0.0.0.0", choices.vehicles_port))  # noqa: S104 - as mosquitto will
    for option, address, port in wanted:
        if (reason := _taken(address, port)) is not None:
            also = _OF_THE_SYSTEM if port == _USUAL_PORT else ""
            raise NotSoError(f"port {port}: {reason}{also}; or take another with {option}")


def _taken(address: str, port: int) -> str | None:
    with socket.socket() as trial:
        if sys.platform != "win32":
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None


def quoted(path: Path) -> str:
    """A path as TOML writes it."""
    return json.dumps(str(path), ensure_ascii=False)


def user_for(home: Path) -> str | None:
    """Whom root starts the broker as: its own user if that can reach the folder, else root. Others: None."""
    if not is_root():
        return None
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return "root"
    reachable = all(folder.stat().st_mode & 0o001 for folder in [home, *home.resolve().parents])
    return USER if reachable else "root"
