"""The types of `clients/tidesync.ts`, from the dashboard's OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

BEGIN = "// Types: made by `make schemas` from schemas/published/dashboard.openapi.json.\n"
END = "// End of the types.\n"
_PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


def with_types(source: str, document: dict[str, Any]) -> str:
    """`source` with the types of `document` between its two marks."""
    head, _, rest = source.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + types(document) + END + tail


def types(document: dict[str, Any]) -> str:
    """A type for each schema of the document, in their order."""
    schemas = document["components"]["schemas"]
    return "".join(_named(name, schema) for name, schema in schemas.items())


def _named(name: str, schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return f"export type {name} = {_type(schema)};\n\n"
    return _interface(name, schema)


def _interface(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    lines = [_comment(schema, ""), f"export interface {name} {{"]
    for key, value in schema.get("properties", {}).items():
        lines += [_comment(value, "  "), f"  {key}{'' if key in required else '?'}: {_type(value)};"]
    return "\n".join(filter(None, lines)) + "\n}\n\n"


def _comment(schema: dict[str, Any], indent: str) -> str:
    text = " ".join(schema.get("description", "").split()).replace("*/", "* /")
    return f"{indent}/** {text} */" if text else ""


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(map(_type, schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        return " | ".join(map(json.dumps, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"Array<{_type(schema.get('items', {}))}>"
    if schema.get("type") == "object":
        values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        of = next((_type(value) for value in values if isinstance(value, dict)), "unknown")
        return f"Record<string, {of}>"
    return _PLAIN.get(schema.get("type", ""), "unknown")
