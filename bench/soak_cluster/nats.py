"""Three NATS nodes with deploy/nats/nats-server.conf."""

from __future__ import annotations

import json
import shutil
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bench.soak_cluster.cluster import DEPLOY, HOST, Cluster, Node
from bench.soak_fleet.links import Link, Links

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

NATS = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin:/usr/local/sbin")
META = "the cluster"
_NOBODY = 9
"""A port at which nobody listens."""


class NatsNode(Node):
    """One of the three."""

    def __init__(self, name: str, cluster: NatsCluster, find_port: Callable[[str], int]) -> None:
        super().__init__(name, cluster.folder / name, find_port)
        self._cluster = cluster
        self._client, self._monitor, self.route = (find_port(HOST) for _ in range(3))

    def command(self) -> Sequence[str]:
        if NATS is None:
            raise FileNotFoundError("nats-server is not installed")
        path = self._cluster.config / f"{self.name}.conf"
        path.write_text(self._own((DEPLOY / "nats" / "nats-server.conf").read_text(encoding="utf-8")))
        return [NATS, "--config", str(path), "--name", self.name]

    @property
    def healthy(self) -> bool:
        with suppress(OSError):
            return bool(self._asked("healthz")["status"] == "ok")
        return False

    def leads(self) -> set[str]:
        found = self._asked("jsz?streams=true")
        streams = [
            one for account in found.get("account_details", []) for one in account.get("stream_detail", [])
        ]
        leads = {one["name"] for one in streams if one.get("cluster", {}).get("leader") == self.name}
        return leads | ({META} if found.get("meta_cluster", {}).get("leader") == self.name else set())

    def _asked(self, what: str) -> Any:
        with urllib.request.urlopen(f"http://{HOST}:{self._monitor}/{what}", timeout=5) as answer:
            return json.load(answer)

    def _own(self, text: str) -> str:
        """The shipped file with this test's ports and folders."""
        routes = ", ".join(
            f"nats://localhost:{self._cluster.route(self, node)}" for node in self._cluster.nodes
        )
        if self._cluster.links:  # else nodes learn the others' own ports, past the links
            text = text.replace("cluster {", f'cluster {{\n  advertise: "localhost:{_NOBODY}"', 1)
        for theirs, ours in (
            ("listen: 127.0.0.1:4222", f"listen: {HOST}:{self._client}"),
            ("http: 127.0.0.1:8222", f"http: {HOST}:{self._monitor}"),
            ("listen: 0.0.0.0:6222", f"listen: {HOST}:{self.route}"),
            ("listen: 0.0.0.0:8883", f"listen: {HOST}:{self.port}"),
            ("nats://nats1:6222, nats://nats2:6222, nats://nats3:6222", routes),
            ("store_dir: /data", f"store_dir: {self.folder / 'data'}"),
        ):
            if text.count(theirs) != 1:
                raise ValueError(f"nats-server.conf has {theirs!r} {text.count(theirs)} times, not once")
            text = text.replace(theirs, ours)
        return text.replace("/etc/nats/", f"{self._cluster.config}/")


class NatsCluster(Cluster):
    """All three; if `divisible` their routes to one another go over links that can be cut."""

    def __init__(self, folder: Path, find_port: Callable[[str], int], *, divisible: bool = False) -> None:
        super().__init__(folder, find_port)
        self.links: dict[tuple[str, str], Link] = {}
        """By the node that connects and the one it connects to."""
        for node in self.nodes if divisible else ():
            links = Links(node.route)
            self.links |= {(other.name, node.name): links.link() for other in self.nodes if other is not node}

    def route(self, node: NatsNode, to: NatsNode) -> int:
        """The port at which `node` finds another one, or itself."""
        link = self.links.get((node.name, to.name))
        return link.port if link else to.route

    def divide(self, node: Node, *, apart: bool) -> None:
        """Cut `node` off from the others, or no longer; clients reach every node all along."""
        for names, link in self.links.items():
            if node.name in names:
                (link.cut.set if apart else link.cut.clear)()

    def make_node(self, name: str, find_port: Callable[[str], int]) -> NatsNode:
        return NatsNode(name, self, find_port)
