"""`ro-crate-metadata.json`, read: a stranger's, so that all is checked before anything is done by it."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from tidesync.sessions.crate.contents import Action, Contents
from tidesync.sessions.crate.copying import Digest
from tidesync.sessions.crate.document import METADATA, PROFILE, SOFTWARE_ID
from tidesync.sessions.crate.paths import checked, open_within, path_of
from tidesync.sessions.crate.properties import run_of
from tidesync.sessions.crate.software import PRODUCT
from tidesync.sessions.errors import UnusableCrateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tidesync.sessions.correction.recorded_settings import RecordedRun

Entities = dict[str, dict[str, Any]]
"""By `@id`."""

_MOST_BYTES = 64 << 20
_SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def read_contents(root: Path) -> Contents:
    """What the crate in the folder `root` holds; UnusableCrateError says what is wrong."""
    entities = _entities(_content(root))
    try:
        return _contents(entities)
    except ValueError as error:
        raise UnusableCrateError(f"{root / METADATA}: {error}") from error


def _content(root: Path) -> Any:
    where = root / METADATA
    try:
        with open_within(root, METADATA) as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UnusableCrateError(f"{where}: it is larger than {_MOST_BYTES >> 20} MiB")
        return json.loads(content.decode("utf-8-sig"), parse_constant=_refused, parse_float=_finite)
    except FileNotFoundError as error:
        raise UnusableCrateError(f"{root}: it is no crate: it has no {METADATA}") from error
    except OSError as error:
        raise UnusableCrateError(f"{where}: {error.strerror or error}") from error
    except RecursionError as error:
        raise UnusableCrateError(f"{where}: it is nested too deeply") from error
    except ValueError as error:
        raise UnusableCrateError(f"{where}: it is no JSON: {error}") from error


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large")
    return value


def _entities(document: Any) -> Entities:
    graph = document.get("@graph") if isinstance(document, dict) else None
    if not isinstance(graph, list):
        raise UnusableCrateError(f"{METADATA}: expected an object with a list @graph")
    found: Entities = {}
    for entity in graph:
        identifier = entity.get("@id") if isinstance(entity, dict) else None
        if not isinstance(identifier, str) or identifier in found:
            shown = str(identifier)[:100]
            raise UnusableCrateError(
                f"{METADATA}: expected entities with an @id of their own, received {shown!r}"
            )
        found[identifier] = entity
    return found


def _contents(entities: Entities) -> Contents:
    root = _root(entities)
    if not any(each.startswith(PROFILE) for each in _references(root, "conformsTo")):
        raise ValueError("it is no Process Run Crate")
    actions = [
        _get(entities, each)
        for each in _references(root, "mentions")
        if SOFTWARE_ID in _references(_get(entities, each), "instrument")
    ]
    software = entities.get(SOFTWARE_ID, {})
    if not actions or software.get("name") != PRODUCT:
        raise ValueError(f"it has no correction by {PRODUCT}: another program made this crate")
    parts = (_get(entities, each) for each in _references(root, "hasPart"))
    files = dict(
        _file(each) for each in parts if "sha256" in each
    )  # others were added to it, and are not ours
    code = [_get(entities, each).get("value") for each in _references(software, "identifier")]
    contents = Contents(
        files,
        [_action(entities, each, files) for each in actions],
        dict(_versions(entities, software)),
        code[0] if len(code) == 1 and isinstance(code[0], str) else "",
    )
    made = contents.results
    if len({*made}) < len(made):
        raise ValueError("a file is the result of two actions")
    for action in contents.actions:
        if both := {*made} & {*action.run.paths(), *action.objects}:
            raise ValueError(f"{min(both)!r} is both a result and what results are made of")
    return contents


def _root(entities: Entities) -> dict[str, Any]:
    about = _references(entities.get(METADATA, {}), "about")
    if about != ["./"]:
        raise ValueError(f"it is no RO-Crate: expected a descriptor about './', received {str(about)[:100]}")
    return _get(entities, "./")


def _file(entity: dict[str, Any]) -> tuple[str, Digest]:
    path, size, sha256 = path_of(_text(entity, "@id")), _text(entity, "contentSize"), _text(entity, "sha256")
    if path == METADATA or not _SIZE.fullmatch(size) or not _SHA256.fullmatch(sha256):
        received = f"{size[:40]!r} and {sha256[:80]!r}"
        raise ValueError(f"{path}: expected the size and SHA-256 of a data file, received {received}")
    return path, Digest(int(size), sha256)


def _action(entities: Entities, entity: dict[str, Any], files: Mapping[str, Digest]) -> Action:
    consumed = [_get(entities, each) for each in _references(entity, "object")]
    session, run = run_of(
        (_text(each, "name"), each.get("value")) for each in consumed if each.get("@type") == "PropertyValue"
    )
    objects = [path_of(_text(each, "@id")) for each in consumed if each.get("@type") == "File"]
    results = [path_of(each) for each in _references(entity, "result")]
    _check_paths(session, run, [*objects, *results], files)
    return Action(session, run, objects, results, "", "")


def _check_paths(session: str, run: RecordedRun, others: list[str], files: Mapping[str, Digest]) -> None:
    if "/" in checked(session) or not any(path.startswith(f"{session}/") for path in files):
        raise ValueError(f"the session: expected a folder with files, received {session[:100]!r}")
    for path in (*run.paths(), *others):
        if path not in files:
            raise ValueError(f"{path[:100]!r} is none of the files that it lists")


def _versions(entities: Entities, software: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield PRODUCT, _text(software, "softwareVersion")
    for each in _references(software, "softwareRequirements"):
        entity = entities.get(each, {})
        if entity.get("@type") == "SoftwareApplication":
            yield _text(entity, "name"), _text(entity, "softwareVersion")


def _get(entities: Entities, identifier: str) -> dict[str, Any]:
    if identifier not in entities:
        raise ValueError(f"{identifier[:100]!r} is referred to, and not described")
    return entities[identifier]


def _text(entity: dict[str, Any], key: str) -> str:
    value = entity.get(key)
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{str(entity.get('@id'))[:100]!r}: expected a {key}, received {str(value)[:100]!r}")
    return value


def _references(entity: dict[str, Any], key: str) -> list[str]:
    """The `@id`s that a property has, of one or several."""
    value = entity.get(key, [])
    listed = value if isinstance(value, list) else [value]
    return [each["@id"] for each in listed if isinstance(each, dict) and isinstance(each.get("@id"), str)]
