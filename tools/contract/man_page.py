"""`tidesync.1`: the manual page of the command line, from click's own help."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidesync.command_line import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """.\\" Written by `make schemas`.
.TH TIDESYNC 1 "" "Tidesync" "User Commands"
.SH NAME
tidesync \\- measure how far vehicles' clocks are from this computer's, over MQTT
.SH SYNOPSIS
.B tidesync
[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGS\\fR]
.SH DESCRIPTION
Clock offset between an underwater vehicle's computer and a surface computer, with a bound on its error.
The distribution tidesync\\-pi brings the commands of a vehicle (pi, doctor, completion),
tidesync all of them."""
_FOOT = r""".SH ENVIRONMENT
An option is also a variable: \-\-http\-port is TIDESYNC_HTTP_PORT.
Options win over variables, variables over the file.
Passwords come from TIDESYNC_PASSWORD or a \-\-password\-file, never from an option.
.SH FILES
.TP
.I tidesync.toml
Settings, in the working folder or in ~/.config/tidesync/.
Keys at the top apply to every command; a table such as [topside] to that command alone.
.SH EXIT STATUS
.TP
0
Done.
.TP
1
What was asked for is not the case, or a command cannot reach its broker.
.TP
2
Wrong usage, settings or credentials.
.TP
130
Interrupted."""


def man_page() -> str:
    """The page, in roff."""
    root = click.Context(cli, info_name="tidesync")
    lines = [_HEAD, ".SH OPTIONS", *_options(cli, root), ".SH COMMANDS"]
    for name in cli.list_commands(root):
        lines += _command(name, cli, root)
    return "\n".join([*lines, _FOOT]) + "\n"


def _command(name: str, group: click.Group, parent: click.Context) -> Iterator[str]:
    command = group.get_command(parent, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_roff(context.command_path)} {_roff(usage)}"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        lines = paragraph.splitlines()
        if lines[0] == "\b":  # click's sign for lines that stay as they are
            yield "\n".join([".PP", ".nf", *map(_roff, lines[1:]), ".fi"])
        else:
            yield f".PP\n{_roff(paragraph)}"
    yield from _options(command, context)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _command(inner, command, context)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and record[1] and "--help" not in record[0]:
            yield f".TP\n.B {_roff(record[0])}\n{_roff(record[1])}"


def _roff(text: str) -> str:
    """Plain text as roff shows it; the home folder of who writes the page is anybody's."""
    plain = " ".join(text.replace(str(Path.home()), "~").split())
    return re.sub(r"^([.'])", r"\\&\1", plain.replace("\\", r"\e").replace("-", r"\-"))
