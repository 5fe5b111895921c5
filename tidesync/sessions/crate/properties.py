"""The settings of a correction as names and values: options of `tidesync correct`, keys of `tidesync.toml`.

What is not stated has its default. None is a command: names are known, and a pydantic model checks values.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from schemas.base import first_error
from tidesync.sessions.correction.recorded_settings import CorrectionSettings, RecordedRun
from tidesync.sessions.correction.table_form import form_of
from tidesync.sessions.correction.table_settings import TableSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Property = tuple[str, Any]

SESSION, TABLE, FILE, SENSOR, INSTANCE = "session", "table", "file", "sensor", "instance"
_SINGLE = tuple(name for name in CorrectionSettings.model_fields if name not in {"sensors", "instances"})
_OF_TABLE = re.compile(r'correct\.("(?:[^"\\]|\\.)*")\.([a-z_]+)')
_DEFAULTS = TableSettings()


def properties_of(session: str, run: RecordedRun) -> Iterator[Property]:
    """What was asked for, in the order of a command line."""
    yield SESSION, session
    for sensor, vehicle in run.settings.sensors.items():
        yield SENSOR, f"{sensor}={vehicle}"
    for path in run.tables:
        yield FILE if path in run.named else TABLE, path
    for instance in run.settings.instances:
        yield INSTANCE, instance
    for name in _SINGLE:
        value = getattr(run.settings, name)
        if value is not None and value is not False:
            yield name, value
    for path, stated in run.tables.items():
        for name, value in stated:
            if value != getattr(_DEFAULTS, name):
                yield f"correct.{json.dumps(path, ensure_ascii=False)}.{name}", value


def run_of(properties: Iterable[Property]) -> tuple[str, RecordedRun]:
    """The session and the settings; ValueError, which names what is unknown or cannot be used."""
    listed: dict[str, list[Any]] = {name: [] for name in (SESSION, TABLE, FILE, SENSOR, INSTANCE)}
    single: dict[str, Any] = {}
    of_tables: dict[str, dict[str, Any]] = {}
    for name, value in properties:
        if name in listed:
            listed[name].append(value)
            continue
        path, key = _divided(name)
        stated = single if path is None else of_tables.setdefault(path, {})
        if key in stated:
            raise ValueError(f"the setting {name[:100]!r} is there twice")
        stated[key] = value
    (session,) = _texts(listed, SESSION) if len(listed[SESSION]) == 1 else (None,)
    if session is None:
        raise ValueError(f"expected one {SESSION!r} among the settings, received {len(listed[SESSION])}")
    named = _texts(listed, FILE)
    tables = dict.fromkeys((*named, *_texts(listed, TABLE)))
    if unknown := [path for path in of_tables if path not in tables]:
        raise ValueError(f"settings of {unknown[0][:100]!r}, which is none of the tables")
    try:
        settings = CorrectionSettings(
            sensors=_sensors(_texts(listed, SENSOR)), instances=tuple(_texts(listed, INSTANCE)), **single
        )
        stated_tables = {path: TableSettings(**of_tables.get(path, {})) for path in tables}
    except ValidationError as error:
        raise ValueError(first_error(error)) from error
    for each in stated_tables.values():
        form_of(each.model_dump())
    return session, RecordedRun(settings=settings, tables=stated_tables, named=tuple(named))


def _divided(name: str) -> tuple[str | None, str]:
    """The table that a setting is of, None for all, and its key."""
    if name in _SINGLE:
        return None, name
    found = _OF_TABLE.fullmatch(name)
    if found is None or found[2] not in TableSettings.model_fields:
        raise ValueError(f"a setting {name[:100]!r}, which this version does not know")
    path = json.loads(found[1])
    assert isinstance(path, str)
    return path, found[2]


def _texts(listed: dict[str, list[Any]], name: str) -> list[str]:
    for value in listed[name]:
        if not isinstance(value, str):
            raise ValueError(f"{name}: expected text, received {str(value)[:100]!r}")  # noqa: TRY004 - as others
    return listed[name]


def _sensors(pairs: list[str]) -> dict[str, str]:
    sensors: dict[str, str] = {}
    for pair in pairs:
        sensor, equals, vehicle = pair.partition("=")
        if not equals or sensor in sensors:
            raise ValueError(f"sensor: expected SENSOR=VEHICLE, each sensor once, received {pair[:100]!r}")
        sensors[sensor] = vehicle
    return sensors
