"""The published contract: current, of the official shapes, and of one mind with the code."""

import copy
import json
import re
from io import BytesIO
from pathlib import Path

import jsonschema
import pytest
from openapi_spec_validator import validate

from schemas import topics
from schemas.base import InvalidMessageError
from schemas.messages import OffsetResult
from tests.published import PUBLISHED, schema, validator, validator_of
from tests.unit import contracts
from tidesync.sessions.folder import writing_table
from tidesync.sessions.journal import decode_event
from tools.contract import __main__ as tool
from tools.contract.asyncapi import address
from tools.contract.descriptions import of_fields, of_type
from tools.contract.json_schema import message_name
from topside_agent.estimator import Row

SCHEMAS = sorted(path.name for path in PUBLISHED.glob("*.schema.json"))
ASYNCAPI = json.loads((PUBLISHED / "asyncapi.json").read_text(encoding="utf-8"))
META_SCHEMA = Path(__file__).parents[1] / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"


def test_what_is_published_is_what_the_code_says():
    assert tool.stale(PUBLISHED) == []


@pytest.mark.slow
def test_a_file_that_is_old_missing_or_too_many_is_named(tmp_path, monkeypatch, capsys):
    tool.write(tmp_path)
    monkeypatch.setattr(tool, "FOLDER", tmp_path)
    assert tool.main(["--check"]) == 0
    (tmp_path / "ping.schema.json").write_text("{}")
    (tmp_path / "asyncapi.json").unlink()
    (tmp_path / "of-old.schema.json").write_text("{}")
    assert tool.main(["--check"]) == 1
    error = capsys.readouterr().err
    for name in ("ping.schema.json", "asyncapi.json", "of-old.schema.json"):
        assert f"schemas/published/{name} is out of date: run `make schemas`" in error
    assert error.count("\n") == 3
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    assert not (tmp_path / "of-old.schema.json").exists()


def test_the_tool_does_nothing_when_asked_wrongly(capsys):
    assert tool.main(["--force"]) == 2
    assert "usage" in capsys.readouterr().err


# JSON Schema


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one_by_the_official_meta_schema(name):
    document = json.loads((PUBLISHED / name).read_text(encoding="utf-8"))
    assert document["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    jsonschema.Draft202012Validator.check_schema(document)


def test_every_message_has_a_schema_of_its_own_name():
    published = {json.loads((PUBLISHED / name).read_text())["$id"].rpartition(":")[2] for name in SCHEMAS}
    assert {message_name(kind) for kind in topics.TOPICS} <= published
    assert {"exchange_line", "clock_line", "event_line", "sync_metadata"} <= published


REPLACEMENTS = (
    None,
    "",
    "x",
    "Rov 1",
    "a/b",
    "..",
    "offline",
    -1,
    1,
    2**53,
    2**64,
    1.5,
    True,
    [],
    {},
    ["x"],
    {"x": "y"},
    "2026-05-01T12:00:00",
    "2026-05-01T12:00:00Z",
)


def places(document, before=()):
    """Every key and index of a payload, nested ones too."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in pairs:
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from places(value, (*before, key))


def altered(document, place, value=...):
    """A copy with another value there, or with nothing there."""
    changed = copy.deepcopy(document)
    target = changed
    for key in place[:-1]:
        target = target[key]
    if value is ...:
        del target[place[-1]]
    else:
        target[place[-1]] = value
    return changed


@pytest.mark.parametrize("kind", [kind for kind in topics.TOPICS if kind.payload], ids=lambda kind: kind.name)
def test_the_schema_takes_what_we_take_and_refuses_what_we_refuse(kind):
    valid = json.loads(contracts.VALID[kind.name].encode())
    published = validator_of(kind)
    published.validate(valid)
    tried = refused = 0
    for place in places(valid):
        for value in (..., *REPLACEMENTS):
            if value is True and place[-1] in {"v", "schema_version"}:
                continue  # to Python, and so to us, true is 1
            payload = altered(valid, place, value)
            try:
                kind.decode(json.dumps(payload).encode())
                taken = True
            except InvalidMessageError:
                taken = False
            assert published.is_valid(payload) == taken, (place, value)
            tried, refused = tried + 1, refused + (not taken)
    assert refused > tried / 3  # the comparison has something to compare


def test_a_key_that_nobody_knows_is_taken():
    for name, message in contracts.VALID.items():
        payload = json.loads(message.encode()) | {"later": [1]}
        validator_of(next(kind for kind in topics.TOPICS if kind.name == name)).validate(payload)


@pytest.mark.parametrize("word", ["online", "offline", "ONLINE", "", "online\n"])
def test_a_status_is_one_of_two_words(word):
    assert validator("status").is_valid(word) == (word in {"online", "offline"})


def test_a_batch_has_a_hundred_exchanges_at_most():
    line = json.loads(contracts.EXCHANGE.encode())
    published = validator("exchange")
    assert published.is_valid({"batch": 1, "exchanges": [line] * 100})
    assert not published.is_valid({"batch": 1, "exchanges": [line] * 101})


def test_a_line_of_each_file_is_taken_and_another_is_not():
    exchange = json.loads(contracts.EXCHANGE.encode())
    validator("exchange_line").validate(exchange)
    assert not validator("exchange_line").is_valid({**exchange, "seq": "17"})
    clock = json.loads(contracts.CLOCK_LINE.encode())
    validator("clock_line").validate(clock)
    assert not validator("clock_line").is_valid({**clock, "machine": "recorder"})
    events = validator("event_line")
    gap = {
        "vehicle": "rov1",
        "kind": "gap",
        "at": "2026-05-01T12:00:00.000000Z",
        "topside": "laptop",
        "run": 0,
        "from_seq": 1,
        "to_seq": 2,
        "before_origin_ns": 7,
    }
    for line in (gap, {**gap, "kind": "other"}, {**gap, "to_seq": None}, {"kind": "gap"}):
        assert events.is_valid(line) == (decode_event(json.dumps(line).encode()) is not None)


def test_the_readers_need_not_guess_units_and_signs():
    for name in SCHEMAS:
        document = json.loads((PUBLISHED / name).read_text())
        assert document["description"]
        for part in (document, *document.get("$defs", {}).values()):
            for key, value in part.get("properties", {}).items():
                if re.search(r"(_ns|_ms|_ppm|_s|Ms)$", key):
                    assert value.get("description"), (name, key)
    assert "positive when the Pi is ahead" in schema("offset")["properties"]["offset_ms"]["description"]


def test_a_docstring_below_a_field_or_its_type_is_its_description():
    described = of_fields(OffsetResult)
    assert described["exchanges"] == "Exchanges in the window in use."
    assert (
        described["error"]
        == of_type("ErrorWord")
        == "Why there is no good result: the consumer's error words, then ours."
    )


# Table Schema


def test_the_table_schema_is_that_of_offsets_csv():
    document = json.loads((PUBLISHED / "offsets.csv.table-schema.json").read_text())
    row = Row("rov1", "laptop", 3, 2, -1, -2, 0, None, 0, "ok")
    stream = BytesIO()
    with writing_table(stream) as add:
        add(("rov1", "laptop"), [row])
    header, line = stream.getvalue().decode().splitlines()
    assert header.split(",") == [field["name"] for field in document["fields"]]
    for field, value in zip(document["fields"], line.split(","), strict=True):
        assert value or not field["constraints"]["required"], field["name"]
        assert field["type"] == "string" or not value or str(int(value)) == value
        assert value in field["constraints"].get("enum", [value])
        assert field["description"]


# AsyncAPI


def test_the_asyncapi_document_is_one_by_the_official_meta_schema():
    if not META_SCHEMA.exists():
        pytest.skip("@asyncapi/specs is not installed: `make test` fetches it where there is npm")
    meta = json.loads(META_SCHEMA.read_text(encoding="utf-8"))
    official = jsonschema.Draft7Validator(meta)
    official.validate(ASYNCAPI)
    broken = copy.deepcopy(ASYNCAPI)
    broken["operations"]["topside.ping.send"]["bindings"]["mqtt"]["qos"] = 3
    assert not official.is_valid(broken)


@pytest.mark.parametrize("kind", topics.TOPICS, ids=lambda kind: kind.name)
def test_every_row_of_the_topic_table_is_a_channel_with_its_operations(kind):
    channel = ASYNCAPI["channels"][kind.name]
    assert channel["address"] == address(kind) == f"tidesync/v1/{kind.template}"
    assert set(channel["parameters"]) == set(re.findall(r"\{(\w+)\}", channel["address"]))
    operations = {
        key: operation
        for key, operation in ASYNCAPI["operations"].items()
        if operation["channel"]["$ref"] == f"#/channels/{kind.name}"
    }
    assert set(operations) == {f"{role}.{kind.name}.send" for role in kind.senders} | {
        f"{role}.{kind.name}.receive" for role in kind.readers
    }
    for key, operation in operations.items():
        assert key.endswith(operation["action"])
        if operation["action"] == "send":
            binding = operation["bindings"]["mqtt"]
            assert (binding["qos"], binding["retain"]) == (kind.qos, kind.retain)


def test_no_channel_is_there_without_a_row():
    assert list(ASYNCAPI["channels"]) == [kind.name for kind in topics.TOPICS]


@pytest.mark.parametrize("kind", topics.TOPICS, ids=lambda kind: kind.name)
def test_a_payload_in_the_asyncapi_document_is_that_of_its_own_file(kind):
    payload = {"$ref": ASYNCAPI["components"]["messages"][message_name(kind)]["payload"]["$ref"]}
    whole = jsonschema.Draft202012Validator({**ASYNCAPI, **payload})
    valid = json.loads(contracts.VALID[kind.name].encode()) if kind.payload else "online"
    whole.validate(valid)
    for place in places(valid) if kind.payload else ():
        for value in (..., None, "", -1, [], {}):
            payload = altered(valid, place, value)
            assert whole.is_valid(payload) == validator_of(kind).is_valid(payload), (place, value)
    assert not whole.is_valid(7)


def test_every_reference_leads_somewhere():
    found = 0
    text = json.dumps(ASYNCAPI)
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', text)):
        found += 1
        target = ASYNCAPI
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
    assert found > 40


def test_the_wills_are_those_of_the_table():
    wills = {
        role: server["bindings"]["mqtt"]["lastWill"]
        for role, server in ASYNCAPI["servers"].items()
        if "lastWill" in server["bindings"]["mqtt"]
    }
    of_role = {
        "vehicle": topics.STATUS,
        "topside": topics.TOPSIDE_STATUS,
        "recorder": topics.RECORDER_STATUS,
    }
    assert set(wills) == set(of_role)
    for role, kind in of_role.items():
        assert wills[role] == {
            "topic": address(kind),
            "qos": kind.qos,
            "message": "offline",
            "retain": True,
        }
    assert not ASYNCAPI["servers"]["recorder"]["bindings"]["mqtt"]["cleanSession"]


# OpenAPI


@pytest.mark.parametrize("path", sorted(PUBLISHED.glob("*.openapi.json")), ids=lambda path: path.name)
def test_every_openapi_document_is_one_by_the_official_meta_schema(path):
    validate(json.loads(path.read_text(encoding="utf-8")))


def test_the_dashboards_service_is_published_for_programs():
    document = json.loads((PUBLISHED / "dashboard.openapi.json").read_text(encoding="utf-8"))
    for method, path in (
        ("get", "/api/vehicles"),
        ("get", "/api/sessions"),
        ("post", "/api/sessions"),
        ("post", "/api/sessions/{session}/stop"),
        ("get", "/metrics"),
    ):
        assert method in document["paths"][path]
    vehicle = document["components"]["schemas"]["VehicleView"]["properties"]
    assert vehicle["max_error_ms"]["description"] == "The largest possible error of `offset_ms`, ms."


def test_the_vehicles_service_is_published_with_all_that_it_serves():
    document = json.loads((PUBLISHED / "vehicle.openapi.json").read_text(encoding="utf-8"))
    assert {"/api/sync/time", "/health", "/metrics", "/"} <= set(document["paths"])
    reply = document["components"]["schemas"]["TimeReply"]
    assert set(reply["required"]) == {"pi_iso", "pi_unix_ms", "container_version", "schema_version"}
    assert document["components"]["schemas"]["Health"]["properties"]["broker_problem"]["description"]
