"""Fixtures: the engine, our images, the compose project, and a checker in it."""

import os
import re
import subprocess
from pathlib import Path

import docker
import pytest

from tests.containers.fleet import Fleet
from tests.containers.images import read_images

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # the fixtures clean up themselves


def _why_absent():
    """Why no container can be run here, or None."""
    try:
        docker.from_env(timeout=60).ping()
    except docker.errors.DockerException as error:
        return f"no Docker engine answers here ({str(error)[:200]})"
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        return "docker compose is not installed"
    return None


def pytest_collection_modifyitems(items):
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    absent = _why_absent() if ours else None
    for item in ours:
        item.add_marker(pytest.mark.containers)
        item.add_marker(pytest.mark.timeout(480))
        if absent:
            item.add_marker(pytest.mark.skip(reason=absent))


@pytest.fixture(scope="package")
def images(fleet, tmp_path_factory):
    """Our images, as the compose project has built them, by target."""
    base = next(line for line in DOCKERFILE.read_text().splitlines() if line.startswith("ARG PYTHON_IMAGE="))
    names = [f"tidesync-{target}" for target in ("pi", "topside", "recorder", "dashboard", "accounts")]
    found = read_images(fleet.engine, names, base.partition("=")[2], tmp_path_factory.mktemp("images"))
    return {name.removeprefix("tidesync-"): image for name, image in found.items()}


@pytest.fixture(scope="package")
def locked():
    """The names of the distributions that a role's lock pins."""

    def names(role):
        lock = (DOCKERFILE.parent / "requirements" / f"{role}.lock").read_text()
        return set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))

    return names


@pytest.fixture(scope="package")
def fleet(tmp_path_factory):
    """The compose project as a fresh clone's `docker compose up --build` makes it."""
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def checker(fleet):
    """Someone who reads along; every vehicle is locked when the test begins."""
    with fleet.checker() as watching:
        watching.until_locked()
        yield watching
