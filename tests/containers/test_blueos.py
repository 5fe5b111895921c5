"""The BlueOS extension as an image: its labels, what it answers, and what it reads below /data."""

import json
import shutil
import subprocess
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.deadline import BUSY, until
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
DOCKER = shutil.which("docker")
IMAGE = "tidesync-blueos:test"
ASKED = ("version", "permissions", "authors", "company", "readme", "links", "type", "tags", "requirements")

pytestmark = pytest.mark.containers


def docker(*arguments, check=True):
    return subprocess.run(
        [DOCKER, *arguments], check=check, capture_output=True, text=True, timeout=600, cwd=ROOT
    ).stdout.strip()


@pytest.fixture(scope="module")
def image():
    if DOCKER is None or subprocess.run([DOCKER, "info"], capture_output=True, check=False).returncode:
        pytest.skip("Docker is not running here")
    docker("build", "--target", "pi", "--tag", "tidesync-pi:test", ".")
    docker("build", "--build-arg", "PI_IMAGE=tidesync-pi:test", "--tag", IMAGE, "deploy/blueos")
    return IMAGE


def inspected(image):
    return json.loads(docker("image", "inspect", image))[0]["Config"]


def test_the_image_has_the_labels_and_its_json_labels_can_be_read(image):
    labels = inspected(image)["Labels"]
    assert set(ASKED) <= set(labels)
    for name in ("permissions", "authors", "company", "links", "tags"):
        json.loads(labels[name])


def test_no_secret_and_no_root_in_the_image(image):
    config = inspected(image)
    assert config["User"] not in {"", "0", "root"}
    assert not [entry for entry in config["Env"] if "PASSWORD" in entry]


@pytest.fixture
def extension(image, tmp_path):
    """Started as BlueOS does, from the permissions of its own label; another port, as a user would set it."""
    port = free_port()
    permissions = json.loads(inspected(image)["Labels"]["permissions"])
    host = permissions["HostConfig"]
    (tmp_path / "tidesync.toml").write_text('topic_root = "boat"\n')
    tmp_path.chmod(0o755)
    variables = dict(entry.split("=", 1) for entry in permissions["Env"]) | {"TIDESYNC_HTTP_PORT": str(port)}
    options = [f"--env={name}={value}" for name, value in variables.items()]
    options += [f"--cap-drop={name}" for name in host["CapDrop"]]
    options += [f"--security-opt={option}" for option in host["SecurityOpt"]]
    options += [f"--tmpfs={path}:{how}" for path, how in host["Tmpfs"].items()]
    options += ["--read-only", f"--network={host['NetworkMode']}", f"--volume={tmp_path}:/data"]
    name = docker("run", "--detach", *options, image)
    yield name, port
    docker("rm", "--force", name)


def answer(port, path):
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as reply:
        return reply.read().decode()
    return None


def test_blueos_finds_the_service_though_there_is_no_broker(extension):
    name, port = extension
    until(lambda: answer(port, "/"), 60, f"the page ({docker('logs', name)})")
    assert "<title>Tidesync</title>" in answer(port, "/")
    assert json.loads(answer(port, "/register_service"))["name"] == "Tidesync"
    assert json.loads(answer(port, "/health"))["vehicle"] == "rov1"


def test_it_stops_within_three_seconds(extension):
    name, port = extension
    until(lambda: answer(port, "/"), 60, "the page")
    docker("stop", "--time", str(round(BUSY * 3)), name)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", name) == "0"  # else it was killed
