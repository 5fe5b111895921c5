"""The programs of one surface, and what is printed once they run."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from runtime import host
from runtime.file_lock import lock
from tidesync.errors import NotSoError
from tidesync.up import mosquitto
from tidesync.up.place import for_other_terminals
from tidesync.up.supervisor import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidesync.up.home import Home
    from tidesync.up.settings import Choices

_OWN = ("BROKER", "USERNAME", "PASSWORD", "PASSWORD_FILE", "CA_FILE", "CERT_FILE", "KEY_FILE", "HOME")
"""Variables of `tidesync up` itself, which its programs must not take for theirs."""


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Keep a second `tidesync up` out of the folder while the block runs; NotSoError names the first."""
    home.path.mkdir(parents=True, exist_ok=True)
    path = home.path / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not lock(descriptor):
            by = path.read_text(encoding="utf-8").strip()
            raise NotSoError(
                f"`tidesync up` runs already in {home.path}" + (f" (process {by})" if by else "")
            )
        with suppress(OSError):  # without room for it, the number is not shown
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def check(choices: Choices) -> None:
    """NotSoError for what is missing, or taken, before anything is written."""
    if choices.own_broker:
        mosquitto.program()
    mosquitto.refuse_taken_ports(choices)


def programs(home: Home, choices: Choices) -> list[Program]:
    """What runs, in the order of their start."""
    return [*_broker(home, choices), *_agents(home, choices)]


def _broker(home: Home, choices: Choices) -> list[Program]:
    if choices.own_broker:
        command = [mosquitto.program(), "-c", str(home.conf)]
        watched = home.config / "passwords"
        user = mosquitto.user_for(home.path)
        database = home.data / "mosquitto.db"
        damaged = f"{database} is damaged: move it away, agents publish again what it retained"
        return [
            Program(
                "mosquitto",
                command,
                port=choices.local_port,
                user=user,
                reload_with=watched,
                explanations={"open database": damaged},
            )
        ]
    if choices.embedded:
        command = [*_TIDESYNC, "broker", "--port", str(choices.local_port)]
        return [Program("broker", command, _without_own(), port=choices.local_port)]
    return []


def _agents(home: Home, choices: Choices) -> Iterator[Program]:
    options = {
        "topside": ("topside", "--topside", str(choices.topside)),
        "recorder": ("record", "--root", str(choices.root)),
        "dashboard": ("dashboard", *_dashboard(choices)),
    }
    for name, (command, *more) in options.items():
        environment = {**_without_own(), "TIDESYNC_BROKER": choices.local_url}
        if choices.own_broker:
            environment["TIDESYNC_USERNAME"] = home.account(name, choices)
            environment["TIDESYNC_PASSWORD_FILE"] = str(home.password_file(name))
        port = choices.dashboard_port if name == "dashboard" else None
        yield Program(name, [*_TIDESYNC, command, *more], environment, port)


_TIDESYNC = [sys.executable, "-m", "tidesync"]


def _dashboard(choices: Choices) -> list[str]:
    operator = ["--operator"] if choices.own_broker else []
    return ["--port", str(choices.dashboard_port), "--root", str(choices.root), *operator]


def _without_own() -> dict[str, str]:
    own = {f"TIDESYNC_{name}" for name in _OWN}
    return {name: value for name, value in os.environ.items() if name not in own}


def summary(home: Home, choices: Choices) -> str:
    """What runs, where, and what to type next."""
    lines = [
        f"Tidesync runs on {host.host_name()}; Ctrl-C ends it.",
        f"  broker     {_reached(choices)}",
        f"  topside    {choices.topside}",
        f"  sessions   {choices.root}",
        f"  dashboard  http://localhost:{choices.dashboard_port}/",
        f"  settings   {home.path}",
    ]
    if line := for_other_terminals(home.path):
        lines += ["In each other terminal here, first (it finds this folder, as --home does):", f"  {line}"]
    known = home.vehicles() if choices.own_broker else []
    if known:
        lines.append(f"  vehicles   {', '.join(known)} may join; another: tidesync up --add-vehicle NAME")
    elif not choices.embedded:
        lines += [
            "Next, in another terminal here, make the file of a vehicle:",
            "  tidesync up --add-vehicle rov1",
            "then copy the file that it names to the Pi, and there:",
            "  tidesync pi --join rov1.tidesync",
        ]
    else:
        lines += [
            "Next, in another terminal here, a simulated vehicle:",
            f"  tidesync pi --vehicle rov1 --broker {choices.local_url} --simulate-offset-s 2.5",
        ]
    return "\n".join(lines)


def _reached(choices: Choices) -> str:
    if not choices.own_broker:
        return choices.local_url + (" (embedded: this computer only)" if choices.embedded else "")
    scheme = "mqtts" if choices.tls else "mqtt"
    addresses = host.addresses() or ["127.0.0.1"]
    return ", ".join(f"{scheme}://{address}:{choices.vehicles_port}" for address in addresses)
