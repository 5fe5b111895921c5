"""Each container may do what its work needs, and no more."""

import pytest

from tests.containers.fleet import AGENTS
from tests.deadline import until

RUNNING = (*AGENTS, "broker")


@pytest.mark.parametrize("service", RUNNING)
def test_a_container_has_no_rights_to_spare(fleet, service):
    container = fleet.container(service)
    host = container.attrs["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] is None
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert host["LogConfig"]["Config"]["max-size"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"


@pytest.mark.parametrize("service", RUNNING)
def test_a_container_does_not_run_as_root(fleet, service):
    user = fleet.container(service).attrs["Config"]["User"]
    assert int(user.partition(":")[0]) > 999


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_can_write_its_heartbeat_and_nothing_that_lasts(fleet, agent):
    run = fleet.container(agent).exec_run
    check = ["python", "-m", "runtime.heartbeat", "/tmp/heartbeat"]
    until(lambda: run(check).exit_code == 0, 20, "the first heartbeat")
    for path in ("/here", "/opt/tidesync/here", "/run/secrets/tidesync/here"):
        assert run(["python", "-c", f"open({path!r}, 'w')"]).exit_code == 1
