"""The options that choose among the processes of a topside that measured in a session."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from schemas.names import topside_name
from tidesync.errors import named
from tidesync.sessions.processes import Choice

if TYPE_CHECKING:
    from collections.abc import Callable

_TOPSIDE = click.option("--topside", metavar="NAME", help="What this topside measured only.")
_INSTANCE = click.option(
    "--instance",
    "instances",
    multiple=True,
    metavar="ID",
    help="What this process measured only, where two topsides had one name (repeatable).",
)


def choice_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a click command: it takes the options, and `function` gets them as `choice`."""

    @functools.wraps(function)
    def command(*, topside: str | None, instances: tuple[str, ...], **values: Any) -> Any:
        name = None if topside is None else named("--topside", topside_name, topside)
        return function(choice=Choice(name, instances), **values)

    return _TOPSIDE(_INSTANCE(command))
