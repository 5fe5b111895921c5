"""`tidesync demo`: shows the live table, then the session's folder and the verdict."""

from __future__ import annotations

import json
import logging

import click
from rich.console import Console

from tidesync.demo.run import Demo, Outcome
from tidesync.demo.settings import DemoSettings
from tidesync.settings import with_settings


@click.command("demo")
@with_settings(DemoSettings)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
def command(settings: DemoSettings, *, as_json: bool) -> int:
    """Measure simulated vehicles over real MQTT connections, with the truth beside each estimate.

    Exit code 1 if any published result was wrong by more than it said.
    """
    if logging.getLogger().level == logging.INFO:
        logging.getLogger().setLevel(logging.ERROR)  # the table is the show; -v brings the log back
    console = Console(stderr=as_json)
    outcome = Demo(settings, console).run()
    if as_json:
        click.echo(json.dumps(outcome.document))
        _print_complaints(console, outcome)
    else:
        _print_verdict(console, outcome, disposable=settings.root is None)
    return 0 if outcome.document["ok"] else 1


def _print_verdict(console: Console, outcome: Outcome, *, disposable: bool) -> None:
    console.print(f"\nSession: {outcome.document['session']}", soft_wrap=True, highlight=False)
    if disposable:
        shown = f"Nothing needs it; this folder can be deleted: {outcome.root}"
        console.print(shown, soft_wrap=True, highlight=False, markup=False)
    _print_complaints(console, outcome)
    if outcome.complaints:
        console.print("[bold red]Not right.[/] See above.")
    else:
        console.print(f"[bold green]All {outcome.results} results held the truth within their max error.[/]")


def _print_complaints(console: Console, outcome: Outcome) -> None:
    for complaint in outcome.complaints:
        console.print(f"  [bold red]wrong[/] {complaint}", soft_wrap=True)
