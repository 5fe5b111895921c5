"""A vehicle's container by itself: as docs/containers.md starts it on a Pi, and without a broker."""

import re
import subprocess
import uuid

import pytest
from testcontainers.core.container import DockerContainer

from tests.containers.fleet import REPOSITORY
from tests.deadline import BUSY, until

DOCUMENT = REPOSITORY / "docs" / "containers.md"
STOP_S = 3


@pytest.fixture
def documented_command():
    return re.search(r"^```sh\n(docker run .*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)[1]


@pytest.fixture
def lone_pi(fleet):  # noqa: ARG001 - it builds the image
    """An agent whose broker is nowhere."""
    made = DockerContainer("tidesync-pi", read_only=True, network_mode="none").with_tmpfs_mount("/tmp")
    with made.with_command("pi --vehicle rov9 --broker mqtt://127.0.0.1:1 --no-http") as container:
        yield container.get_wrapped_container()


def test_the_documented_command_joins_a_real_vehicle_to_the_broker(
    fleet, checker, documented_command, tmp_path
):
    """It is run as it stands, but for the broker's address, the container's name, and a user of its own."""
    secret = tmp_path / "rov4.password"
    secret.write_text(fleet.add_account("vehicle", "rov4") + "\n")
    name = f"tidesync-test-{uuid.uuid4().hex[:8]}"
    command = documented_command
    for documented, here in (
        ("--name tidesync ", f"--name {name} "),
        ("192.168.2.1:1883", f"127.0.0.1:{fleet.port}"),
    ):
        assert documented in command
        command = command.replace(documented, here)
    try:
        subprocess.run(["bash", "-euc", command], cwd=tmp_path, check=True, capture_output=True, timeout=200)
        checker.until_locked(["rov4"])
        until(lambda: len(checker.results_of("rov4")) >= 5, 20, "five results of rov4")
        checker.assert_never_wrong()
        last = checker.results_of("rov4")[-1]
        assert abs(last.offset_ms) <= last.max_error_ms  # one machine, one clock
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=False, capture_output=True, timeout=60)


def test_an_agent_that_waits_for_its_broker_is_healthy_and_stops_at_once(lone_pi):
    def status():
        lone_pi.reload()
        return lone_pi.attrs["State"]["Health"]["Status"]

    until(lambda: status() == "healthy", 40, "healthy without a broker")
    lone_pi.stop(timeout=round(BUSY * STOP_S))
    lone_pi.reload()
    assert lone_pi.attrs["State"]["ExitCode"] == 0  # else it was killed
