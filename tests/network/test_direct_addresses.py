"""Direct exchanges with a vehicle of several addresses: which one is used, and what becomes of them."""

from contextlib import ExitStack

import pytest

from tests.deadline import until
from tests.network.boats import Boat
from tests.network.direct_boats import newest, until_path
from tests.network.machines import Machine, need_machines
from tests.network.running import mosquitto_in, running
from tests.ports import free_port

SURFACE, VEHICLE = "10.71.0.1", "10.71.0.2"
"""On the cable by which the vehicle reaches the broker."""
UDP = ("-p", "udp")


class Tethered:
    """A vehicle and a surface with broker and topside, joined by a cable; more can be plugged in."""

    def __init__(self, folder, stack):
        self.surface, self.vehicle = (stack.enter_context(Machine()) for _ in range(2))
        self.surface.plug("tether", self.vehicle, (f"{SURFACE}/24", f"{VEHICLE}/24"))
        port = free_port()
        access = f"allow_anonymous true\nlistener {port} {SURFACE}\n"
        stack.enter_context(self.surface.inside())
        stack.enter_context(running(mosquitto_in(folder, access)))
        self.boat = Boat(f"mqtt://{SURFACE}:{port}", stack)
        self.checker = self.boat.checker()

    def begin(self):
        with self.vehicle.inside():
            self.boat.vehicle("rov1", offset_ns=-150_000_000, drift_ppm=12.0)
        self.topside = self.boat.topside()

    def until_more_come(self):
        """Direct exchanges: more than may have been under way."""

        def come():
            return self.topside.counts().vehicles[0].paths["udp"]

        before = come()
        until(lambda: come() > before + 10, what="more direct exchanges")

    def until_at(self, host):
        """Measured directly, there."""

        def where():
            return self.topside.direct.alive.get("rov1", "").rpartition(":")[0].strip("[]")

        until(
            lambda: where() == host and newest(self.checker) == ("udp", "locked"),
            what=lambda: f"locked at {host}, was {newest(self.checker)} at {where()}",
        )


@pytest.fixture
def tethered(tmp_path):
    need_machines()
    with ExitStack() as stack:
        made = Tethered(tmp_path, stack)
        yield made
        assert made.checker.wrong == []


@pytest.mark.parametrize(
    ("here", "there"),
    [("10.72.0.1/24", "10.72.0.2/24"), ("fd72::1/64", "fd72::2/64"), ("fe80::1/64", "fe80::2/64")],
)
def test_the_address_that_answers_is_used_whichever_it_is(tethered, here, there):
    tethered.vehicle.firewall("-I", "-i", "tether", *UDP, "-j", "DROP")
    tethered.surface.plug("second", tethered.vehicle, (here, there))
    tethered.begin()
    host = there.partition("/")[0]
    tethered.until_at(f"{host}%second" if host.startswith("fe80") else host)


def test_an_address_that_appears_later_is_found_and_so_is_the_one_that_it_is_changed_to(tethered):
    tethered.vehicle.firewall("-I", "-i", "tether", *UDP, "-j", "DROP")
    tethered.begin()
    until_path(tethered.checker, "mqtt")
    tethered.surface.plug("second", tethered.vehicle, ("10.72.0.1/24", "10.72.0.2/24"))
    tethered.until_at("10.72.0.2")
    tethered.vehicle.remove("second", "10.72.0.2/24")
    tethered.vehicle.add("second", "10.72.0.3/24")
    tethered.until_at("10.72.0.3")
    tethered.surface.remove("second", "10.72.0.1/24")
    tethered.surface.add("second", "10.72.0.4/24")
    tethered.until_more_come()
    tethered.until_at("10.72.0.3")


def test_a_nat_that_gets_another_address_ends_nothing(tethered):
    tethered.vehicle.firewall("-I", "-i", "tether", *UDP, "-j", "DROP")
    with Machine() as router:
        tethered.surface.plug("inner", router, ("10.74.0.2/24", "10.74.0.1/24"))
        router.plug("outer", tethered.vehicle, ("10.75.0.1/24", "10.75.0.2/24"))
        tethered.surface.run("ip", "route", "add", "10.75.0.0/24", "via", "10.74.0.1")
        router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        router.run("iptables", "-w", "-t", "nat", "-A", "POSTROUTING", "-o", "outer", "-j", "MASQUERADE")
        tethered.begin()
        tethered.until_at("10.75.0.2")
        router.remove("outer", "10.75.0.1/24")
        router.add("outer", "10.75.0.3/24")
        tethered.until_more_come()
        tethered.until_at("10.75.0.2")


def test_a_vehicle_that_gets_another_address_and_loses_its_broker_by_that_is_found_there(tethered):
    tethered.begin()
    tethered.until_at(VEHICLE)
    tethered.vehicle.remove("tether", f"{VEHICLE}/24")
    tethered.vehicle.add("tether", "10.71.0.3/24")
    tethered.until_at("10.71.0.3")


def test_a_firewall_that_drops_requests_or_answers_or_refuses_them_leaves_mqtt_until_it_opens_again(
    tethered,
):
    tethered.begin()
    for machine, verdict in (
        (tethered.vehicle, "DROP"),
        (tethered.surface, "DROP"),
        (tethered.vehicle, "REJECT"),
    ):
        tethered.until_at(VEHICLE)
        machine.firewall("-I", *UDP, "-j", verdict)
        until_path(tethered.checker, "mqtt")
        machine.firewall("-D", *UDP, "-j", verdict)
    tethered.until_at(VEHICLE)
