"""The dashboard's page in the compose project: published on loopback, for who shows its token."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.containers.fleet import VEHICLES
from tests.deadline import until


@pytest.fixture
def page(fleet):
    return f"http://127.0.0.1:{fleet.page_port}"


def vehicles(page, token):
    asked = Request(f"{page}/api/vehicles", headers={"Authorization": f"Bearer {token}"})
    return json.load(urlopen(asked, timeout=60))


def test_the_page_tells_nobody_of_the_fleet_without_its_token(page):
    assert urlopen(f"{page}/", timeout=60).status == 200
    with pytest.raises(HTTPError, match="401"):
        vehicles(page, "guessed")


def test_the_page_shows_every_vehicle_to_who_has_its_token(fleet, page):
    token = fleet.secrets()["dashboard/token"]

    def shown():
        return {one["vehicle"] for one in vehicles(page, token)["vehicles"]}

    until(lambda: shown() >= set(VEHICLES), 20, "both vehicles")
