"""Alert rules and the Grafana dashboard: accepted by their programs, and about metrics that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.unit import metric_examples as examples

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
ALERTS_TEST = Path(__file__).with_name("alerts_test.yml")
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "tidesync.json").read_text(encoding="utf-8"))
METRICS_PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
TARGETS = [(panel["title"], target) for panel in DASHBOARD["panels"] for target in panel["targets"]]
VARIABLES = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
BUILT_IN = {"__rate_interval", "__range", "__interval"}

LABELS = {
    sample.name: set(sample.labels)
    for text in examples.all_texts()
    for family in text_string_to_metric_families(text)
    for sample in family.samples
} | {"up": {"job", "instance"}}
SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds."""


def expressions():
    yield from ((rule["alert"], rule["expr"]) for rule in RULES)
    yield from ((title, target["expr"]) for title, target in TARGETS)


def filled_in(expression):
    """A panel's expression as Grafana sends it."""
    for variable, value in {"$__rate_interval": "1m", "$__range": "1h"}.items():
        expression = expression.replace(variable, value)
    return re.sub(r"\$\w+", ".*", expression)


def promtool(*arguments):
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool (Debian's prometheus) is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_prometheus_accepts_the_alert_rules():
    code, output = promtool("check", "rules", ALERTS)
    assert code == 0, output
    assert f"{len(RULES)} rules found" in output


@pytest.mark.slow
def test_each_alert_fires_when_it_should_and_not_otherwise():
    code, output = promtool("test", "rules", ALERTS_TEST)
    assert code == 0, output


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_is_tested_and_names_its_subject(rule):
    assert rule["alert"] in ALERTS_TEST.read_text()
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert {"summary", "description"} == set(rule["annotations"])


@pytest.mark.slow
def test_prometheus_can_parse_every_panel(tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": filled_in(target["expr"])}
        for number, (_, target) in enumerate(TARGETS)
    ]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    code, output = promtool("check", "rules", path)
    assert code == 0, output


@pytest.mark.parametrize(("title", "expression"), list(expressions()))
def test_an_expression_is_about_metrics_and_labels_that_exist(title, expression):
    names = set(re.findall(r"\b(?:tidesync_\w+|up)\b", expression))
    assert names, title
    assert names <= set(LABELS), title
    for name, matchers in re.findall(r"\b(tidesync_\w+|up)\{([^}]*)\}", expression):
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert asked <= LABELS[name] | SCRAPED, title
    grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
    known = set().union(*(LABELS[name] for name in names)) | SCRAPED
    assert {label.strip() for labels in grouped for label in labels.split(",")} <= known, title


@pytest.mark.parametrize(("title", "target"), TARGETS)
def test_a_panels_variables_and_legend_exist(title, target):
    assert set(re.findall(r"\$(\w+)", target["expr"])) <= VARIABLES | BUILT_IN, title
    known = set().union(*(LABELS[name] for name in re.findall(r"tidesync_\w+", target["expr"]))) | SCRAPED
    assert set(re.findall(r"\{\{\s*(\w+)\s*\}\}", target["legendFormat"])) <= known, title


def test_the_panels_show_what_an_operator_needs():
    shown = " ".join(target["expr"] for _, target in TARGETS)
    for name in (
        "tidesync_state",
        "tidesync_offset_seconds",
        "tidesync_max_error_seconds",
        "tidesync_drift_ratio",
        "tidesync_exchange_delay_seconds_bucket",
        "tidesync_rejected_total",
        "tidesync_path",
        "tidesync_exchanges_in_use_total",
        "tidesync_reconnects_total",
        "tidesync_recorder_lag_seconds",
    ):
        assert name in shown


def test_no_panel_lies_over_another():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_has_the_shape_that_grafana_documents():
    jsonschema.Draft202012Validator(GRAFANA).validate(DASHBOARD)


def test_the_shape_refuses_what_grafana_would():
    broken = json.loads(json.dumps(DASHBOARD))
    broken["panels"][0]["gridPos"]["w"] = 25
    assert list(jsonschema.Draft202012Validator(GRAFANA).iter_errors(broken))


def test_the_page_about_metrics_names_every_family_and_no_other():
    families = {
        family.name for text in examples.all_texts() for family in text_string_to_metric_families(text)
    }
    described = set(re.findall(r"^\| `(tidesync_\w+)`", METRICS_PAGE, re.MULTILINE))
    types = {
        family.name: family.type
        for text in examples.all_texts()
        for family in text_string_to_metric_families(text)
    }
    expected = {f"{name}_total" if types[name] == "counter" else name for name in families}
    assert described == expected


# From Grafana's own definition of a dashboard, kinds/dashboard/dashboard_kind.cue (the classic model, schema
# version 36), as far as this dashboard uses it; where its CUE structs are closed, so are these.
DATA_SOURCE = {
    "type": "object",
    "properties": {"type": {"const": "prometheus"}, "uid": {"type": "string"}},
    "required": ["type", "uid"],
    "additionalProperties": False,
}
MAPPING = {
    "type": "object",
    "required": ["type", "options"],
    "properties": {
        "type": {"enum": ["value", "range", "regex", "special"]},
        "options": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "text": {"type": "string"},
                    "color": {"type": "string"},
                    "icon": {"type": "string"},
                    "index": {"type": "integer"},
                },
                "additionalProperties": False,
            },
        },
    },
}
FIELD_CONFIG = {
    "type": "object",
    "required": ["defaults", "overrides"],
    "additionalProperties": False,
    "properties": {
        "overrides": {"type": "array"},
        "defaults": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "unit": {"type": "string"},
                "decimals": {"type": "number"},
                "min": {"type": "number"},
                "max": {"type": "number"},
                "noValue": {"type": "string"},
                "custom": {"type": "object"},
                "mappings": {"type": "array", "items": MAPPING},
                "color": {
                    "type": "object",
                    "required": ["mode"],
                    "properties": {"mode": {"type": "string"}, "fixedColor": {"type": "string"}},
                    "additionalProperties": False,
                },
                "thresholds": {
                    "type": "object",
                    "required": ["mode", "steps"],
                    "properties": {
                        "mode": {"enum": ["absolute", "percentage"]},
                        "steps": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["color"],
                                "properties": {
                                    "color": {"type": "string"},
                                    "value": {"type": ["number", "null"]},  # null is minus infinity, in JSON
                                },
                                "additionalProperties": False,
                            },
                        },
                    },
                    "additionalProperties": False,
                },
            },
        },
    },
}
PANEL = {
    "type": "object",
    "required": ["type", "id", "title", "gridPos", "targets", "datasource", "options", "fieldConfig"],
    "additionalProperties": False,
    "properties": {
        "type": {"enum": ["timeseries", "stat", "state-timeline", "heatmap"]},
        "id": {"type": "integer", "minimum": 0},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "datasource": DATA_SOURCE,
        "options": {"type": "object"},
        "fieldConfig": FIELD_CONFIG,
        "gridPos": {
            "type": "object",
            "required": ["h", "w", "x", "y"],
            "additionalProperties": False,
            "properties": {
                "h": {"type": "integer", "exclusiveMinimum": 0},
                "w": {"type": "integer", "exclusiveMinimum": 0, "maximum": 24},
                "x": {"type": "integer", "minimum": 0, "exclusiveMaximum": 24},
                "y": {"type": "integer", "minimum": 0},
            },
        },
        "targets": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["datasource", "refId", "expr"],
                "properties": {
                    "datasource": DATA_SOURCE,
                    "refId": {"type": "string"},
                    "expr": {"type": "string"},
                    "legendFormat": {"type": "string"},
                    "format": {"enum": ["time_series", "table", "heatmap"]},
                },
            },
        },
    },
}
GRAFANA = {
    "type": "object",
    "required": ["title", "style", "editable", "graphTooltip", "schemaVersion", "panels", "templating"],
    "additionalProperties": False,
    "properties": {
        "__requires": {"type": "array"},
        "uid": {"type": "string", "minLength": 8, "maxLength": 40},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "style": {"enum": ["light", "dark"]},
        "timezone": {"type": "string"},
        "editable": {"type": "boolean"},
        "graphTooltip": {"enum": [0, 1, 2]},
        "time": {"type": "object", "required": ["from", "to"]},
        "refresh": {"type": ["string", "boolean"]},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "version": {"type": "integer"},
        "annotations": {"type": "object"},
        "links": {"type": "array"},
        "panels": {"type": "array", "items": PANEL},
        "templating": {
            "type": "object",
            "properties": {
                "list": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["type", "name", "hide"],
                        "properties": {
                            "type": {
                                "enum": ["query", "datasource", "custom", "interval", "textbox", "constant"]
                            },
                            "name": {"type": "string"},
                            "hide": {"enum": [0, 1, 2]},
                            "datasource": DATA_SOURCE,
                            "query": {"type": ["string", "object"]},
                        },
                    },
                }
            },
        },
    },
}
