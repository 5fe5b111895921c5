"""Two topsides of one name on one broker, as two laptops are: every surface says so, until one is left."""

import subprocess
import sys

import pytest

from tests.command_line import tidesync
from tests.deadline import stays, until


@pytest.fixture
def laptop(mosquitto_boat):
    """Starts a topside as a process of its own; all are ended afterwards."""
    running = []

    def start():
        command = [sys.executable, "-m", "tidesync", "topside", "--broker", mosquitto_boat.url]
        running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def errors(checker, last=4):
    """Of the newest results, by process."""
    found = {}
    for result in checker.heard:
        found.setdefault(result.instance_id, []).append((result.state, result.error))
    return {name: set(each[-last:]) for name, each in found.items()}


def says_it(ended):
    return ended.returncode == 1 and "two topsides are named topside" in ended.stderr


def found_by_doctor(url):
    doctor = tidesync("doctor", "--broker", url)
    text = " ".join(doctor.stdout.split())
    return doctor.returncode == 1 and "FAIL topsides two topsides are named topside" in text


def test_two_laptops_of_one_name_are_noticed_everywhere_and_one_that_is_left_is_trusted_again(
    mosquitto_boat, laptop
):
    checker, url = mosquitto_boat.checker(), mosquitto_boat.url
    mosquitto_boat.vehicle("rov1", offset_ns=5_000_000_000)
    laptop()
    checker.until_state("rov1", "locked")
    second = laptop()
    doubted = {("acquiring", "duplicate_topside")}
    until(lambda: list(errors(checker).values()) == [doubted, doubted], 15, "both report it")

    until(lambda: says_it(tidesync("status", "--broker", url)), what="status says so")
    wait = ("wait", "--vehicle", "rov1", "--timeout", "5", "--broker", url)
    until(lambda: says_it(tidesync(*wait)), what="wait says so")
    until(lambda: found_by_doctor(url), what="doctor says so")

    second.kill()
    until(lambda: checker.last("rov1").state == "locked", 12, "the one that is left")
    assert tidesync("wait", "--vehicle", "rov1", "--timeout", "60", "--broker", url).returncode == 0

    def trusted():
        retained = tidesync("status", "--broker", url)
        return retained.returncode == 0 and "topside online" in retained.stdout

    until(trusted, what="status without a doubt, and its topside online")


def test_a_laptop_that_is_killed_and_started_again_is_not_its_own_namesake(mosquitto_boat, laptop):
    checker = mosquitto_boat.checker()
    mosquitto_boat.vehicle("rov1", offset_ns=5_000_000_000)
    first = laptop()
    checker.until_state("rov1", "locked")
    first.kill()
    heard = len(checker.heard)
    laptop()
    until(lambda: len(checker.heard) > heard + 3, 15, "results of the second")
    stays(lambda: checker.last("rov1").error != "duplicate_topside", 2, "no duplicate")
    assert len({result.instance_id for result in checker.heard}) == 2


def test_two_laptops_that_measure_nothing_are_found_by_doctor_and_by_each_other(mosquitto_boat, laptop):
    url = mosquitto_boat.url
    laptop()
    until(lambda: "online: topside" in tidesync("doctor", "--broker", url).stdout, 20, "the first")
    laptop()
    until(lambda: found_by_doctor(url), what="both")


def test_in_a_group_the_later_one_of_a_name_stops_with_a_sentence_and_the_first_goes_on(mosquitto_boat):
    boat = mosquitto_boat
    checker = boat.checker()
    boat.vehicle("rov1", offset_ns=5_000_000_000)
    first = boat.topside(topside="mid", group="fleet")
    checker.until_state("rov1", "locked")
    later = tidesync("topside", "--topside", "mid", "--group", "fleet", "--broker", boat.url)
    assert later.returncode == 2
    assert "topside 'mid' is running already" in later.stderr
    assert "Traceback" not in later.stderr
    own = first.group._member.instance_id
    assert {result.instance_id for result in checker.heard} == {own}
    errors_heard = {result.error for result in checker.heard}
    assert errors_heard <= {None, "timeout"}, "of this computer's own pauses, at most"
    wrong = tidesync("topside", "--group", "fleet", "--vehicle", "rov1", "--broker", boat.url)
    assert (wrong.returncode, "share all vehicles" in wrong.stderr) == (2, True)
