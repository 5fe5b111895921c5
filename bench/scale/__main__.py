"""`python -m bench.scale`: what fleets need, from counted messages and the other benchmarks' figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bench.peers.run import machine
from bench.scale.plan import FLEETS, SHARE, Units, limits, need
from bench.scale.traffic import Traffic, counted
from bench.tables import markdown_table, number, share, tell

RESULTS = Path(__file__).parents[1] / "results"
FLEET = 1000
"""The fleet whose costs are taken."""

_INTRODUCTION = """# A fleet of any size

Made by `make bench-scale` on {machine}. Messages are counted in a simulation: the real
agents, {counted} vehicles with one topside at one exchange a second, two minutes at rest. Processor times are
those of [bench-cost](bench-cost.md), [bench-recorder](bench-recorder.md) and
[bench-dashboard](bench-dashboard.md) at 1000 vehicles; the rest is multiplication: [scale.md](../scale.md).
"""
_NEEDS = """Each vehicle is measured once a second by one topside, recorded once, and shown on one
dashboard a topside. A process takes at most {share} of a core. Bytes are MQTT's, without those of TCP and IP.
Nobody has run the last two rows. Topside's figure is as old as the last run of bench-cost.
"""


@click.command()
@click.option("--vehicles", default=20, show_default=True, help="Of the simulation.")
@click.option("--markdown", type=click.Path(path_type=Path))
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(vehicles: int, markdown: Path | None, json_path: Path | None) -> None:
    """Count, compute, print and write."""
    traffic, units = counted(vehicles, 1.0), measured()
    figures = {
        "units": units,
        "kinds": [(kind.kind.name, kind.per_s, kind.message_bytes) for kind in traffic.kinds],
        "needs": [need(size, traffic, units) for size in FLEETS],
        "limits": limits(traffic, units),
    }
    tell(figures, document(traffic, units), markdown, json_path)


def measured() -> Units:
    """The figures of the other benchmarks' last runs."""
    load = next(each for each in _of("bench-cost")["loads"] if each["vehicles"] == FLEET)
    small = min(_of("bench-cost")["loads"], key=lambda each: each["vehicles"])
    recorder = next(
        each
        for each in _of("bench-recorder")["runs"]
        if each["load"]["vehicles"] == FLEET and not each["beside"]
    )["cost"]
    samples = [each["server_cpu"] for each in _of("bench-dashboard")["samples"]]
    dashboard_cpu = sorted(samples)[len(samples) // 2]
    return Units(
        topside_us=load["topside_us"],
        topside_mb=(load["topside_mb"] - small["topside_mb"]) / (FLEET - small["vehicles"]),
        broker_us=load["broker_us"] / _MESSAGES_AN_EXCHANGE,
        recorder_us=recorder["cpu_us"],
        recorded_bytes=recorder["files_b"],
        dashboard_us=dashboard_cpu / 100 * 1e6 / FLEET,
    )


def document(traffic: Traffic, units: Units) -> str:
    """The page."""
    return "\n".join(
        [
            _INTRODUCTION.format(machine=machine(), counted=traffic.vehicles),
            "## Messages of one vehicle\n",
            _kinds(traffic) + "\n",
            "## What a fleet needs\n",
            _NEEDS.format(share=share(SHARE, 0)),
            _needs(traffic, units) + "\n",
            "## What breaks first\n",
            _limits(traffic, units) + "\n",
        ]
    )


def _kinds(traffic: Traffic) -> str:
    head = ("message", "a second", "bytes each", "agents that take it", "a recorder", "a dashboard")
    body = [
        (
            kind.kind.name,
            number(kind.per_s),
            number(kind.message_bytes),
            str(kind.by_agents),
            "yes" if kind.by_recorder else "",
            "yes" if kind.by_dashboard else "",
        )
        for kind in traffic.kinds
    ]
    return markdown_table(head, body)


def _needs(traffic: Traffic, units: Units) -> str:
    head = ("vehicles", "connections", "messages/s", "Mbit/s", "brokers", "topsides", "recorders", "GB a day")
    body = []
    for size in FLEETS:
        found = need(size, traffic, units)
        counts = (found.brokers, found.topsides, found.recorders)
        rates = (number(found.messages_per_s), number(found.megabits_per_s))
        body.append(
            (
                f"{found.vehicles:,}",
                f"{found.connections:,}",
                *rates,
                *map(str, counts),
                number(found.recorded_gb_a_day),
            )
        )
    return markdown_table(head, body)


def _limits(traffic: Traffic, units: Units) -> str:
    head = ("process", "of a core at 1000 vehicles", "has a whole core to do at, vehicles")
    body = [(each.process, share(each.share), f"{each.vehicles:,.0f}") for each in limits(traffic, units)]
    return markdown_table(head, body)


def _of(name: str) -> Any:
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise click.ClickException(f"{path} is missing: make {name}")
    return json.loads(path.read_text(encoding="utf-8"))


_MESSAGES_AN_EXCHANGE = 6
"""That the broker of bench-cost takes or sends: a ping and a pong both, a result and a batch in only."""

if __name__ == "__main__":
    main()
