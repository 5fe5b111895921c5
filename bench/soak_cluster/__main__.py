"""`python -m bench.soak_cluster`: prints every outage and figure; exit code 1 when one is not as required."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.soak_cluster.nats import NatsCluster
from bench.soak_cluster.rabbitmq import RabbitCluster
from bench.soak_cluster.run import Plan, Soak
from runtime.listener import free_port


def main() -> int:
    arguments = _arguments()
    planned = Plan(
        arguments.kills,
        arguments.restarts,
        arguments.partitions,
        seed=arguments.seed,
        ping_connection=_of_their_own(arguments),
    )
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="soak-cluster-"))
    print(f"{planned}\nin {folder}", flush=True)
    soak = Soak(planned, _cluster(arguments, folder / "cluster"), lambda line: print(line, flush=True))
    verdict = soak.run()
    for name, value in verdict.figures.items():
        print(f"{name:32} {value:12g}")
    for failure in verdict.failures:
        print(f"FAILED {failure}")
    return 1 if verdict.failures else 0


def _cluster(arguments: argparse.Namespace, folder: Path) -> NatsCluster | RabbitCluster:
    if arguments.broker == "nats":
        return NatsCluster(folder, free_port, divisible=arguments.partitions > 0)
    if arguments.partitions:
        sys.exit("--partitions: only the routes of NATS nodes can be cut here")
    return RabbitCluster(folder, free_port)


def _of_their_own(arguments: argparse.Namespace) -> bool:
    """Whether pings get a connection of their own, which other brokers than NATS do not need."""
    return arguments.broker == "nats" and not arguments.one_connection


def _arguments() -> argparse.Namespace:
    planned = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench.soak_cluster", description=__doc__)
    parser.add_argument("--broker", choices=("nats", "rabbitmq"), default="nats")
    parser.add_argument("--kills", type=int, default=planned.kills, help="of each node")
    parser.add_argument("--restarts", type=int, default=planned.restarts, help="of each node, in turn")
    parser.add_argument(
        "--partitions",
        type=int,
        default=planned.partitions,
        help=f"so often a node, at random, is cut off from the others for {planned.partition_s:g} s",
    )
    parser.add_argument("--seed", type=int, default=planned.seed, help="which nodes are cut off")
    parser.add_argument("--one-connection", action="store_true", help="pings have none of their own")
    parser.add_argument("--folder", type=Path, help="to keep everything in; else a temporary one")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
