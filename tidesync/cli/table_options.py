"""The options with which commands find and correct a session's tables."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from schemas.metadata import CONSUMER_TOLERANCE_MS
from schemas.names import vehicle_name
from tidesync.cli.choice_options import choice_options
from tidesync.errors import SettingsError, named
from tidesync.sessions.correction.formats import needs_clock
from tidesync.sessions.correction.session import Options
from tidesync.sessions.correction.stamps.accepted import UNITS
from tidesync.sessions.correction.table_form import TableForm, form_of
from tidesync.sessions.correction.table_settings import TableSettings
from tidesync.sessions.names import sensor_vehicles
from tidesync.settings import FILE_NAME, PREFIX, TABLES, file_defaults, table_settings
from topside_agent.estimator import EstimatorSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidesync.sessions.correction.prepared import Prepared

_STATED = {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_TABLES = (
    click.option(
        "--sensor",
        "sensors",
        multiple=True,
        metavar="SENSOR=VEHICLE",
        help="Whose clock stamped a sensor, as inWater=rov1 (repeatable)  [default: the metadata's]",
    ),
    click.option(
        "--file",
        "--csv",
        "files",
        multiple=True,
        type=_FILE,
        metavar="FILE",
        help="A further table of any format (repeatable); --csv is its older name.",
    ),
    click.option("--vehicle", metavar="VEHICLE", help="Whose clock stamped the tables given with --file."),
    click.option(
        "--topside-clock", is_flag=True, help="Topside's own clock stamped the tables given with --file."
    ),
)


def _option(flag: str, **extras: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """An option that is also an environment variable, and a key of the file."""
    return click.option(flag, envvar=PREFIX + flag.removeprefix("--").replace("-", "_").upper(), **extras)


_STAMPS = (
    _option("--column", default="timestamp", show_default=True, help="The column to correct."),
    _option(
        "--columns",
        metavar="DATE,TIME",
        help="Two columns that together are the timestamp; also seconds and nanoseconds, GPS week and time.",
    ),
    _option("--unit", type=click.Choice(UNITS), help="What it counts  [default: recognised]"),
    _option(
        "--zone",
        metavar="ZONE",
        help="Of times that state none: Europe/Berlin, +01:00, UTC  [default: UTC, if no other fits]",
    ),
    _option(
        "--time-format",
        metavar="FORMAT",
        help="As of strptime (%d.%m.%Y %H:%M:%S.%f), or excel, matlab, julian, gps, day-first, month-first.",
    ),
    _option(
        "--decimal", default=".", show_default=True, metavar="SIGN", help="Decimal sign of numbers: . or ,"
    ),
    _option(
        "--since",
        metavar="INSTANT|COLUMN",
        help="When elapsed or boot time was zero: ISO 8601 with its zone, or a column; of a .BIN a .tlog.",
    ),
    _option(
        "--resolution-ms",
        type=click.FloatRange(0),
        metavar="MS",
        help="Promise in which steps timestamps are written and their clock ticks  [default: found]",
    ),
)
_INSTRUMENTS = (
    _option(
        "--instrument-clock",
        metavar="CLOCK",
        help="Which clock stamped it: vehicle; or how far its own was ahead of that or of topside's, in s: "
        "vehicle+1.5±0.2, topside-60±1.",
    ),
    _option(
        "--sample-clock-ppm",
        type=click.FloatRange(0, 10_000),
        default=100.0,
        show_default=True,
        metavar="PPM",
        help="How far off the sample clock may be of a file that states its start alone (.wav, .cnv).",
    ),
)
_TEXT = (
    _option(
        "--header-line",
        type=click.IntRange(min=1),
        metavar="N",
        help="The line of a table of text that has the columns' names  [default: the first with text]",
    ),
    _option("--comment", default="", metavar="TEXT", help="Lines that begin with it are no rows, as #."),
    _option("--no-header", is_flag=True, help="There are no names: columns are named 1, 2, …"),
)
_LIMITS = (
    click.option(
        "--max-error-ms",
        default=CONSUMER_TOLERANCE_MS,
        show_default=True,
        type=click.FloatRange(0, 1e6, min_open=True),
        help="Rows that may be wrong by more are marked `outside`.",
    ),
    click.option(
        "--slew-limit-ppm",
        type=click.FloatRange(0, 100_000),
        help="How fast the wall clocks may have been slewed between exchanges; 0: both ran free."
        "  [default: 500 for each that the log shows being slewed]",
    ),
    click.option(
        "--rate-limit-ppm",
        type=click.FloatRange(0, 100_000, min_open=True),
        default=EstimatorSettings().rate_limit_ppm,
        show_default=True,
        help="Promise that the RAW clocks run no faster apart: narrows the first seconds.",
    ),
)
_NAMES = (
    "sensors",
    "files",
    "vehicle",
    "topside_clock",
    "choice",
    "max_error_ms",
    "slew_limit_ppm",
    "rate_limit_ppm",
)
OPTION_NAMES = (*_NAMES, *TableSettings.model_fields)
"""The parameters of `table_options`; `choice` has two of its own."""


def table_options(function: Callable[..., int]) -> Callable[..., int]:
    """Decorate a click command: it takes the options, and `function` gets them as `options`."""

    @functools.wraps(function)
    def command(**values: Any) -> int:
        given = {name: values.pop(name) for name in _NAMES}
        given |= _forms({name: values.pop(name) for name in TableSettings.model_fields})
        return function(options=_options(given), **values)

    decorated: Callable[..., int] = choice_options(command)
    for option in reversed((*_TABLES, *_STAMPS, *_INSTRUMENTS, *_TEXT, *_LIMITS)):
        decorated = option(decorated)
    return decorated


def stated_options() -> Options:
    """What `tidesync.toml` says of tables, for a command without these options; SettingsError as theirs."""
    stated = file_defaults(TABLES)
    try:
        form = form_of({name: stated[name] for name in TableSettings.model_fields if name in stated})
    except ValueError as error:
        raise SettingsError(f"{FILE_NAME} [{TABLES}]: {error}") from error
    return Options(form=form, forms=_forms_of_tables({}))


def show_unused(prepared: Prepared) -> None:
    """Say which settings of single tables apply to none: one of another session, or a misspelt path."""
    for line in prepared.unused:
        click.echo(line, err=True)


def _options(given: dict[str, Any]) -> Options:
    vehicle = given.pop("vehicle")
    if vehicle is not None and given["topside_clock"]:
        raise SettingsError(f"--vehicle {vehicle} and --topside-clock: expected one of them")
    owner = None if vehicle is None else named("--vehicle", vehicle_name, vehicle)
    return Options(**given | {"sensors": sensor_vehicles(given["sensors"]), "vehicle": owner})


def _forms(given: dict[str, Any]) -> dict[str, Any]:
    """`form` and `forms` of the options; SettingsError, which names the option or the key of the file."""
    context = click.get_current_context()
    stated = {name: value for name, value in given.items() if context.get_parameter_source(name) in _STATED}
    try:
        return {"form": form_of(given), "forms": _forms_of_tables(stated)}
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _forms_of_tables(stated: dict[str, Any]) -> dict[str, TableForm]:
    """The form of each table that `tidesync.toml` names; `stated` comes first."""
    forms = {}
    for path, values in table_settings().items():
        try:
            forms[path] = form_of({**values, **_meant(path, stated)})
        except ValueError as error:
            raise SettingsError(f'{FILE_NAME} [correct."{path}"]: {error}') from error
    return forms


def _meant(path: str, stated: dict[str, Any]) -> dict[str, Any]:
    """What of it is meant for a table: an instrument's clock is not, unless it is an instrument's file."""
    if needs_clock(Path(path)):
        return stated
    return {name: value for name, value in stated.items() if name != "instrument_clock"}
