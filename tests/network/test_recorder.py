"""The recorder with a real broker: whatever is killed in the middle, nothing is missing or there twice."""

import json
import time

import pytest

from schemas.clock_history import ClockResendCommand
from schemas.messages import BurstCommand, ResendCommand
from tests.command_line import tidesync
from tests.deadline import BUSY, until
from tests.network.recording import ConnectedClock, Place, assert_complete, start, stop
from tidesync.sessions.folder import SessionFolder


def test_a_session_from_start_to_stop(place, topside):
    place.record("--stop-wait-s", "30")  # for the last exchanges, which come within a tenth of a second
    code, out, err = start(place, "--sensor", "inWater=rov1", "--json")
    assert (code, err) == (0, "")
    state = json.loads(out)
    assert (state["state"], state["path"]) == ("recording", "reef-42/session_s1")
    entry = until(lambda: measured_entry(place), what="the first result in the metadata")
    assert (entry["offsetMs"], entry["uncertaintyMs"]) == (-150.25, 0.25)
    until(lambda: any(isinstance(command, BurstCommand) for command in topside.commands), 5, "a burst")

    topside.step()
    until(lambda: len(place.recorded()) >= 50, 10, "exchanges")
    assert start(place, "--sensor", "inWater=rov1")[0] == 0  # it is recorded already
    finished = len(topside.finished)
    code, out, err = stop(place)
    assert code == 0
    assert err in {"", "its last exchanges and its track are still being written\n"}
    assert out.startswith("stopped session s1 (inWater=rov1): ")

    assert_complete(place, topside)
    assert max(one.seq for one in place.recorded()) >= finished - 1
    document = place.metadata()
    block = document["timeSync"]["tidesync"]
    assert (block["state"], block["vehicles"]["rov1"]["topside"]) == ("stopped", "fake")
    assert block["vehicles"]["rov1"]["exchanges"] == len(place.recorded())
    assert [event["kind"] for event in place.events()] == ["step"]
    recording = place.folder() / "time_sync" / "recording.json"
    until(lambda: not recording.exists(), 5, "the end of the recording noted")


def measured_entry(place):
    entry = place.metadata()["timeSync"]["inWater"]
    return entry["method"] == "mqtt_exchange_v1" and entry


@pytest.mark.usefixtures("plain_client")
def test_a_session_is_recorded_whole_with_the_plain_client(place, topside):
    place.record()
    assert start(place)[0] == 0
    until(lambda: len(place.recorded()) >= 50, 10, "exchanges")
    assert stop(place)[0] == 0
    assert_complete(place, topside)


def test_a_recorder_killed_in_the_middle_resumes_with_nothing_missing_and_nothing_twice(place, topside):
    place.record()
    assert start(place)[0] == 0
    for _ in range(3):
        count = len(place.recorded())
        until(lambda count=count: len(place.recorded()) > count + 20, 15, "exchanges")
        place.kill()
        before = len(topside.finished)
        until(lambda before=before: len(topside.finished) > before + 10, 10, "exchanges meanwhile")
        with (place.folder() / "time_sync" / "exchanges.jsonl").open("ab") as journal:
            journal.write(b'{"vehicle":"rov1","topsi')
        place.record()
    count = len(place.recorded())
    until(lambda: len(place.recorded()) > count, 15, "exchanges")
    assert stop(place)[0] == 0
    assert_complete(place, topside)
    assert (place.folder() / "time_sync" / "exchanges.jsonl.torn").read_bytes().count(b"\n") == 3
    assert "Traceback" not in place.log()


def test_a_recorder_killed_while_the_vehicle_is_off_the_air_gets_the_clocks_of_that_time(place, topside):
    clocks = [
        ConnectedClock(place.broker.url, *owner) for owner in (("vehicle", "rov1"), ("topside", "fake"))
    ]
    try:
        reached_ns = _record_across_an_outage(place, clocks)
    finally:
        for clock in clocks:
            clock.leave()
    assert_complete(place, topside)
    assert {exchange.topside_boot_id for exchange in place.recorded()} == {"topside-boot"}
    folder = SessionFolder(place.folder())
    assert (place.folder() / "time_sync" / "clock.jsonl.torn").exists()
    exchanges = place.recorded()
    for clock in clocks:
        pieces = folder.clock_history(clock.machine, clock.name)["i1"].pieces
        assert _whole(pieces)
        first, last = pieces[0][0], pieces[-1][0]
        assert [one for _, one in pieces[:-1]] == clock.pieces[first:last]
        assert any(isinstance(command, ClockResendCommand) for command in clock.commands)
        assert pieces[0][1].from_realtime_ns <= exchanges[0].destination_ns
        assert pieces[-1][1].to_realtime_ns >= reached_ns
    blocks = place.metadata()["timeSync"]["tidesync"]["clocks"]
    assert [(block["machine"], block["name"], block["missing"]) for block in blocks] == [
        ("topside", "fake", 0),
        ("vehicle", "rov1", 0),
    ]
    assert "Traceback" not in place.log()


def _record_across_an_outage(place, clocks):
    """Gives an instant after the outage up to which both histories are recorded."""
    vehicle = clocks[0]
    place.record()
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    journal = place.folder() / "time_sync" / "clock.jsonl"
    until(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 10, 15, "pieces of both clocks")
    vehicle.leave()
    count = len(place.recorded())
    until(lambda: len(place.recorded()) > count + 10, 15, "exchanges")
    place.kill()
    with journal.open("ab") as torn:
        torn.write(b'{"from_raw_ns": 12')
    before = vehicle.number
    until(lambda: vehicle.grow() or vehicle.number > before + 15, 15, "pieces that nobody hears")
    place.record()
    vehicle.come()
    heard = vehicle.number + 3
    until(lambda: f'"number":{heard}'.encode() in journal.read_bytes(), 20, "pieces after the outage")
    history = SessionFolder(place.folder()).clock_history
    until(lambda: _whole(history("vehicle", "rov1")["i1"].pieces), 20, "those of the outage")
    reached_ns = place.recorded()[-1].destination_ns
    for clock in clocks:
        until(
            lambda clock=clock: _end_ns(history(clock.machine, clock.name)["i1"].pieces) >= reached_ns,
            what=f"the history of {clock.name} up to an exchange after the outage",
        )
    assert stop(place)[0] == 0
    return reached_ns


def _end_ns(pieces):
    return pieces[-1][1].to_realtime_ns


def _whole(pieces):
    return [number for number, _ in pieces] == list(range(pieces[0][0], pieces[-1][0] + 1))


def test_what_was_lost_on_the_way_is_asked_for_and_sent_again(place, topside):
    place.record()
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    until(place.recorded, 10, "exchanges")
    topside.muted.set()
    before = len(topside.finished)
    until(lambda: len(topside.finished) > before + 20, 10, "exchanges that nobody hears")
    topside.muted.clear()
    until(lambda: any(isinstance(command, ResendCommand) for command in topside.commands), 15, "a request")
    assert stop(place)[0] == 0
    assert_complete(place, topside)
    assert place.metadata()["timeSync"]["tidesync"]["vehicles"]["rov1"]["missing"] == 0


def test_a_broker_killed_with_all_it_held_loses_nothing(place, topside):
    place.record()
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    until(place.recorded, 10, "exchanges")
    place.kill()
    held = len(topside.finished)
    until(lambda: len(topside.finished) > held + 10, 10, "exchanges that the broker holds")
    place.broker.kill()
    place.broker.start()
    until(lambda: topside.connection.reconnects and topside.connection.up, 10, "topside there again")
    unheard = len(topside.finished)
    until(lambda: len(topside.finished) > unheard + 10, 10, "exchanges that nobody subscribes to")
    place.record()
    until(lambda: any(one.seq > unheard + 20 for one in place.recorded()), 20, "exchanges after the restart")
    assert stop(place)[0] == 0
    assert_complete(place, topside)


def test_what_another_program_writes_into_the_metadata_survives_and_ours_is_put_back(place, topside):
    assert topside.vehicle == "rov1"
    place.record()
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    theirs = place.metadata() | {"fusion": {"status": "done"}}
    theirs["timeSync"] = {"inWater": {"method": "ntp_handshake_v1", "offsetMs": -151}, "surface": None}

    def put_back():
        """Ours beside theirs; what it writes in the moment in which the file is replaced is lost to both."""
        document = place.metadata()
        if "fusion" not in document:
            replace(place.folder() / "sync_metadata.json", json.dumps(theirs))
        ours = document["timeSync"].get("tidesync") and measured_entry(place)
        return "fusion" in document and ours and document

    document = until(put_back, 5, "our part put back, with the first result")
    assert document["fusion"] == {"status": "done"}


def replace(path, text):
    """At once, as a program that is careful does."""
    made = path.with_name("made-by-the-other-program")
    made.write_text(text)
    made.rename(path)


def test_silence_is_an_alarm_and_a_stop_does_not_wait_for_it(place):
    place.record("--alarm-s", "2")
    assert start(place, "--sensor", "surface=rov9")[0] == 0
    alarm = "nothing recorded of rov9 for more than 2 s"
    until(lambda: alarm in place.log(), 10, "the alarm")
    until(lambda: place.metadata()["timeSync"]["tidesync"]["alarm"] == alarm, 5, "the alarm in the file")
    entry = place.metadata()["timeSync"]["surface"]
    assert (entry["method"], entry["error"]) == ("unsynced", "timeout")
    begun = time.monotonic()
    assert stop(place)[0] == 0
    assert time.monotonic() - begun < 5 * BUSY
    assert [event["kind"] for event in place.events()] == ["outage"]


def test_what_cannot_be_done_is_refused_with_a_reason(place, tmp_path):
    place.record()
    assert start(place)[0] == 0
    url = ("--broker", place.broker.url)
    code, _, err = place.session("stop", "unknown", *url)
    assert (code, err.count("\n")) == (1, 1)
    assert "unknown" in err
    (tmp_path / "root" / "outside").symlink_to(tmp_path)
    code, out, err = place.session("start", "--mission", "outside", "--name", "s2", "--json", *url)
    assert (code, json.loads(out)["state"]) == (1, "refused")
    assert "leads outside" in err
    assert not (tmp_path / "session_s2").exists()
    assert place.session("start", "--mission", "../x", *url)[0] == 2
    assert place.session("start", "--mission", "m", "--sensor", "inWater", *url)[0] == 2


def test_a_missing_recorder_is_reported_in_one_line(mosquitto, tmp_path):
    place = Place(mosquitto, tmp_path / "root")
    begin = ("start", "--mission", "m", "--timeout", "3", "--broker")
    code, _, err = place.session(*begin, mosquitto.url)
    assert (code, err.count("\n")) == (1, 1)
    assert "no recorder answered" in err
    mosquitto.stop()
    code, _, err = place.session(*begin, mosquitto.url)
    assert (code, err.count("\n")) == (1, 1)
    assert "connection refused" in err


def test_a_root_that_cannot_be_written_is_wrong_usage(mosquitto, tmp_path):
    (tmp_path / "file").write_text("")
    done = tidesync("record", "--root", tmp_path / "file" / "root", "--broker", mosquitto.url)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert str(tmp_path / "file" / "root") in done.stderr
