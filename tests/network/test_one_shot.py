"""One-shot commands over links that are slow or end: it is so, it is not so, or it is not known."""

import pytest
from paho.mqtt.client import CallbackAPIVersion, Client

from tests.command_line import tidesync
from tests.network.slow_link import slow_link

FAR_S = 0.35
STATUS, INFO = "tidesync/v1/vehicle/rov1/status", "tidesync/v1/vehicle/rov1/info"


@pytest.fixture
def gone(mosquitto):
    """The URL of a broker that retains two messages of a vehicle that is gone."""
    client = Client(CallbackAPIVersion.VERSION2)
    port = int(mosquitto.url.rpartition(":")[2])
    client.connect("127.0.0.1", port)
    client.loop_start()
    for topic in (STATUS, INFO):
        client.publish(topic, b"offline", qos=1, retain=True).wait_for_publish(60)
    client.disconnect()
    client.loop_stop()
    return mosquitto.url


def statuses(url):
    return tidesync("status", "--broker", url).stdout


def test_a_far_broker_is_heard_to_its_end(gone):
    with slow_link(gone, FAR_S) as far:
        assert "rov1" in statuses(far)
        result = tidesync("forget", "rov1", "--broker", far)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"cleared {INFO}", f"cleared {STATUS}"]
    assert "no vehicle is known" in statuses(gone)


@pytest.mark.parametrize(
    ("nth", "answered"), [(1, False), (1, True), (2, False), (3, False), (3, True), (4, False), (4, True)]
)
def test_a_link_that_is_cut_is_never_taken_for_nothing_left(gone, nth, answered):
    """A reading subscribes twice: 1 and 2 are those before clearing, 3 and 4 those after it."""
    with slow_link(gone, 0.0, nth=nth, answered=answered) as broken:
        result = tidesync("forget", "rov1", "--broker", broken)
    if result.returncode == 0:
        assert (nth, answered) == (4, True)
        assert "no vehicle is known" in statuses(gone)
        return
    assert result.returncode == 1
    assert "cleared" not in result.stdout
    assert "nothing is retained" not in result.stdout
    assert "could not be found out" in result.stderr


@pytest.mark.parametrize("command", ["status", "session list", "session stop"])
def test_a_link_that_is_cut_does_not_read_as_an_empty_broker(gone, command):
    with slow_link(gone, 0.0, nth=1, answered=True) as broken:
        result = tidesync(*command.split(), "--broker", broken)
    assert result.returncode == 1
    assert result.stdout == ""
    assert "could not be found out" in result.stderr


@pytest.mark.parametrize("command", ["status", "forget rov1"])
def test_a_link_that_falls_silent_does_not_read_as_an_empty_broker(gone, command):
    with slow_link(gone, 0.2, nth=1, end="freeze") as silent:
        result = tidesync(*command.split(), "--broker", silent)
    assert result.returncode == 1
    assert result.stdout == ""
    assert "could not be found out" in result.stderr


def test_wait_over_a_silent_link_does_not_say_that_nobody_measures(gone):
    with slow_link(gone, 0.0, nth=1, end="freeze") as silent:
        result = tidesync("wait", "--vehicle", "rov1", "--timeout", "3", "--broker", silent)
    assert result.returncode == 1
    assert "did not answer the subscription" in result.stderr
