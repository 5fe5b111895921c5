"""`tidesync status`: what every vehicle and session is at, from what the broker has retained."""

import json

from schemas.messages import StartCommand
from tests.command_line import tidesync
from tests.deadline import until
from tests.ports import free_port

S = 1_000_000_000


def status(url, *arguments):
    return tidesync("status", "--broker", url, *arguments)


def test_vehicles_and_sessions_are_shown_with_their_alarms(mosquitto_boat, tmp_path):
    boat = mosquitto_boat
    checker = boat.checker()
    boat.topside()
    boat.vehicle("rov1", offset_ns=-3 * S)
    boat.recorder(tmp_path)
    checker.until_state("rov1", "locked")
    command = StartCommand(request_id="r", mission="reef-42", sensors={"inWater": "rov77"})

    def alarmed():
        checker.command("dive-1", command)
        return checker.wait_for_session(lambda state: state.alarm is not None, 1.0)

    until(alarmed, 20, "the alarm of a vehicle that is not there")

    def locked():
        document = json.loads(status(boat.url, "--json").stdout)
        return [each["state"] for each in document["vehicles"]] == ["locked"] and document

    document = until(locked, what="locked in the document")
    (vehicle,) = document["vehicles"]
    assert vehicle["vehicle"] == "rov1"
    assert abs(vehicle["offset_ms"] + 3000) <= vehicle["max_error_ms"] + 1
    (session,) = document["sessions"]
    assert "rov77" in session["alarm"]

    def fresh():
        shown = status(boat.url).stdout
        return "locked" in shown and "old:" not in shown and shown

    shown = until(fresh, what="a row that is not old")
    assert "rov1" in shown
    assert "nothing recorded of rov77" in shown


def test_a_result_that_nobody_renews_is_called_old(mosquitto_boat):
    checker = mosquitto_boat.checker()
    topside = mosquitto_boat.topside()
    mosquitto_boat.vehicle("rov1", offset_ns=-3 * S)
    checker.until_state("rov1", "locked")
    topside.stop()
    until(lambda: "old:" in status(mosquitto_boat.url).stdout, 15, "the age said")


def test_nothing_known_is_said_and_no_broker_is_exit_one(mosquitto):
    nothing = status(mosquitto.url)
    assert nothing.returncode == 0
    assert "no vehicle is known" in nothing.stdout
    away = status(f"mqtt://127.0.0.1:{free_port('127.0.0.1')}")
    assert away.returncode == 1
    assert away.stderr.count("\n") == 1
