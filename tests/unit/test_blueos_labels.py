"""The labels of the BlueOS extension have the shapes that BlueOS documents and reads."""

import json
import re
from pathlib import Path

import pytest

from pi_agent.settings import PiSettings
from runtime.version import VERSION

FILE = Path(__file__).parents[2] / "deploy" / "blueos" / "Dockerfile"

# BlueOS-Extensions-Repository: README.md and blueos_repository/extension/models.py (ExtensionVersion);
# BlueOS: core/services/kraken/extension/extension.py reads each JSON label with json.loads.
TYPES = {"device-integration", "example", "theme", "other", "tool", "education"}
# Docker's Engine API 1.41, ContainerCreate: what goes where.
CONTAINER_KEYS = {"ExposedPorts", "HostConfig", "Env"}
HOST_KEYS = {"NetworkMode", "Binds", "ReadonlyRootfs", "Tmpfs", "CapDrop", "SecurityOpt", "Memory"}
BLUEOS_OWN_PORTS = {81, 2748, 6020, 6030, 6040, 7777, 8000, 8081, 8088, 9000, 9002, 9090, 9100, 9101, 9110}
BLUEOS_OWN_PORTS |= {9111, 9120, 9134, 9150, 9152, 27353}  # core/services/helper/main.py


def labels_of(dockerfile):
    """The labels as Docker would set them: continued lines joined, arguments put in, quotes taken off."""
    text = re.sub(r"\\\n", "", dockerfile)
    arguments = dict(re.findall(r"^ARG (\w+)=(.*)$", text, flags=re.MULTILINE))
    found = {}
    for key, single, double in re.findall(r"^LABEL (\w+)=(?:'(.*)'|\"(.*)\")$", text, flags=re.MULTILINE):
        filled = re.sub(r"\$\{(\w+)\}", lambda name: arguments[name[1]], double.replace('\\"', '"'))
        found[key] = single or filled
    return found


@pytest.fixture(scope="module")
def labels():
    return labels_of(FILE.read_text())


def test_every_label_that_blueos_asks_for_is_there(labels):
    assert set(labels) == {
        *("version", "permissions", "authors", "company", "readme", "links", "type", "tags", "requirements")
    }


def test_the_version_is_semantic_and_the_programs_own(labels):
    assert re.fullmatch(r"\d+\.\d+\.\d+", labels["version"])
    assert labels["version"] == VERSION


def test_authors_company_and_links_are_what_the_store_reads(labels):
    authors = json.loads(labels["authors"])
    assert all(set(author) == {"name", "email"} for author in authors)
    company = json.loads(labels["company"])
    assert company["name"]
    assert set(company) <= {"name", "about", "email"}
    links = json.loads(labels["links"])
    assert all(isinstance(url, str) and url.startswith("https://") for url in links.values())
    assert "website" in links
    assert labels["readme"].startswith("https://")


def test_type_and_tags_are_allowed_ones(labels):
    tags = json.loads(labels["tags"])
    assert labels["type"] in TYPES
    assert len(tags) <= 10
    assert all(re.fullmatch(r"[a-z0-9-]+", tag) for tag in tags)


def test_the_permissions_are_a_container_as_dockers_api_wants_it(labels):
    permissions = json.loads(labels["permissions"])
    assert set(permissions) <= CONTAINER_KEYS
    host = permissions["HostConfig"]
    assert set(host) <= HOST_KEYS
    assert host["NetworkMode"] == "host"
    assert host["Binds"] == ["/usr/blueos/extensions/tidesync:/data"]
    assert "Privileged" not in host


def test_the_settings_it_starts_with_are_ours_and_leave_blueos_its_ports(labels):
    permissions = json.loads(labels["permissions"])
    pairs = dict(entry.split("=", 1) for entry in permissions["Env"])
    settings = PiSettings.model_validate(
        {name.removeprefix("TIDESYNC_").lower(): value for name, value in pairs.items()}
    )
    assert f"{settings.http_port}/tcp" in permissions["ExposedPorts"]
    assert settings.http_port not in BLUEOS_OWN_PORTS
    assert "password" not in labels["permissions"].lower()
