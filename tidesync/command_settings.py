"""The settings of each command: a pydantic model, its fields are options, variables and keys of the file."""

from __future__ import annotations

import importlib
import types
from typing import TYPE_CHECKING, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

MODELS = {
    "broker": "tidesync.cli.broker:BrokerSettings",
    "correct": "tidesync.sessions.correction.table_settings:TableSettings",
    "export": "tidesync.sessions.export.netcdf.settings:ExportSettings",
    "demo": "tidesync.demo.settings:DemoSettings",
    "up": "tidesync.up.settings:UpSettings",
    "pi": "pi_agent.settings:PiSettings",
    "topside": "topside_agent.settings:TopsideSettings",
    "record": "tidesync.sessions.recorder.settings:RecorderSettings",
    "session": "broker.settings:ConnectionSettings",
    "dashboard": "tidesync.dashboard.settings:DashboardSettings",
    "status": "broker.settings:ConnectionSettings",
    "watch": "broker.settings:ConnectionSettings",
    "wait": "broker.settings:ConnectionSettings",
    "pair": "broker.settings:ConnectionSettings",
    "forget": "tidesync.fleet.forgetting:ForgetSettings",
    "doctor": "tidesync.doctor.settings:DoctorSettings",
}
"""The settings of each command, imported only to check keys of the file and variables."""


def known_keys() -> dict[str, frozenset[str]]:
    """The keys that the file's table of each command may have, secrets left out."""
    return {command: frozenset(option_names(model)) for command, model in models_here().items()}


def models_here() -> dict[str, type[BaseModel]]:
    """The settings of each command that is installed; the distribution tidesync-pi alone brings few."""
    found: dict[str, type[BaseModel]] = {}
    for command, place in MODELS.items():
        module, _, name = place.partition(":")
        try:
            found[command] = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in {"tidesync", "topside_agent"}:
                raise
    return found


def option_names(model: type[BaseModel]) -> list[str]:
    """The fields that are options: all but secrets."""
    return [name for name, field in model.model_fields.items() if not is_secret(field)]


def is_secret(field: FieldInfo) -> bool:
    """Whether the value is never an option and never printed."""
    return SecretStr in kinds_of(field)


def kinds_of(field: FieldInfo) -> set[object]:
    """The bare types a field's annotation is made of: `tuple[str, ...] | None` gives tuple and NoneType."""
    annotation = field.annotation
    parts = get_args(annotation) if get_origin(annotation) in {Union, types.UnionType} else (annotation,)
    return {get_origin(part) or part for part in parts}


def secret_names(model: type[BaseModel]) -> list[str]:
    """The fields that come from a variable or a file alone."""
    return [name for name, field in model.model_fields.items() if is_secret(field)]
