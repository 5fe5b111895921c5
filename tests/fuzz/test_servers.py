"""HTTP, in the process: whatever is asked, the answer is no fault of ours (below 500)."""

import json
from contextlib import suppress

import httpx
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from pi_agent.http_service import make_app
from runtime.clock import SystemClock
from tests.fuzz.altered import TEXTS, VALUES, budget
from tests.unit.dashboards import incoming, result
from tests.unit.test_dashboard_api import Bench
from tests.unit.test_pi_http import Source

PATHS = st.one_of(
    st.sampled_from(
        [
            *("/", "/health", "/metrics", "/register_service", "/api/sync/time", "/api/vehicles"),
            *("/api/sessions", "/api/vehicles/rov1/history", "/openapi.json", "/%00", "/page/../settings.py"),
        ]
    ),
    TEXTS.map(lambda text: "/" + text.replace("?", "").replace("#", "")),
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
HEADERS = st.dictionaries(
    st.sampled_from(["accept", "origin", "content-type", "range", "if-none-match", "last-event-id"]), WORDS
)
BODIES = st.one_of(st.binary(max_size=200), VALUES.map(lambda value: json.dumps(value).encode()))


def ask(client, method, path, headers, body):
    with suppress(ValueError, httpx.InvalidURL):  # the client's own: it refuses to send such a URL
        assert client.request(method, path, headers=headers, content=body).status_code < 500


@budget(40)
@given(METHODS, PATHS, HEADERS, BODIES)
def test_the_vehicles_server_answers(method, path, headers, body):
    ask(TestClient(make_app(SystemClock(), Source())), method, path, headers, body)


@budget(40)
@given(METHODS, PATHS, HEADERS, BODIES)
def test_the_dashboard_answers(method, path, headers, body):
    bench = Bench()
    bench.hear(incoming(result("rov1")))
    ask(bench.client, method, path, headers, body)
