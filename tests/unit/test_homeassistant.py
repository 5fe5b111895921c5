"""Home Assistant's discovery: the shape that it documents, and values that it can take."""

import json
import re
from typing import get_args

import jinja2
import jsonschema
import pytest

from schemas import topics
from schemas.messages import ErrorWord, OffsetResult
from tests.results import offset_result
from tests.unit.metric_examples import RESULT
from topside_agent.integrations.homeassistant import HomeAssistant, discovery
from topside_agent.settings import TopsideSettings

SETTINGS = TopsideSettings(topside="laptop", homeassistant_discovery=True)
MESSAGE = discovery("rov1", SETTINGS)
DOCUMENT = json.loads(MESSAGE.payload)

# Home Assistant's own schemas, as far as sensors need them, closed where it refuses other keys: in its core,
# homeassistant/components/mqtt/schemas.py (DEVICE_DISCOVERY_SCHEMA, MQTT_AVAILABILITY_LIST_SCHEMA,
# MQTT_ENTITY_DEVICE_INFO_SCHEMA, MQTT_ORIGIN_INFO_SCHEMA), mqtt/sensor.py (_PLATFORM_SCHEMA_BASE and
# validate_sensor_state_and_device_class_config), sensor/const.py (device classes and their units), and
# mqtt/discovery.py (TOPIC_MATCHER).
SUBSCRIBABLE = {"type": "string", "minLength": 1, "maxLength": 65535, "pattern": r"^[^\x00]+$"}
NUMERIC = {
    "required": ["unit_of_measurement", "state_class"],
    "properties": {"unit_of_measurement": {"enum": ["d", "h", "min", "s", "ms", "µs"]}},
}
SENSOR = {
    "type": "object",
    "required": ["platform", "qos", "unique_id", "value_template"],
    "additionalProperties": False,
    "properties": {
        "platform": {"const": "sensor"},
        "unique_id": {"type": "string", "minLength": 1},
        "name": {"type": ["string", "null"]},
        "value_template": {"type": "string"},
        "expire_after": {"type": "integer", "minimum": 0},
        "device_class": {"enum": ["duration", "enum", "timestamp"]},
        "state_class": {"enum": ["measurement", "total", "total_increasing"]},
        "unit_of_measurement": {"type": "string"},
        "qos": {"const": 1},
        "suggested_display_precision": {"type": "integer", "minimum": 0},
        "options": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "entity_category": {"const": "diagnostic"},
        "icon": {"type": "string", "pattern": r"^mdi:"},
        "enabled_by_default": {"type": "boolean"},
        "force_update": {"type": "boolean"},
    },
    "allOf": [
        {
            "if": {"properties": {"device_class": {"const": "duration"}}, "required": ["device_class"]},
            "then": NUMERIC,
        },
        {  # "options" only with "enum", and then neither a unit nor a state class
            "if": {"properties": {"device_class": {"const": "enum"}}, "required": ["device_class"]},
            "then": {
                "required": ["options"],
                "properties": {"unit_of_measurement": False, "state_class": False},
            },
            "else": {"properties": {"options": False}},
        },
        {
            "if": {"properties": {"device_class": {"const": "timestamp"}}, "required": ["device_class"]},
            "then": {"properties": {"unit_of_measurement": False, "state_class": False}},
        },
    ],
}
DISCOVERY = {
    "type": "object",
    "required": ["device", "components", "origin"],
    "additionalProperties": False,
    "properties": {
        "device": {
            "type": "object",
            "additionalProperties": False,
            "required": ["identifiers"],
            "properties": {
                "identifiers": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                "manufacturer": {"type": "string"},
                "model": {"type": "string"},
                "name": {"type": "string"},
                "sw_version": {"type": "string"},
            },
        },
        "origin": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "sw_version": {"type": "string"}},
        },
        "availability": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["topic"],
                "properties": {
                    "topic": SUBSCRIBABLE,
                    "payload_available": {"type": "string"},
                    "payload_not_available": {"type": "string"},
                    "value_template": {"type": "string"},
                },
            },
        },
        "availability_mode": {"enum": ["all", "any", "latest"]},
        "state_topic": SUBSCRIBABLE,
        "encoding": {"type": "string"},
        "components": {"type": "object", "minProperties": 1, "additionalProperties": SENSOR},
    },
}
TOPIC = re.compile(
    r"(?P<component>\w+)/(?:(?P<node_id>[a-zA-Z0-9_-]+)/)?(?P<object_id>[a-zA-Z0-9_-]+)/config"
)


@pytest.mark.parametrize("vehicle", ["rov1", "0-_x", "r" * 63])
def test_the_document_has_the_shape_that_home_assistant_accepts(vehicle):
    message = discovery(vehicle, SETTINGS)
    jsonschema.Draft202012Validator(DISCOVERY).validate(json.loads(message.payload))
    prefix, _, rest = message.topic.partition("/")
    assert prefix == "homeassistant"
    assert TOPIC.fullmatch(rest)["component"] == "device"
    assert message.retain


def test_the_shape_refuses_what_home_assistant_would():
    for broken in (
        {**DOCUMENT, "origin": {}},
        {**DOCUMENT, "device": {"name": "rov1"}},
        {**DOCUMENT, "components": {"x": {**DOCUMENT["components"]["state"], "unit_of_measurement": "ms"}}},
        {
            **DOCUMENT,
            "components": {"x": {**DOCUMENT["components"]["offset_ms"], "unit_of_measurement": "ppm"}},
        },
    ):
        assert list(jsonschema.Draft202012Validator(DISCOVERY).iter_errors(broken))


def test_the_name_of_a_sensor_says_clock_once():
    names = [DOCUMENT["device"]["name"], *(sensor["name"] for sensor in DOCUMENT["components"].values())]
    assert [name for name in names if "clock" in name.lower()] == ["rov1 clock"]  # sensor.rov1_clock_steps


def test_available_means_that_both_agents_say_online():
    assert DOCUMENT["availability_mode"] == "all"
    assert [entry["topic"] for entry in DOCUMENT["availability"]] == [
        "tidesync/v1/vehicle/rov1/status",
        "tidesync/v1/topside/laptop/status",
    ]
    for entry in DOCUMENT["availability"]:  # Home Assistant's defaults are our two words
        assert topics.parse("tidesync", entry["topic"]).kind.decode(b"online") == "online"


def test_every_sensor_reads_a_key_of_the_retained_result():
    assert topics.parse("tidesync", DOCUMENT["state_topic"]).kind is topics.OFFSET
    assert set(DOCUMENT["components"]) == {
        "state",
        "offset_ms",
        "max_error_ms",
        "drift_ppm",
        "steps",
        "measured_at",
    }
    for key, sensor in DOCUMENT["components"].items():
        assert sensor["value_template"].startswith(f"{{{{ value_json.{key} ")
        assert key in OffsetResult.model_fields
    assert len({sensor["unique_id"] for sensor in DOCUMENT["components"].values()}) == 6


@pytest.mark.parametrize("error", [None, *get_args(ErrorWord), "of_a_later_version"])
def test_no_number_is_shown_that_may_be_of_two_clocks_or_of_an_error_that_is_not_known(error):
    values = json.loads(RESULT.model_copy(update={"error": error}).encode())
    shown = {
        key: jinja2.Template(sensor["value_template"]).render(value_json=values)
        for key, sensor in DOCUMENT["components"].items()
    }
    numbers = {"offset_ms": "-150.3", "max_error_ms": "0.4", "drift_ppm": "-3.5"}
    doubtful = error in {"duplicate_vehicle", "duplicate_topside", "of_a_later_version"}
    assert {key: shown[key] for key in numbers} == (dict.fromkeys(numbers, "None") if doubtful else numbers)
    assert (shown["state"], shown["steps"]) == ("locked", "1")


def test_only_what_home_assistant_may_show_as_unknown_can_be_null():
    """Its templates render a null as the word None, which it takes for unknown; for an enum it would warn."""
    nothing = RESULT.model_copy(
        update=dict.fromkeys(["offset_ms", "max_error_ms", "drift_ppm", "measured_at"])
    )
    values = json.loads(OffsetResult.decode(nothing.encode()).encode())
    null = {key for key in DOCUMENT["components"] if values[key] is None}
    assert null == {"offset_ms", "max_error_ms", "drift_ppm", "measured_at"}


def test_every_state_is_one_of_the_options():
    assert set(DOCUMENT["components"]["state"]["options"]) == {
        "acquiring",
        "locked",
        "holdover",
        "stale",
        "unsynced",
    }


@pytest.mark.parametrize(("interval_s", "expiry_s"), [(0.1, 15), (1, 15), (3.5, 18), (60, 300)])
def test_a_result_that_is_not_renewed_expires(interval_s, expiry_s):
    settings = TopsideSettings(homeassistant_discovery=True, publish_interval_s=interval_s)
    document = json.loads(discovery("rov1", settings).payload)
    assert {sensor["expire_after"] for sensor in document["components"].values()} == {expiry_s}


def test_each_vehicle_is_announced_once_a_connection():
    sent = []
    announcer = HomeAssistant(SETTINGS, lambda message: sent.append(message.topic) or True)
    announcer.connected(["rov1"])
    for vehicle in ("rov1", "rov2", "rov2"):
        announcer.announce(vehicle)
    assert sent == [f"homeassistant/device/tidesync_{vehicle}/config" for vehicle in ("rov1", "rov2")]
    announcer.connected(["rov1", "rov2"])
    assert len(sent) == 4


def test_what_could_not_be_sent_is_announced_later():
    up = False
    sent = []
    announcer = HomeAssistant(SETTINGS, lambda message: up and not sent.append(message.topic))
    announcer.announce("rov1")
    up = True
    announcer.announce("rov1")
    assert len(sent) == 1


def test_nothing_is_announced_or_cleared_unless_it_is_enabled():
    sent = []
    announcer = HomeAssistant(TopsideSettings(), lambda message: sent.append(message) or True)
    announcer.connected(["rov1"])
    announcer.forget("rov1")
    assert not sent


def test_the_prefix_can_be_set_and_carries_no_wildcard():
    settings = TopsideSettings(homeassistant_discovery=True, homeassistant_prefix="boat/ha")
    assert discovery("rov1", settings).topic == "boat/ha/device/tidesync_rov1/config"
    for wrong in ("", "a/#", "+", "a b"):
        with pytest.raises(ValueError, match="homeassistant_prefix"):
            TopsideSettings(homeassistant_prefix=wrong)


S = 1_000_000_000


class Shore:
    """Two topsides that announce, at one broker which keeps what either published last."""

    def __init__(self):
        self.config = None
        self.sent = 0
        self.both = {
            name: HomeAssistant(self.settings(name), self.publish, self.listen) for name in ("a", "b")
        }
        self.filters = []
        self.now_s = 0

    @staticmethod
    def settings(name):
        return TopsideSettings(topside=name, homeassistant_discovery=True)

    def publish(self, message):
        self.config, self.sent = json.loads(message.payload), self.sent + 1
        return True

    def listen(self, filters):
        self.filters += filters

    def second(self, **bounds):
        """Each of these topsides has a result, which both hear."""
        self.now_s += 1
        for name, error_ms in bounds.items():
            result = offset_result(vehicle="rov1", topside=name, max_error_ms=error_ms, interval_s=1.0)
            for one in self.both.values():
                one.heard(result, self.now_s * S)
        for one in self.both.values():
            one.tick(self.now_s * S)

    @property
    def shown(self):
        topside = self.config["state_topic"].rpartition("/")[2]
        assert self.config["device"]["model"].endswith(f"that of {topside}")
        assert self.config["availability"][1]["topic"] == f"tidesync/v1/topside/{topside}/status"
        return topside


def test_of_several_topsides_the_one_that_is_chosen_is_shown_whoever_announces():
    shore = Shore()
    for one in shore.both.values():
        one.connected(["rov1"])
    assert shore.filters == [("tidesync/v1/vehicle/rov1/offset/+", 0)] * 2
    shore.second(a=0.2, b=0.9)
    assert shore.shown == "a"
    sent = shore.sent
    for _ in range(5):
        shore.second(a=0.5, b=0.3)  # not twice as good
    assert (shore.shown, shore.sent) == ("a", sent)
    shore.second(a=0.9, b=0.3)
    assert shore.shown == "b"


@pytest.mark.parametrize("bounds", [{"a": 0.9, "b": 0.2}, {"a": 0.3, "b": 0.3}])
def test_a_topside_that_falls_silent_is_replaced_by_one_that_measures(bounds):
    shore = Shore()
    for one in shore.both.values():
        one.connected(["rov1"])
    shore.second(**bounds)
    assert shore.shown == "b"
    for _ in range(4):
        shore.second(a=bounds["a"])
    assert shore.shown == "a"


def test_results_of_others_are_not_listened_to_unless_it_is_enabled():
    filters = []
    announcer = HomeAssistant(TopsideSettings(), lambda _: True, filters.append)
    announcer.connected(["rov1"])
    announcer.announce("rov2")
    assert not filters
