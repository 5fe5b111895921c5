"""Three RabbitMQ nodes with deploy/rabbitmq, all on this computer."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.soak_cluster.cluster import DEPLOY, HOST, Cluster, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PLACES = (*Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"), *Path("/opt/rabbitmq").glob("sbin"))
"""Not the programs in the path: Debian's want to be root and to become another user."""
RABBITMQ = next((place / "rabbitmq-server" for place in _PLACES), None)
_COOKIE = "tidesync"


class RabbitNode(Node):
    """One of the three."""

    def __init__(self, name: str, cluster: RabbitCluster, find_port: Callable[[str], int]) -> None:
        super().__init__(name, cluster.folder / name, find_port)
        self._cluster = cluster
        self._distribution = find_port(HOST)
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(_COOKIE)
        cookie.chmod(0o400)

    def command(self) -> Sequence[str]:
        if RABBITMQ is None:
            raise FileNotFoundError("rabbitmq-server is not installed")
        text = (DEPLOY / "rabbitmq" / "rabbitmq.conf").read_text(encoding="utf-8")
        for theirs, ours in (
            ("mqtt.listeners.ssl.default = 8883", f"mqtt.listeners.ssl.default = {HOST}:{self.port}"),
            *((f"rabbit@rabbit{number}\n", f"node{number}@localhost\n") for number in (1, 2, 3)),
        ):
            if text.count(theirs) != 1:
                raise ValueError(f"rabbitmq.conf has {theirs!r} {text.count(theirs)} times, not once")
            text = text.replace(theirs, ours)
        self._config.write_text(text.replace("/etc/rabbitmq/", f"{self._cluster.config}/"))
        return [str(RABBITMQ)]

    @property
    def _config(self) -> Path:
        return self._cluster.config / f"{self.name}.conf"

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._cluster.names_port),
            "RABBITMQ_NODENAME": f"{self.name}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_CONFIG_FILE": str(self._config),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(DEPLOY / "rabbitmq" / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
            "RUNNING_UNDER_SYSTEMD": "1",  # no shell around it: a signal is the node's own
        }

    @property
    def healthy(self) -> bool:
        """It listens for MQTT as the last thing, once it is a member."""
        with suppress(OSError), socket.create_connection((HOST, self.port), 0.5):
            return True
        return False


class RabbitCluster(Cluster):
    """All three, and the daemon by which they find each other's ports."""

    in_turn = True
    """RabbitMQ before 3.12 has a group by Raft for MQTT's client ids. Of nodes that join it at once one can
    be left out in silence; of the other two, one that dies then does not come back: it waits for a leader."""

    def __init__(self, folder: Path, find_port: Callable[[str], int]) -> None:
        self.names_port = find_port(HOST)
        self._names: subprocess.Popen[bytes] | None = None
        super().__init__(folder, find_port)

    def make_node(self, name: str, find_port: Callable[[str], int]) -> RabbitNode:
        return RabbitNode(name, self, find_port)

    def start(self) -> None:
        """With what RabbitMQ 3 needs besides: queues on all nodes."""
        epmd = shutil.which("epmd")
        if epmd is None:
            raise FileNotFoundError("epmd is not installed")
        command = [epmd, "-port", str(self.names_port), "-address", HOST]
        self._names = subprocess.Popen(command, start_new_session=True)
        super().start()
        if RABBITMQ and "rabbitmq_server-3" in str(RABBITMQ):
            program = RABBITMQ.with_name("rabbitmqctl")
            command = [str(program), "set_policy", "mqtt", "^mqtt-subscription-", '{"ha-mode":"all"}']
            environment = self.nodes[0].environment()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)

    def stop(self) -> None:
        super().stop()
        if self._names:
            self._names.send_signal(signal.SIGKILL)
            self._names.wait()
