"""What BlueOS reads from the agent's web service has the shape that BlueOS documents."""

import re

import pytest
from fastapi.testclient import TestClient

from pi_agent.health import Health
from pi_agent.http_service import make_app, page
from runtime.clock import SystemClock
from runtime.version import VERSION

# BlueOS: core/services/helper/main.py, ServiceMetadata (its optional keys with their types), and the docs'
# "Web Interface (HTTP Server)"; mdi names: pictogrammers.com/library/mdi.
REQUIRED = {"name", "description", "icon", "company", "version", "webpage", "api"}
OPTIONAL = {
    "route": str,
    "new_page": bool,
    "extra_query": str,
    "avoid_iframes": bool,
    "sanitized_name": str,
    "works_in_relative_paths": bool,
    "extras": dict,
}
SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")

HEALTH = Health(
    vehicle="rov1",
    version="1.0.0",
    broker="mqtt://192.168.2.1:1883",
    broker_connected=True,
    broker_problem=None,
    uptime_s=12.5,
    reconnects=0,
    clock_changes={"step": 0, "suspend": 0},
    pings_answered=3,
    messages_dropped={},
    last_ping_topside="laptop",
    last_ping_age_s=0.2,
    clock_synchronized=False,
    simulated=False,
)


class Source:
    def __init__(self, **differing):
        self._health = HEALTH.model_copy(update=differing)

    def health(self):
        return self._health


def client(**differing):
    return TestClient(make_app(SystemClock(), Source(**differing)))


def test_the_service_registers_with_every_required_key_and_no_unknown_one():
    reply = client().get("/register_service", headers={"Accept": "application/json"})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    metadata = reply.json()
    assert {key for key in REQUIRED if not isinstance(metadata[key], str)} == set()
    others = {key: value for key, value in metadata.items() if key not in REQUIRED}
    assert all(isinstance(value, OPTIONAL[key]) for key, value in others.items())


def test_its_name_makes_a_usable_url_and_its_version_is_a_semantic_one():
    metadata = client().get("/register_service").json()
    assert re.sub(r"[^a-z0-9]", "", metadata["name"].lower()) == "tidesync"  # BlueOS: /extensionv2/tidesync/
    assert metadata["icon"].startswith("mdi-")
    assert SEMVER.fullmatch(metadata["version"])
    assert metadata["version"] == VERSION


def test_the_api_that_it_names_is_there():
    served = client()
    assert served.get(served.get("/register_service").json()["api"]).json()["info"]["version"] == VERSION


def test_the_page_has_a_title_and_only_relative_links_so_that_it_works_below_a_path():
    text = client().get("/").text
    assert "<title>Tidesync</title>" in text
    assert [
        link for link in re.findall(r'(?:href|src)="([^"]*)"', text) if link.startswith(("/", "http"))
    ] == []


@pytest.mark.parametrize(
    ("differing", "shown"),
    [
        ({}, "connected to mqtt://192.168.2.1:1883"),
        ({}, "by laptop, last 0 s ago"),
        ({"broker_connected": False, "broker_problem": "no route to host"}, "<dd>no route to host</dd>"),
        ({"broker_connected": False}, "connecting to mqtt://192.168.2.1:1883"),
        ({"last_ping_age_s": None, "last_ping_topside": None}, "no ping yet"),
        ({"simulated": True}, "rov1 (simulated clock)"),
        ({"broker_connected": False, "broker_problem": "<script>"}, "<dd>&lt;script&gt;</dd>"),
    ],
)
def test_the_page_says_how_the_agent_is_doing(differing, shown):
    assert shown in page(HEALTH.model_copy(update=differing))
