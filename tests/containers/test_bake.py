"""The file that builds every image for every processor, as buildx reads it."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def targets():
    command = ["docker", "buildx", "bake", "--file", "deploy/docker-bake.hcl", "--print"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["target"]


def test_every_role_of_the_dockerfile_is_built(targets):
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    roles = {"pi", "topside", "recorder", "dashboard", "accounts"}
    assert roles <= stages
    assert set(targets) == roles | {"blueos"}
    for name, target in targets.items():
        assert {"linux/amd64", "linux/arm64"} <= set(target["platforms"])
        assert len(target["tags"]) == 1
        assert re.search(rf"^tidesync-{name}:\d+\.\d+\.\d+$", target["tags"][0])


def test_a_vehicles_images_are_built_for_32_bits_too(targets):
    assert {name for name, target in targets.items() if "linux/arm/v7" in target["platforms"]} == {
        *("pi", "dashboard", "blueos")
    }
    assert targets["blueos"]["contexts"] == {"tidesync-pi": "target:pi"}
