"""Passwords stay in the volume of their role: not in an image, not in what Docker or Tidesync tell."""

import json

import pytest

from tests.containers.fleet import AGENTS, ROLES
from tests.deadline import until


@pytest.fixture(scope="module")
def secrets(fleet):
    found = fleet.secrets()
    assert set(found) == {f"{role}/password" for role in ROLES} | {"dashboard/token"}
    assert len(set(found.values())) == len(found)
    assert min(map(len, found.values())) >= 16
    return found


def assert_none_in(text, secrets):
    assert [name for name, secret in secrets.items() if secret in text] == []


def test_no_password_is_in_docker_inspect(fleet, secrets):
    for container in fleet.containers():
        assert_none_in(json.dumps(container.attrs), secrets)


def test_no_password_is_in_any_log(fleet, secrets):
    until(lambda: "connected to broker" in fleet.logs(), what="an agent's connection")
    assert_none_in(fleet.logs(), secrets)


@pytest.mark.parametrize("command", [("status",), ("session", "list")])
def test_no_password_is_in_json(fleet, secrets, command):
    assert_none_in(fleet.operator(*command, "--json").stdout, secrets)


def test_no_password_is_in_the_list_of_accounts(fleet, secrets):
    listed = json.loads(fleet.accounts("list", "--json").stdout)
    assert {account["name"] for account in listed["accounts"]} >= set(ROLES)
    assert_none_in(json.dumps(listed), secrets)


def test_no_password_is_in_an_image(images, secrets):
    for image in images.values():
        for _, content in image.files():
            assert [name for name, secret in secrets.items() if secret.encode() in content] == []


def test_no_password_is_readable_in_the_brokers_configuration(fleet, secrets):
    files = fleet.files("broker", "/mosquitto/config")
    assert {"mosquitto.conf", "passwords", "acl"} <= set(files)
    for content in files.values():
        assert_none_in(content.decode(), secrets)


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_sees_its_own_secrets_and_no_other(fleet, secrets, agent):
    held = {content.decode().strip() for content in fleet.files(agent, "/run/secrets").values()}
    assert held == {secret for name, secret in secrets.items() if name.startswith(f"{agent}/")}
    assert fleet.files(agent, "/mosquitto") == {}


def test_a_second_up_leaves_accounts_and_passwords_as_they_are(fleet, secrets):
    before = fleet.files("broker", "/mosquitto/config")
    fleet.start_containers()
    assert fleet.secrets() == secrets
    assert fleet.files("broker", "/mosquitto/config")["passwords"] == before["passwords"]
