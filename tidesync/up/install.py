"""`tidesync up --install`: a systemd unit, or a login item on macOS."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runtime import files
from tidesync.errors import NotSoError

if TYPE_CHECKING:
    from tidesync.up.home import Home

_UNIT = """\
# Made by `tidesync up --install`.
[Unit]
Description=Tidesync, everything of the surface
StartLimitIntervalSec=0

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
TimeoutStopSec=30
{user}
[Install]
WantedBy={target}
"""
_LABEL = "org.tidesync.up"


def install(home: Home) -> str:
    """Write and enable what starts `tidesync up`; returns what was done, or is left to do."""
    command = [sys.executable, "-m", "tidesync", "up", "--home", str(home.path)]
    if is_macos():
        return _login_item(command)
    if shutil.which("systemctl") is None:
        raise NotSoError(
            "--install needs systemd, or macOS; here run `tidesync up` from what starts your programs"
        )
    return _unit(command)


def is_macos() -> bool:
    """Whether login items start programs here."""
    return sys.platform == "darwin"


def unit(command: list[str], user: str | None, target: str) -> str:
    """The unit's text; systemd takes `%` and quotes for its own."""
    quoted = " ".join(
        '"{}"'.format(word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")) for word in command
    )
    return _UNIT.format(command=quoted, user=f"User={user}\n" if user else "", target=target)


def _unit(command: list[str]) -> str:
    if files.is_root():
        path = Path("/etc/systemd/system/tidesync-up.service")
        text, systemctl = unit(command, os.environ.get("SUDO_USER"), "multi-user.target"), ["systemctl"]
    else:
        path = Path.home() / ".config/systemd/user/tidesync-up.service"
        text, systemctl = unit(command, None, "default.target"), ["systemctl", "--user"]
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, text.encode())
    enable = [[*systemctl, "daemon-reload"], [*systemctl, "enable", "--now", path.name]]
    if all(subprocess.run(line, check=False).returncode == 0 for line in enable):  # noqa: S603
        more = "" if files.is_root() else "; before anyone logs in only after `loginctl enable-linger`"
        return f"{path} is made and started{more}. Its log: {_journal(systemctl)}"
    return f"{path} is made; start it with: {' && '.join(map(' '.join, enable))}"


def _journal(systemctl: list[str]) -> str:
    return "journalctl" + (" --user" if "--user" in systemctl else "") + " -fu tidesync-up"


def _login_item(command: list[str]) -> str:
    path = Path.home() / "Library/LaunchAgents" / f"{_LABEL}.plist"
    log = str(Path.home() / "Library/Logs/tidesync-up.log")
    item = {
        "Label": _LABEL,
        "ProgramArguments": command,
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, plistlib.dumps(item))
    return f"{path} is made; it starts at the next login, or now with: launchctl load {path}"
