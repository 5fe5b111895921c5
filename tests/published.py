"""The published schemas, ready to validate with; for the tests of every folder."""

import json
from pathlib import Path

import jsonschema

from tools.contract.json_schema import file_name, message_name

PUBLISHED = Path(__file__).parents[1] / "schemas" / "published"


def schema(name):
    return json.loads((PUBLISHED / file_name(name)).read_text(encoding="utf-8"))


def validator(name):
    return jsonschema.Draft202012Validator(schema(name))


def validator_of(kind):
    return validator(message_name(kind))
