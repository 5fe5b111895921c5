"""Runs a command, and turns every expected error into one line and an exit code."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import io
import re
import sys

import click

from runtime import memory
from runtime.errors import TidesyncError
from runtime.logs import configure_logging
from runtime.version import VERSION
from schemas.base import SchemasError
from tidesync.settings import file_defaults

COMMANDS = {
    "demo": "Run everything here: two simulated vehicles, measured and recorded.",
    "up": "Run everything of a surface: broker, topside, recorder, dashboard; add vehicles.",
    "broker": "Run the embedded broker, on loopback; make accounts and certificates for mosquitto.",
    "pi": "Run the vehicle's agent: answer pings, serve GET /api/sync/time.",
    "topside": "Run the surface agent: measure every vehicle, publish the results.",
    "record": "Run the recorder: write sessions below a folder.",
    "session": "Start, stop and list the recording of sessions.",
    "dashboard": "Serve a page that shows the fleet live, with buttons, and an interface for programs.",
    "status": "Show the state of every vehicle's clock, and what is being recorded.",
    "watch": "Show results, states and events as they arrive.",
    "wait": "Wait until a vehicle is measured well enough; for scripts.",
    "forget": "Clear what the broker has retained of a vehicle.",
    "doctor": "Check for what usually goes wrong, and advise.",
    "handshake": "Measure a vehicle's clock once, over HTTP.",
    "estimate": "Compute offset and drift again, from recorded exchanges.",
    "correct": "Correct a session's own timestamps, in files beside them.",
    "pair": "Show how far two vehicles' clocks are apart, or were in a session.",
    "fuse": "Put a session's corrected tables on one time axis.",
    "report": "Write a page that shows whether a session's timing can be trusted.",
    "export": "Write a session's clock offsets as CSV, Parquet, MCAP or for pyxdf, or publish it (RO-Crate).",
    "reproduce": "Make the results in an RO-Crate of a session again, and compare every byte.",
    "completion": "Print what makes bash, zsh or fish complete commands and options.",
}
"""Each is `command` in `tidesync.cli.<name>`, imported only when it runs."""

_BRINGS = {
    **dict.fromkeys(("fastapi", "prometheus_client", "uvicorn"), "tidesync-pi"),
    **dict.fromkeys(("h5netcdf", "h5py", "mcap", "pyarrow"), "'tidesync[export]'"),
    **dict.fromkeys(("pymavlink", "rosbags"), "'tidesync[logs]'"),
    "distributed": "'tidesync[dask]'",
}
"""What installs a module; anything else, our own commands too, `tidesync` does."""


_OURS = frozenset({"schemas", "runtime", "broker", "pi_agent", "topside_agent", "tidesync"})


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        memory.prepare()
        try:
            command = importlib.import_module(f"tidesync.cli.{cmd_name}").command
        except ModuleNotFoundError as error:
            return _without_extra(cmd_name, error)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            close = difflib.get_close_matches(name, COMMANDS, 1)
            ctx.fail(f"no command {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        here = {name: about for name, about in COMMANDS.items() if _is_here(name)}
        with formatter.section("Commands"):
            formatter.write_dl(list(here.items()))
        if absent := [pair for pair in COMMANDS.items() if pair[0] not in here]:
            with formatter.section("After `pip install tidesync`"):
                formatter.write_dl(absent)


def _is_here(command: str) -> bool:
    """Whether the command is installed: the distribution tidesync-pi alone has few."""
    return importlib.util.find_spec(f"tidesync.cli.{command}") is not None


def _without_extra(name: str, missing: ModuleNotFoundError) -> click.Command:
    """In place of a command that cannot be imported here: it has its help, and fails when run."""

    def refuse(**_settings: object) -> None:
        raise missing

    about = f"{COMMANDS[name]}\n\nIt cannot run: {_sentence(missing)}. Then its options are shown too."
    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, help=about, callback=refuse, context_settings=anything)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="tidesync")
@click.option("-v", "--verbose", is_flag=True, help="Log every exchange too.")
@click.option("-q", "--quiet", is_flag=True, help="Log warnings and errors only.")
@click.pass_context
def cli(context: click.Context, *, verbose: bool, quiet: bool) -> None:
    """Measure how far vehicles' clocks are from this computer's, over MQTT."""
    configure_logging(verbose=verbose, quiet=quiet)
    name = context.invoked_subcommand
    command = cli.get_command(context, name) if name else None
    if name and command:
        values = file_defaults(name)
        inner = command.commands if isinstance(command, click.Group) else ()
        context.default_map = {name: {**values, **dict.fromkeys(inner, values)}}


def main() -> None:
    """Run the command line and exit.

    A character that a pipe's encoding lacks (Windows' has no minus sign) is written as its number.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run `arguments`; returns the exit code, after printing at most one line about what went wrong.

    0: done. 1: what was asked for is not the case, memory ended, or a library cannot be used. 2: wrong usage,
    settings or credentials. 130: interrupted.
    """
    try:
        result = cli.main(arguments, prog_name="tidesync", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone
        return 1
    except (click.ClickException, TidesyncError, SchemasError, ModuleNotFoundError) as error:
        click.echo(f"tidesync: {' '.join(_sentence(error).split())}", err=True)
        return error.exit_code if isinstance(error, TidesyncError) else 2
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        if memory.is_shortage(error):
            click.echo(f"tidesync: out of memory: {type(error).__name__}: {error}".rstrip(": "), err=True)
        elif isinstance(error, ImportError) and (error.name or "").partition(".")[0] not in _OURS:
            click.echo(f"tidesync: a library cannot be used: {error}", err=True)
        else:
            raise
        return 1
    return result if isinstance(result, int) else 0


_CLICKS = (
    (r"(.+) is not a valid (.+?)(?: range)?\.", r"expected a valid \2, received \1"),
    (r"(.+) is not in the range (.+)\.", r"expected \2, received \1"),
    (r"(.+) is not one of (.+)\.", r"expected one of \2, received \1"),
)
"""Click's sentences about a value, and ours."""


def _of_value(error: click.BadParameter) -> str:
    hint = error.param_hint or (error.param.get_error_hint(error.ctx) if error.param and error.ctx else "")
    message = error.message
    for clicks, ours in _CLICKS:
        message = re.sub(f"^{clicks}$", ours, message, flags=re.DOTALL)
    return f"{hint.replace(chr(39), '') if isinstance(hint, str) else ' / '.join(hint)}: {message}"


def _sentence(error: Exception) -> str:
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        return _of_value(error)
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, ModuleNotFoundError):
        brings = _BRINGS.get((error.name or "").partition(".")[0], "tidesync")
        missing = re.sub(r"^tidesync\.cli\.", "the command ", error.name or "")
        return f"{missing} is not installed here; it comes with: pip install {brings}"
    return str(error)
