"""`tidesync report SESSION`: a page on whether a session's timing can be trusted."""

from __future__ import annotations

import json
from pathlib import Path

import click

from runtime.files import replace
from tidesync.cli.published import check_outside
from tidesync.cli.table_options import stated_options
from tidesync.errors import NotSoError, SettingsError
from tidesync.plotly import script
from tidesync.sessions.errors import NotASessionError
from tidesync.sessions.folder import REPORT
from tidesync.sessions.report.page import report_on
from tidesync.sessions.report.session import load

_SESSION = click.Path(path_type=Path)
_OUTPUT = click.Path(dir_okay=False, path_type=Path)


@click.command("report")
@click.argument("session", type=_SESSION)
@click.option(
    "--output", type=_OUTPUT, metavar="FILE", help="Where to write it  [default: SESSION/report.html]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(session: Path, output: Path | None, *, as_json: bool) -> int:
    """Write an HTML page on the timing of the session in folder SESSION.

    The page is one file: it opens without a network, and can be printed or mailed.
    """
    if not session.is_dir():
        raise SettingsError(f"SESSION: there is no folder {str(session)!r}")
    target = output or session / REPORT
    check_outside(target, "--output FILE writes elsewhere")
    try:
        report = report_on(load(session, stated_options()), script())
        replace(target, report.html.encode("utf-8", "replace"))
    except NotASessionError as error:
        raise NotSoError(str(error)) from error
    except OSError as error:
        raise NotSoError(f"{error.filename or target}: {error.strerror}") from error
    if as_json:
        click.echo(json.dumps({"session": str(session), "output": str(target), **report.document}))
        return 0
    for line in report.lines:
        click.echo(line)
    click.echo(f"Report: {target}")
    return 0
