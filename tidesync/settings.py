"""Settings from options, then `TIDESYNC_…` variables, then `tidesync.toml`, then defaults.

A command's settings are one frozen pydantic model. Its fields become options, variables and keys of the file,
all with the same name; click decides which source wins and remembers it, so that an error can name it.
In the file, keys at the top apply to every command and a table (`[pi]`) to its command alone.
"""

from __future__ import annotations

import difflib
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import platformdirs
from click.core import ParameterSource
from pydantic import ValidationError

from schemas.base import expectation
from schemas.toml import tomllib
from tidesync.command_settings import (
    MODELS,
    kinds_of,
    known_keys,
    models_here,
    option_names,
    secret_names,
)
from tidesync.errors import SettingsError
from tidesync.up.place import surface_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

PREFIX = "TIDESYNC_"
FILE_NAME = "tidesync.toml"
TABLES = "correct"
"""The table of the file that has further tables, each for one of a session's tables."""
_ALTERNATIVES = "broker"
"""A list of the file, in which an option has commas."""
_AS_FOR = {"export": (TABLES, "export"), "fuse": (TABLES,)}
"""Commands that take the settings of another one, or its and their own."""
_SHARED = {
    "doctor": {"root": ("record",), "http_port": ("pi",), "hardware_stamps": ("pi", "topside")},
}
"""Keys of a command that the file's tables of others set too: doctor checks what they use."""


def with_settings(model: type[BaseModel]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a click command: `model`'s fields become its options, the loaded model its first argument."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(**values: Any) -> Any:
            given = {name: values.pop(name) for name in option_names(model)}
            return function(_load(click.get_current_context(), model, given), **values)

        decorated: Callable[..., Any] = command
        for name in reversed(option_names(model)):
            decorated = _option(name, model.model_fields[name])(decorated)
        return decorated

    return decorate


def _load(context: click.Context, model: type[BaseModel], given: dict[str, Any]) -> BaseModel:
    _refuse_unknown_variables()
    _forget_surface(context, given)
    values = {name: value for name, value in given.items() if value is not None and value != ()}
    values |= _secrets_from_environment(context, model)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        name = str(fault["loc"][0]) if fault["loc"] else ""
        if fault["type"] == "missing":
            raise SettingsError(f"{_source(context, name)} is required") from error
        reason = expectation(fault["msg"])
        named = fault["type"] == "value_error" or name in secret_names(
            model
        )  # our own sentences name the value
        received = "" if named or isinstance(fault["input"], dict) else f", received {fault['input']!r}"
        raise SettingsError(f"{_source(context, name)}: {reason}{received}") from error
    except OSError as error:  # a file in a folder that may not be searched
        raise SettingsError(f"{error.filename}: {(error.strerror or str(error)).lower()}") from error


def _forget_surface(context: click.Context, given: dict[str, Any]) -> None:
    """Leave out the account of `tidesync up` where another, or another broker, was chosen."""
    chosen = {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT}
    names = ("broker", "username", "password_file")
    if not any(context.get_parameter_source(name) in chosen for name in names):
        return
    command = context.find_root().invoked_subcommand or ""
    for name, value in surface_defaults(command).items():
        if context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP and given.get(name) == value:
            given[name] = None


def file_defaults(command: str) -> dict[str, Any]:
    """The values of `tidesync.toml` for `command`: the working folder's file over the user's own.

    Where neither says who to be at which broker, that of `tidesync up` on this computer does.
    """
    values: dict[str, Any] = {}
    for folder in _folders():
        for table in _AS_FOR.get(command, (command,)):
            values |= _read_file(folder / FILE_NAME, table)
    return values if "broker" in values else surface_defaults(command) | values


def surface_defaults(command: str) -> dict[str, Any]:
    """What the file of `tidesync up` says for `command`; itself makes it."""
    return {} if command == "up" else _read_file(surface_folder() / FILE_NAME, command)


def _folders() -> tuple[Path, Path]:
    try:
        return platformdirs.user_config_path("tidesync"), Path.cwd()
    except OSError as error:
        reason = (
            "was deleted" if isinstance(error, FileNotFoundError) else f"cannot be found ({error.strerror})"
        )
        raise SettingsError(f"the working folder {reason}; change to one that is there") from error


def table_settings() -> dict[str, dict[str, Any]]:
    """The keys of each `[correct."PATH"]` of the files, with those of `[correct]` for all tables."""
    found: dict[str, dict[str, Any]] = {}
    for folder in _folders():
        section = _section(_content(folder / FILE_NAME), TABLES)
        general = {key: value for key, value in section.items() if not isinstance(value, dict)}
        found |= {path: {**general, **own} for path, own in section.items() if isinstance(own, dict)}
    return found


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def _section(content: dict[str, Any], name: str) -> dict[str, Any]:
    """The file's table `[name]`; a setting may have the same name (`broker`, `topside`), and is no table."""
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _read_file(path: Path, command: str) -> dict[str, Any]:
    content = _content(path)
    if not content:
        return {}
    models = models_here()
    known = known_keys()
    tables = _section(content, TABLES)
    for name in [key for key, value in tables.items() if isinstance(value, dict)]:
        _refuse_unknown_keys(f'{path} [{TABLES}."{name}"]', tables.pop(name), known.get(TABLES))
    for key, value in content.items():
        if isinstance(value, dict):
            if key not in MODELS:
                guess = _did_you_mean(key, MODELS, "[{}]")
                raise SettingsError(f"{path}: no command takes settings from [{key}]{guess}")
            _refuse_unknown_keys(f"{path} [{key}]", value, known.get(key))
        else:
            _refuse_unknown_keys(str(path), {key: value}, frozenset().union(*known.values()))
    flat = {key: value for key, value in content.items() if not isinstance(value, dict)}
    shared = {
        key: value
        for key, tables in _SHARED.get(command, {}).items()
        for table in reversed(tables)
        if (value := _section(content, table).get(key))
    }
    own = shared | _section(content, command)
    mine = {key: value for key, value in flat.items() if key in known.get(command, ())} | own
    fields = models[command].model_fields if command in models else {}
    return {key: _checked(path, fields, key, value) for key, value in mine.items()}


def _checked(path: Path, fields: Mapping[str, FieldInfo], key: str, value: Any) -> Any:
    """`value` as click takes it: a list where the option may be repeated, a bool for a flag, else text."""
    types = kinds_of(fields[key]) if key in fields else set()
    if tuple in types:
        return value if isinstance(value, list) else [value]
    if key == _ALTERNATIVES and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    accepted = "true or false" if bool in types else "one value" if isinstance(value, list) else ""
    if accepted and not (bool in types and isinstance(value, bool)):
        raise SettingsError(f"{path}: {key}: expected {accepted}, received {value!r}")
    return value


def _refuse_unknown_keys(where: str, values: Mapping[str, Any], known: frozenset[str] | None) -> None:
    """Refuse what is not known; None: the command is not installed here, nor what its settings are."""
    for key, value in values.items():
        if known is not None and key not in known:
            received = "" if _may_be_secret(key) else f" = {value!r}"
            raise SettingsError(f"{where}: unknown setting {key}{received}{_did_you_mean(key, known)}")


def _may_be_secret(key: str) -> bool:
    """Whether it is a secret's name, or nearly: the file cannot hold secrets, and they are never printed.

    So may be any name while not every command is installed.
    """
    models = models_here()
    secret = {name for model in models.values() for name in secret_names(model)}
    return len(models) < len(MODELS) or bool(difflib.get_close_matches(key.lower(), secret, 1))


def _did_you_mean(key: str, known: Iterable[str], form: str = "{}") -> str:
    close = difflib.get_close_matches(key, sorted(known), 1)
    if close:
        return f"; did you mean {form.format(close[0])}?"
    if len(models_here()) == len(MODELS):
        return ""
    return f"; a command that is not installed here takes its settings from its table of {FILE_NAME}"


def _refuse_unknown_variables() -> None:
    names = [name for name in os.environ if name.startswith(PREFIX)]
    if not names:
        return
    known = frozenset().union(*known_keys().values(), *map(secret_names, models_here().values()))
    for name in names:
        key = name.removeprefix(PREFIX).lower()
        if key not in known:
            raise SettingsError(
                f"unknown setting: environment variable {name}{_did_you_mean(name, map(_variable, known))}"
            )


def _variable(key: str) -> str:
    return PREFIX + key.upper()


def _option(name: str, field: FieldInfo) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    flag = f"--{name.replace('_', '-')}"
    types = kinds_of(field)
    default = field.get_default(call_default_factory=True)
    text = " ".join(map(str, default)) if isinstance(default, tuple) else default
    about = field.description or ""
    shown = default not in (None, False, ()) and not field.is_required() and "[default:" not in about
    extras: dict[str, Any] = {"help": about + f"  [default: {text}]" * shown, "envvar": PREFIX + name.upper()}
    if bool in types:
        return click.option(flag, name, is_flag=True, default=None, **extras)
    metavar = name.removesuffix("_per_minute").rpartition("_")[2].upper()
    return click.option(flag, name, metavar=metavar, multiple=tuple in types, default=None, **extras)


def _secrets_from_environment(context: click.Context, model: type[BaseModel]) -> dict[str, str]:
    """Secrets from variables; `--password-file`, given as an option, wins over TIDESYNC_PASSWORD."""
    return {
        name: os.environ[variable]
        for name in secret_names(model)
        if (variable := PREFIX + name.upper()) in os.environ
        and context.get_parameter_source(f"{name}_file") is not ParameterSource.COMMANDLINE
    }


def _source(context: click.Context, name: str) -> str:
    source = context.get_parameter_source(name) if name else None
    if source is ParameterSource.ENVIRONMENT or (name and source is None):  # no option: a secret
        return PREFIX + name.upper()
    if source is ParameterSource.DEFAULT_MAP:
        return f"{FILE_NAME}: {name}"
    return f"--{name.replace('_', '-')}" if name else "settings"
