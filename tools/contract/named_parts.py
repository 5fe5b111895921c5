"""A name for every enum and object in a document: generators of classes number those that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]


def name_parts(definitions: dict[str, Schema], place: str, roots: dict[str, Schema] | None = None) -> None:
    """Move each enum and object of properties within a property to `definitions`, named by owner and key.

    `place` is the reference to `definitions`, as "#/$defs/"; `roots` are schemas, by name, that stay where
    they are. A map from names to values stays where it is, with a title.
    """
    waiting = [*(roots or {}).items(), *definitions.items()]
    while waiting:
        owner, schema = waiting.pop()
        for key, value in schema.get("properties", {}).items():
            name = pascal(owner) + pascal(key)
            for part in _parts(value):
                if "enum" in part or "properties" in part:
                    waiting.append((name, _moved(part, name, definitions, place)))
                elif "patternProperties" in part:
                    part.setdefault("title", name)


def pascal(key: str) -> str:
    """`session_state` as the name of a class."""
    return "".join(word[:1].upper() + word[1:] for word in key.split("_"))


def _parts(value: Schema) -> Iterator[Schema]:
    """A property's schema, and those of its items and alternatives."""
    yield value
    for part in (value.get("items"), *value.get("anyOf", ())):
        if isinstance(part, dict):
            yield from _parts(part)


def _moved(part: Schema, name: str, definitions: dict[str, Schema], place: str) -> Schema:
    """The schema that `part` was; a reference to it takes its place, and what only the property has stays."""
    if name in definitions:
        raise ValueError(f"two schemas would be called {name}")
    stays = {key: part.pop(key) for key in ("default", "description") if key in part}
    definitions[name] = {**part, "title": name}
    part.clear()
    part.update({"$ref": f"{place}{name}"} | stays)
    return definitions[name]
