"""`tidesync up --install`: a systemd unit, or a login item on macOS."""

from __future__ import annotations

import plistlib
import shlex
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
# Made by `tidesync up --install`. To remove it: {remove}
[Unit]
Description=Tidesync, everything of the surface
StartLimitIntervalSec=0

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
TimeoutStopSec=30
# It ends its programs itself, the broker last.
KillMode=mixed

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


_SYSTEMDS = str.maketrans({"\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$"})
"""What systemd takes for its own in a command, and how it is written."""


def unit(command: list[str], target: str, remove: str) -> str:
    """The unit's text. It runs as who made it: the folder is theirs."""
    quoted = " ".join(f'"{word.translate(_SYSTEMDS)}"' for word in command)
    return _UNIT.format(command=quoted, target=target, remove=remove)


def _unit(command: list[str]) -> str:
    if files.is_root():
        path, target = Path("/etc/systemd/system/tidesync-up.service"), "multi-user.target"
        systemctl = ["systemctl"]
    else:
        path, target = Path.home() / ".config/systemd/user/tidesync-up.service", "default.target"
        systemctl = ["systemctl", "--user"]
    remove = f"{' '.join(systemctl)} disable --now {path.name} && rm {shlex.quote(str(path))}"
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, unit(command, target, remove).encode())
    enable = [[*systemctl, "daemon-reload"], [*systemctl, "enable", "--now", path.name]]
    if all(subprocess.run(line, check=False).returncode == 0 for line in enable):  # noqa: S603
        more = "" if files.is_root() else "; before anyone logs in only after `loginctl enable-linger`"
        return f"{path} is made and started{more}. Its log: {_journal(systemctl)}; to remove it: {remove}"
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
    return f"{path} is made; it starts at the next login, or now with: launchctl load {path}; unload ends it"
