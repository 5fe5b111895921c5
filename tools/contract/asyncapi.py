"""The AsyncAPI 3.0 document: every topic, who sends and reads it, and how, from the one topic table."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, get_args

from broker.settings import ConnectionSettings
from schemas import topics
from schemas.base import MAX_MESSAGE_BYTES
from schemas.topic_kind import Role
from tools.contract.descriptions import of_type
from tools.contract.json_schema import message_name, of_kind
from tools.contract.named_parts import pascal

if TYPE_CHECKING:
    from schemas.topic_kind import TopicKind

Document = dict[str, Any]

ROOT: str = ConnectionSettings.model_fields["topic_root"].default
_BINDING = "0.2.0"
_SCHEMAS = "#/components/schemas/"
_ROLES: dict[Role, str] = {
    "vehicle": "The agent on a vehicle, one for each.",
    "topside": "The agent at the surface: measures every vehicle.",
    "recorder": "Writes sessions. Its MQTT session is persistent, so that it misses nothing.",
    "dashboard": "Reads, and shows.",
    "operator": "Reads, and commands topsides and recorders.",
}
_ABOUT = f"""\
How far vehicles' clocks are from the surface computer's, over MQTT 3.1.1.

Operations are named by role: `vehicle.pong.send` is the vehicle's. The first level of every topic,
`{ROOT}`, is the setting `topic_root`. No payload is larger than {MAX_MESSAGE_BYTES} bytes. Receivers drop
and count invalid messages; they ignore unknown keys. Absent is null, never 0.\
"""


def asyncapi() -> Document:
    """The whole document."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:tidesync:v1",
        "info": {
            "title": "Tidesync",
            "version": "1.0.0",
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {role: _server(role) for role in get_args(Role)},
        "channels": {kind.name: _channel(kind) for kind in topics.TOPICS},
        "operations": {
            f"{role}.{kind.name}.{action}": _operation(kind, action, role)
            for kind in topics.TOPICS
            for action, roles in (("send", kind.senders), ("receive", kind.readers))
            for role in roles
        },
        "components": {
            "schemas": _schemas(),
            "messages": {message_name(kind): _message(kind) for kind in topics.TOPICS},
            "parameters": {name: _parameter(name) for name in ("vehicle", "topside", "session", "recorder")},
        },
    }


def address(kind: TopicKind) -> str:
    """The topic with its names left open."""
    return f"{ROOT}/{topics.VERSION}/{kind.template}"


def _server(role: Role) -> Document:
    """The broker as this role connects to it, with the will that it leaves there."""
    binding: Document = {
        "cleanSession": role != "recorder",
        "keepAlive": ConnectionSettings.model_fields["keepalive_s"].default,
        "bindingVersion": _BINDING,
    }
    for kind in topics.TOPICS:
        if kind.will and role in kind.senders:
            binding["lastWill"] = {
                "topic": address(kind),
                "qos": kind.qos,
                "message": "offline",
                "retain": kind.retain,
            }
    return {
        "host": "{host}:{port}",
        "protocol": "mqtt",
        "protocolVersion": "3.1.1",
        "description": f"The broker, for a {role}. {_ROLES[role]}",
        "variables": {"host": {"default": "localhost"}, "port": {"default": "1883"}},
        "bindings": {"mqtt": binding},
    }


def _channel(kind: TopicKind) -> Document:
    names = re.findall(r"\{(\w+)\}", kind.template)
    roles = [role for role in get_args(Role) if role in kind.senders + kind.readers]
    return {
        "address": address(kind),
        "description": of_kind(kind)["description"],
        "servers": [{"$ref": f"#/servers/{role}"} for role in roles],
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in names},
        "messages": {message_name(kind): {"$ref": f"#/components/messages/{message_name(kind)}"}},
    }


def _operation(kind: TopicKind, action: str, role: Role) -> Document:
    operation: Document = {
        "action": action,
        "channel": {"$ref": f"#/channels/{kind.name}"},
        "messages": [{"$ref": f"#/channels/{kind.name}/messages/{message_name(kind)}"}],
        "tags": [{"name": role}],
    }
    if action == "send":  # a reader subscribes at this QoS or a lower one
        operation["bindings"] = {"mqtt": {"qos": kind.qos, "retain": kind.retain, "bindingVersion": _BINDING}}
    return operation


def _message(kind: TopicKind) -> Document:
    return {
        "name": message_name(kind),
        "contentType": "text/plain" if kind.payload is None else "application/json",
        "description": of_kind(kind)["description"],
        "payload": {"$ref": f"{_SCHEMAS}{pascal(of_kind(kind)['title'])}"},
    }


def _schemas() -> Document:
    """Every message and every part of one, by the name of its class; several messages may have a part."""
    made: Document = {}
    for kind in topics.TOPICS:
        document = of_kind(kind)
        body = {key: value for key, value in document.items() if key not in {"$schema", "$id", "$defs"}}
        for name, schema in {pascal(document["title"]): body, **document.get("$defs", {})}.items():
            if made.setdefault(name, schema) != schema:
                raise ValueError(f"two schemas are called {name}")
    moved: Document = json.loads(json.dumps(made).replace('"#/$defs/', f'"{_SCHEMAS}'))
    return dict(sorted(moved.items()))


def _parameter(name: str) -> Document:
    meaning = of_type(name.capitalize()) or ""
    rule = {
        "session": "As a topic level, bytes of its UTF-8 outside [A-Za-z0-9_-] as =XX, in upper-case hex.",
    }.get(name, "Small letters, digits, '_' and '-', at most 63.")
    example = {"vehicle": "rov1", "topside": "laptop", "session": "2026-05-01T12-00-00Z", "recorder": "main"}[
        name
    ]
    return {"description": f"{meaning} {rule}", "examples": [example]}
