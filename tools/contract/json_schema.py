"""JSON Schema (2020-12) of every message and file, as receivers take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from schemas import messages, topics
from schemas.clock_history import ClockLine
from schemas.events import LINE
from schemas.exchange import Exchange
from schemas.metadata import DriftModel, SensorTimeSync, SessionBlock
from tools.contract.descriptions import of_fields
from tools.contract.named_parts import name_parts

if TYPE_CHECKING:
    from pydantic_core import core_schema

    from schemas.topic_kind import TopicKind

Document = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_UNIONS = {
    "topside_command": "A command to a topside.",
    "session_command": "A command to the recorder, about the session in the topic.",
}
_FILES: dict[str, tuple[TypeAdapter[Any], str]] = {
    "exchange_line": (TypeAdapter(Exchange), "A line of time_sync/exchanges.jsonl."),
    "clock_line": (TypeAdapter(ClockLine), "A line of time_sync/clock.jsonl."),
    "event_line": (
        LINE,
        "A line of time_sync/events.jsonl: what happened to a clock or to the recording.",
    ),
}
_STATUS = "Whether an agent is online, in plain text; a hint: freshness comes from the stamps in messages."


def file_name(name: str) -> str:
    """The file of a message or a line."""
    return f"{name.replace('_', '-')}.schema.json"


def schemas() -> dict[str, Document]:
    """Every JSON Schema, by file name."""
    made = {file_name(name): of_kind(kind) for name, kind in _kinds().items()}
    made |= {file_name(name): _file_line(name) for name in _FILES}
    return made | {file_name("sync_metadata"): sync_metadata()}


def of_kind(kind: TopicKind) -> Document:
    """The schema of a topic's payload."""
    name = message_name(kind)
    if kind.payload is None:
        words = list(get_args(messages.Status))
        return _headed(name, {"description": _STATUS, "type": "string", "enum": words})
    adapter = kind.payload if isinstance(kind.payload, TypeAdapter) else TypeAdapter(kind.payload)
    made = _generated(adapter)
    return _headed(name, {"description": _UNIONS[kind.name], **made} if kind.name in _UNIONS else made)


def message_name(kind: TopicKind) -> str:
    """The name of a topic's message; both statuses are the same message."""
    return "status" if kind.payload is None else kind.name


def sync_metadata() -> Document:
    """The consumer's file as we write it: its keys, and ours below `timeSync.tidesync`; others are kept."""
    parts = {
        name: _generated(TypeAdapter(model))
        for name, model in {"sensor": SensorTimeSync, "drift": DriftModel, "block": SessionBlock}.items()
    }
    definitions = {key: value for part in parts.values() for key, value in part.pop("$defs", {}).items()}
    definitions |= {
        "SensorTimeSync": parts["sensor"],
        "DriftModel": parts["drift"],
        "SessionBlock": parts["block"],
    }
    instant = {"type": "string", "format": "date-time"}
    sensor = {"anyOf": [{"$ref": "#/$defs/SensorTimeSync"}, {"type": "null"}]}
    time_sync = {
        "type": "object",
        "description": "What is known of each sensor's clock; any key but these is a sensor.",
        "required": ["inWater", "surface", "markers", "driftModel", "tidesync"],
        "properties": {
            "inWater": sensor,
            "surface": sensor,
            "markers": {"type": "array", "description": "The consumer's own."},
            "driftModel": {
                "description": "The consumer's, or ours while it has none.",
                "anyOf": [{"type": "object"}, {"type": "null"}],
            },
            "tidesync": {"$ref": "#/$defs/SessionBlock"},
        },
    }
    document = {
        "description": " ".join((sync_metadata.__doc__ or "").split()),
        "type": "object",
        "required": [
            "schemaVersion",
            "mission",
            "unifiedSessionTimestamp",
            "createdAt",
            "updatedAt",
            "timeSync",
        ],
        "properties": {
            "schemaVersion": {"type": "integer"},
            "mission": {"type": "string"},
            "unifiedSessionTimestamp": {"type": "string"},
            "createdAt": instant,
            "updatedAt": instant,
            "sensors": {"type": "object", "description": "The consumer's own: where each sensor's data is."},
            "timeSync": time_sync,
        },
        "$defs": dict(sorted(definitions.items())),
    }
    return _headed("sync_metadata", document)


_TITLES = {"exchange": "exchange_batch"}
"""Where the name of a message is, but for its case, that of one of its parts."""


class _Described(GenerateJsonSchema):
    """Adds descriptions from docstrings; omits titles that repeat a key, and keys that receivers refuse."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        made = super().model_schema(schema)
        fields = schema["cls"].model_fields
        for name, text in of_fields(schema["cls"]).items():
            key = fields[name].alias or name
            if key in made.get("properties", {}):
                made["properties"][key]["description"] = text
        return made

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> dict[str, Any]:
        """Require the tag, which each part alone does not; drop the keyword that is OpenAPI's own."""
        made = super().tagged_union_schema(schema)
        made.pop("discriminator", None)
        tag = schema["discriminator"]
        return made | {"type": "object", "required": [tag if isinstance(tag, str) else "action"]}

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        made = super().dict_schema(schema)
        if "patternProperties" in made:
            made["additionalProperties"] = False
        return made


def _kinds() -> dict[str, TopicKind]:
    return {message_name(kind): kind for kind in topics.TOPICS}


def _file_line(name: str) -> Document:
    adapter, about = _FILES[name]
    made = _generated(adapter)
    description = f"{about} {made.get('description', '')}".strip()
    return _headed(name, {**made, "description": description})


def _generated(adapter: TypeAdapter[Any]) -> Document:
    return adapter.json_schema(mode="validation", schema_generator=_Described)


def _headed(name: str, document: Document) -> Document:
    title = _TITLES.get(name, name)
    body = {key: value for key, value in document.items() if key != "title"}
    definitions = body.pop("$defs", {})
    for key, definition in definitions.items():
        definition.setdefault("title", key)
    name_parts(definitions, "#/$defs/", {title: body})
    parts = {"$defs": dict(sorted(definitions.items()))} if definitions else {}
    return {"$schema": DIALECT, "$id": f"urn:tidesync:schema:v1:{name}", "title": title} | body | parts
