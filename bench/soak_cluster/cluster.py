"""Three brokers as one, with the configuration that we ship, and accounts and TLS as a user makes them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEPLOY = Path(__file__).parents[2] / "deploy"
HOST = "127.0.0.1"
_NAME = "localhost"
_HEALTHY_S = 180.0
_STOP_S = 60.0


class Node(ABC):
    """One of the three; its ports and folders stay its own over restarts."""

    def __init__(self, name: str, folder: Path, find_port: Callable[[str], int]) -> None:
        self.name = name
        self.folder = folder
        self.port = find_port(HOST)
        """Where MQTT clients connect, over TLS."""
        folder.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What starts it; writes its configuration."""

    @property
    @abstractmethod
    def healthy(self) -> bool:
        """Whether it is a part of the cluster and takes clients."""

    def leads(self) -> set[str]:
        """What it is the leader of, for those who read the log."""
        return set()

    def environment(self) -> dict[str, str] | None:
        """The environment of its process, where that is not ours."""
        return None

    @property
    def log_path(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, env=self.environment(), start_new_session=True
            )

    def kill(self) -> None:
        """As a power cut."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def wait_until_healthy(self, deadline: float) -> None:
        """TimeoutError when it is not by then, on the monotonic clock, in seconds."""
        while not self.healthy:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} is not healthy; its log: {self.log_path}")
            self._start_again()
            time.sleep(0.1)

    def _start_again(self) -> None:
        """As its supervisor does where it has ended by itself: RabbitMQ 3 gives up if a node is late."""
        if self._process and self._process.poll() is not None:
            self.start()

    def stop(self) -> None:
        """As its service does."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(_STOP_S)


class Cluster(ABC):
    """Started, stopped and given accounts as a whole, below `folder`."""

    in_turn = False
    """Whether a node is started only once the one before it is healthy."""

    def __init__(self, folder: Path, find_port: Callable[[str], int]) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.secrets = folder / "secrets"
        self.secrets.mkdir(parents=True)
        self.nodes: list[Any] = []
        _tidesync("broker", "make-certs", "--name", _NAME, "--folder", self.certs)
        for number in (1, 2, 3):
            self.nodes.append(self.make_node(f"node{number}", find_port))

    def divide(self, node: Node, *, apart: bool) -> None:
        """Cut `node` off from the others, or no longer; clients reach every node all along."""
        raise NotImplementedError

    @property
    def certs(self) -> Path:
        return self.config / "certs"

    @abstractmethod
    def make_node(self, name: str, find_port: Callable[[str], int]) -> Node:
        """One of the three."""

    def add(self, role: str, name: str) -> None:
        """Make an account, as a user does."""
        out = ("--password-out", self.secrets / name)
        _tidesync("broker", f"add-{role}", name, *out, "--folder", self.config)

    def account(self, name: str, first: int = 0) -> dict[str, Any]:
        """The settings to connect with to all nodes, listed from that at `first` on."""
        order = [*self.nodes[first:], *self.nodes[:first]]
        return {
            "broker": ",".join(f"mqtts://{_NAME}:{node.port}" for node in order),
            "username": name,
            "password_file": self.secrets / name,
            "ca_file": self.certs / "ca.crt",
        }

    def options(self, name: str) -> list[str]:
        """The same for the command line."""
        settings = self.account(name).items()
        return [word for key, value in settings for word in (f"--{key.replace('_', '-')}", str(value))]

    def start(self) -> None:
        deadline = time.monotonic() + _HEALTHY_S
        for node in self.nodes:
            node.start()
            if self.in_turn:
                node.wait_until_healthy(deadline)
        self.wait_until_healthy()

    def wait_until_healthy(self) -> None:
        """Every node; TimeoutError when one is not in time."""
        deadline = time.monotonic() + _HEALTHY_S
        for node in self.nodes:
            node.wait_until_healthy(deadline)

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


def _tidesync(*arguments: object) -> None:
    command = [sys.executable, "-m", "tidesync", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
