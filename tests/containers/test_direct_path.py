"""A far broker, and vehicles that topside reaches directly: each on a network of its own, topside on both."""

from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from docker.errors import APIError

from tests.containers.agent_attacks import script
from tests.containers.fleet import VEHICLES
from tests.deadline import until
from tests.network import slow_link

LINK_S = 0.04
"""To the broker, each way: from topside to a vehicle, over the broker, it is twice as long."""
FAR_MS = 2 * LINK_S * 1000
NEAR_MS = 0.3
LINK = """
SlowLink(1883, {}, host="broker", listen=("0.0.0.0", 1883))
threading.Event().wait()
"""
PART = {
    "read_only": True,
    "tmpfs": {"/tmp": "size=1m,mode=1777"},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "healthcheck": {"test": ["NONE"]},
}


@contextmanager
def network(fleet, name):
    """One more of the project."""
    labels = {"com.docker.compose.project": fleet.project}
    made = fleet.engine.networks.create(f"{fleet.project}_{name}", labels=labels)
    try:
        yield made
    finally:
        with suppress(APIError):  # an engine may hold endpoints of containers that are gone
            made.remove()


@contextmanager
def moved(fleet, service, networks):
    """The same service of the project, with `far` as its broker and on these networks alone."""
    settings = fleet.container(service).attrs["Config"]
    container = fleet.engine.containers.create(
        settings["Image"],
        settings["Cmd"],
        hostname=service,
        labels={"com.docker.compose.project": fleet.project},
        environment={
            "TIDESYNC_BROKER": "mqtt://far:1883",
            "TIDESYNC_PASSWORD_FILE": "/run/secrets/tidesync/password",
            "TIDESYNC_USERNAME": service,
        },
        volumes={f"{fleet.project}_{service}-secret": {"bind": "/run/secrets/tidesync", "mode": "ro"}},
        network=networks[0].name,
        **PART,
    )
    try:
        for each in networks[1:]:
            each.connect(container)
        container.start()
        yield container
    finally:
        container.remove(force=True)


@pytest.fixture
def apart(fleet, checker):
    """The fleet's vehicles and topside on such networks; gives how many results came before, and topside."""
    services = (*VEHICLES, "topside")
    try:
        for service in services:
            fleet.container(service).stop(timeout=3)
        heard = len(checker.heard)
        with ExitStack() as stack:
            near = {vehicle: stack.enter_context(network(fleet, f"near-{vehicle}")) for vehicle in VEHICLES}
            source = Path(slow_link.__file__).read_text(encoding="utf-8") + LINK.format(LINK_S)
            link = stack.enter_context(script(fleet, source))
            for each in near.values():
                each.connect(link, aliases=["far"])
            for vehicle in VEHICLES:
                stack.enter_context(moved(fleet, vehicle, [near[vehicle]]))
            topside = stack.enter_context(moved(fleet, "topside", list(near.values())))
            yield heard, topside
    finally:
        for service in services:
            fleet.container(service).start()


def known(checker, vehicle, after):
    return [one for one in checker.results_of(vehicle, after) if one.max_error_ms is not None]


def is_near(results):
    """Whether the last one is direct, and as certain as that."""
    last = results[-1] if results else None
    return last and (last.path, last.state) == ("udp", "locked") and last.max_error_ms < NEAR_MS


def test_with_a_far_broker_the_bound_is_that_of_the_way_to_the_vehicle(checker, apart):
    after, topside = apart

    def near():
        return all(is_near(known(checker, vehicle, after)) for vehicle in VEHICLES)

    def what():
        last = [known(checker, vehicle, after)[-1:] for vehicle in VEHICLES]
        return f"direct ones, were {last}; topside: {topside.logs(tail=5).decode()}"

    until(near, 30, what)
    for vehicle in VEHICLES:
        first = known(checker, vehicle, after)[0]
        assert first.path == "mqtt"
        assert first.max_error_ms > FAR_MS
    checker.assert_never_wrong()
