"""A boat whose vehicles' datagrams go through a proxy, and what is seen of the paths in use."""

from broker.connection import Connection
from runtime.clock import SystemClock
from tests.deadline import until
from tests.network.udp_proxy import UdpProxy
from topside_agent.metrics import topside_families


class Behind:
    """The vehicle's UDP service, as it is reached through a proxy."""

    def __init__(self, service, port):
        self.behind, self.port = service, port

    def __getattr__(self, name):
        return getattr(self.behind, name)


def behind_a_proxy(boat, name="rov1", **ways):
    """A vehicle whose datagrams go through a proxy: it says no other address and port."""
    agent = boat.vehicle(name, offset_ns=-150_000_000, drift_ppm=12.0)
    agent.direct._addresses = list  # the broker's, loopback, is where topside finds it
    return agent, move_behind(boat, agent, **ways)


def move_behind(boat, agent, **ways):
    """From now on the vehicle is reached through a new proxy."""
    service = agent.direct.service
    service = service.behind if isinstance(service, Behind) else service
    proxy = boat.start(UdpProxy(service.port, **ways))
    agent.direct.service = Behind(service, proxy.port)
    return proxy


def newest(checker):
    result = checker.last("rov1")
    return None if result is None else (result.path, result.state)


def until_path(checker, path):
    until(
        lambda: newest(checker) == (path, "locked"), what=lambda: f"locked over {path}, was {newest(checker)}"
    )


def path_shown(topside):
    """What topside's metrics say is in use."""
    samples = [sample for family in topside_families(topside.counts()) for sample in family.samples]
    return [one.labels["path"] for one in samples if one.name == "tidesync_path" and one.value == 1]


class Listener:
    """Subscribes to one kind of all vehicles' topics, and keeps what comes."""

    def __init__(self, settings, kind, rest="#"):
        self._filter = f"tidesync/v1/vehicle/+/{kind}/{rest}"
        self.heard = []
        self.connection = Connection(settings, self, SystemClock(), name="listener")

    def connected(self):
        self.connection.subscribe([(self._filter, 1)])

    def disconnected(self, reason):
        pass

    def received(self, message):
        self.heard.append(message)

    def tick(self, now):  # noqa: ARG002
        return 0.5
