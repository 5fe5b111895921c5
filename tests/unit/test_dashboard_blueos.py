"""The dashboard as BlueOS and Cockpit find it: the shapes that they read, open to them without a token."""

import base64
import json
from typing import Annotated, Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from runtime.clock import SystemClock
from runtime.version import VERSION
from tidesync.dashboard.access import RequestInfo
from tidesync.dashboard.app import make_app
from tidesync.dashboard.assets import FOLDER
from tidesync.dashboard.settings import DashboardSettings
from tidesync.dashboard.subscriber import Subscriber

TOKEN = "a token long enough"


class Widget(BaseModel):
    """`ExternalWidgetSetupInfoSchema` of Cockpit, src/libs/blueos/schemas.ts at aa40c07."""

    model_config = ConfigDict(strict=True, alias_generator=to_camel)

    name: str
    iframe_url: str
    icon_url: Annotated[str, Field(default=None)]
    iframe_icon: Annotated[str, Field(default=None)]
    collapsible_container_name: Annotated[str, Field(default=None)]
    version: Annotated[str, Field(default=None)]
    start_collapsed: Annotated[bool, Field(default=None)]
    use_extension_path_as_base_url: Annotated[bool, Field(default=None)]

    @model_validator(mode="after")
    def _has_an_icon(self):
        assert self.icon_url is not None or self.iframe_icon is not None
        return self


class Extras(BaseModel):
    """`ExtrasJsonSchema` of the same file."""

    model_config = ConfigDict(strict=True, alias_generator=to_camel)

    target_cockpit_api_version: str
    target_system: str
    widgets: list[Widget] = []
    actions: list[Any] = []
    joystick_suggestions: list[Any] = []


def as_it_is(document):
    """As Cockpit reads it since 1.18."""
    return document


def in_camel_case(document):
    """As Cockpit reads it before: of keys that become one the last remains."""
    if isinstance(document, list):
        return [in_camel_case(each) for each in document]
    if isinstance(document, dict):
        return {camel(key): in_camel_case(value) for key, value in document.items()}
    return document


def camel(key):
    head, *tail = key.split("_")
    return head + "".join(part.capitalize() for part in tail)


class Metadata(BaseModel):
    """`ServiceMetadata` of BlueOS, core/services/helper/main.py at 8e16119."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    description: str
    icon: str
    company: str
    version: str
    webpage: str
    api: str
    route: str | None = None
    new_page: bool | None = None
    extra_query: str | None = None
    avoid_iframes: bool | None = None
    sanitized_name: str | None = None
    works_in_relative_paths: bool | None = None
    extras: dict[str, str] | None = None


def client(token=None, **settings):
    made = DashboardSettings(allowed_host=("192.168.2.2",), **settings)
    return TestClient(
        make_app(Subscriber(made, SystemClock()), made, token), base_url="http://192.168.2.2:8780"
    )


def metadata(served):
    return Metadata.model_validate_json(served.get("/register_service").content)


def test_blueos_learns_who_it_is_and_where_cockpit_finds_its_widget():
    found = metadata(client(TOKEN))
    assert found.version == VERSION
    assert found.works_in_relative_paths
    assert found.extras == {"cockpit": "/cockpit_extras.json"}


@pytest.mark.parametrize("reading", [as_it_is, in_camel_case])
def test_cockpit_is_offered_the_page_below_blueos_own_path(reading):
    served = client(TOKEN)
    answer = served.get(metadata(served).extras["cockpit"])
    extras = Extras.model_validate_json(json.dumps(reading(answer.json())))
    (widget,) = extras.widgets
    assert widget.iframe_url == "/extensionv2/tidesyncdashboard/"  # BlueOS: the name's letters and digits
    assert extras.actions == []
    kind, _, data = widget.iframe_icon.partition(";base64,")
    assert kind == "data:image/svg+xml"
    assert base64.b64decode(data) == (FOLDER / "icon.svg").read_bytes()


def test_a_cockpit_that_prepends_the_services_address_finds_page_and_icon():
    served = client(TOKEN)
    (widget,) = served.get("/cockpit_extras.json").json()["widgets"]
    assert served.get(widget["iframe_url"]).text.startswith("<!doctype html>")
    assert served.get(widget["iframe_icon"]).headers["content-type"] == "image/svg+xml"
    assert (widget["collapsible_container_name"], widget["start_collapsed"]) == ("Tidesync", False)


def test_a_cockpit_of_any_origin_may_read_the_offer_and_nothing_else():
    served = client()
    origin = {"origin": "file://"}
    headers = served.get("/cockpit_extras.json", headers=origin).headers
    assert headers["access-control-allow-origin"] == "*"
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    others = ("/api/vehicles", "/register_service", "/")
    assert not any("access-control-allow-origin" in served.get(p, headers=origin).headers for p in others)


def test_cockpit_on_the_desktop_and_on_a_vehicle_may_frame_the_page_without_a_setting():
    policy = client().get("/").headers["content-security-policy"]
    ancestors = policy.rpartition("frame-ancestors ")[2].split()
    assert ancestors == ["'self'", "file:", "http://*.local:*", "http://192.168.2.2:*"]
    assert "x-frame-options" not in client().get("/").headers


def test_framing_can_be_kept_to_its_own_origin():
    policy = client(frame_ancestor=("self",)).get("/").headers["content-security-policy"]
    assert policy.endswith("frame-ancestors 'self'")


def test_the_address_of_the_socket_carries_what_opens_it():
    assert client().get("/api/cockpit").json() == {"websocket": "cockpit"}
    locked = client(TOKEN)
    assert locked.get("/api/cockpit").status_code == 401
    found = locked.get("/api/cockpit", headers={"authorization": f"Bearer {TOKEN}"}).json()["websocket"]
    assert TOKEN not in found
    token = found.removeprefix("cockpit?token=")
    request = RequestInfo("WEBSOCKET", "/cockpit", {"host": "192.168.2.2:8780"}, token)
    assert locked.app.state.served.policy.refuse(request) is None
