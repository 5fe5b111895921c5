"""`tidesync reproduce`: make a published session's results again, and compare them byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidesync.cli.export_crate import size_of
from tidesync.cli.progress import Progress
from tidesync.errors import NotSoError, SettingsError
from tidesync.figures import counted
from tidesync.sessions.crate.reproduction import reproduce
from tidesync.sessions.errors import SessionError, UnusableCrateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidesync.sessions.crate.reproduction import Difference, Reproduction


NOT_MADE = "all else has its recorded hash; raw files, fused tables, reports and exports are not made again"


@click.command("reproduce")
@click.argument("crate", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(*, crate: Path, as_json: bool) -> int:
    """Make the results in CRATE again from its raw files, and compare every byte.

    CRATE is a folder of `tidesync export --format ro-crate`. The settings that it records are used in a
    temporary folder; no command in it is run, and nothing is written to it. Its results are what `tidesync
    correct` wrote: all else, as fused tables, reports and exports, is checked against its hash only. Exit
    code 1 if a result differs, with the first difference of each and the versions that differ; 2 if the
    crate cannot be used.
    """
    if not crate.is_dir():
        raise SettingsError(f"CRATE: there is no folder {crate}")
    try:
        with Progress("Reproducing") as progress:
            progress.length = 2 * size_of(crate)
            result = reproduce(crate, progress.update)
    except UnusableCrateError as error:
        raise SettingsError(str(error)) from error
    except (SessionError, OSError) as error:
        raise NotSoError(str(error)) from error
    if as_json:
        click.echo(json.dumps({"crate": str(crate), **result.document()}))
    else:
        for line in _lines(result):
            click.echo(line)
    if not result.complete:
        raise NotSoError(_summary(result))
    return 0


def _lines(result: Reproduction) -> Iterator[str]:
    for each in result.differences:
        yield from _about(each)
    yield from result.failed
    for other in result.versions:
        recorded, here = (value or "none" for value in (other.recorded, other.here))
        yield f"other version: {other.name}: {recorded} in the crate, {here} here"
    if result.complete:
        yield f"{counted(len(result.reproduced), 'file')} reproduced byte for byte"
        yield NOT_MADE


def _about(each: Difference) -> Iterator[str]:
    expected = each.expected or "no such result in the crate"
    yield f"{each.file}: expected SHA-256 {expected}, found {each.found or 'none: it was not made'}"
    if (place := each.place) is None:
        return
    if not place.content:
        yield f"  the bytes differ from byte {place.offset} on, what they hold does not"
    elif place.line is None:
        yield f"  first difference at byte {place.offset}"
    else:
        yield f"  first difference at byte {place.offset}, in line {place.line}"
        yield f"  expected: {place.expected}"
        yield f"  found:    {place.found}"


def _summary(result: Reproduction) -> str:
    differ = len(result.differences)
    rest = f"{counted(len(result.reproduced), 'file')} reproduced byte for byte"
    return f"{counted(differ, 'file')} differ{'s' if differ == 1 else ''}, {rest}"
