"""What our images hold, and what they must not."""

import json
import re

import pytest

OURS = ("pi", "topside", "recorder", "dashboard", "accounts")
FORBIDDEN = re.compile(
    r"(^|/)(\.git|\.cache|\.venv|node_modules)/"  # of a work tree, of pip
    r"|^build/|^src/|(^|/)requirements/"
    r"|(^|/)(gcc|g\+\+|cc|clang|ld|make|cargo|rustc|uv)(-\d+)?$"
    r"|(^|/)site-packages/(pip|setuptools|wheel|hatchling|pytest|ruff|mypy|testcontainers|docker|playwright)/"
    r"|(^|/)tests/(unit|network|simulation|containers|browser)/"
    r"|\.(whl|tar\.gz)$|(^|/)(\.netrc|\.pypirc|pip\.conf|Dockerfile|docker-compose\.yml|Makefile)$"
)
PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n")
SHOWN_SECRET = re.compile(r"(?i)://[^\s/:@\"]+:[^\s/@\"]+@|(password|secret|token|key)=[^\s\"]")


@pytest.mark.parametrize("role", OURS)
def test_an_image_holds_nothing_that_only_a_build_needs(images, role):
    paths = images[role].paths()
    assert any(path.endswith("site-packages/tidesync/__main__.py") for path in paths)
    assert [path for path in paths if FORBIDDEN.search(path)] == []


@pytest.mark.parametrize("role", ["pi", "dashboard", "accounts"])
def test_an_image_holds_only_what_its_lock_names(images, locked, role):
    found = {distribution(path) for path in images[role].paths() if path.endswith(".dist-info/METADATA")}
    assert "pydantic-core" in found
    assert found - locked(role) == {"tidesync-pi"} | ({"tidesync"} if role != "pi" else set())


def test_the_pis_image_holds_nothing_of_the_surface(images):
    packages = set(re.findall(r"site-packages/([^/]+)/", "\n".join(images["pi"].paths())))
    assert not packages & {"numpy", "rich", "pyarrow", "amqtt", "cryptography", "websockets"}


@pytest.mark.parametrize("role", OURS)
def test_an_image_runs_as_nobody_in_particular(images, role):
    user, _, group = images[role].attrs["Config"]["User"].partition(":")
    assert int(user) > 999
    assert int(group) > 999


@pytest.mark.parametrize("role", OURS)
def test_no_secret_is_in_an_images_layers_history_or_configuration(images, role):
    image = images[role]
    assert not SHOWN_SECRET.search(json.dumps([image.attrs, image.history]))
    assert [path for path, content in image.files() if PRIVATE_KEY.search(content)] == []


def test_the_pis_image_adds_little_to_its_base(images, record_property):
    for role in OURS:
        record_property(f"{role}_adds_bytes", images[role].adds)
        print(f"{images[role].name} adds {images[role].adds / 1e6:.1f} MB to its base")  # noqa: T201
    assert images["pi"].adds < 30e6


def distribution(path):
    name = path.split("/")[-2].removesuffix(".dist-info").rpartition("-")[0]
    return name.replace("_", "-").replace(".", "-").lower()
