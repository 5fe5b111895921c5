"""What a recorder publishes of its sessions: alarms, what is listed, and which commands it executes."""

import json
import threading
import time
from datetime import datetime
from time import monotonic

from broker.settings import ConnectionSettings
from schemas.compat import UTC
from schemas.messages import StartCommand
from tests.command_line import tidesync
from tests.deadline import BUSY, until
from tests.network.recording import assert_complete, start, states, stop
from tidesync.sessions.client import ask, begin
from tidesync.sessions.names import session_names_at
from tidesync.sessions.recorder.settings import RecorderSettings


def test_with_no_vehicle_and_no_topside_the_metadata_says_so_at_once_and_the_alarm_comes(place, operator):
    place.record("--alarm-s", "3")
    until(lambda: "connected to broker" in place.log(), 15, "the recorder's connection")
    sensors = {"inWater": "rov1", "surface": "rov2", "other": "rov3"}
    operator.ask("s1", "r", action="start", mission="reef-42", sensors=sensors)
    begun = time.monotonic()
    for sensor in ("inWater", "surface", "other"):
        entry = place.metadata()["timeSync"][sensor]
        assert (entry["method"], entry["offsetMs"], entry["error"]) == ("unsynced", None, "timeout")
    until(lambda: operator.states[-1].alarm, 10, "the alarm")
    assert time.monotonic() - begun < 5 * BUSY
    assert (operator.states[-1].state, operator.states[-1].exchanges) == ("recording", 0)
    alarm = "nothing recorded of rov1, rov2, rov3 for more than 3 s"
    until(lambda: alarm in place.log(), what="the alarm in the log")


def test_the_alarm_comes_within_ten_seconds_by_default():
    fields = RecorderSettings.model_fields
    assert fields["alarm_s"].default + 2 * fields["update_s"].default <= 10


def test_a_start_that_nobody_waits_for_any_more_begins_nothing(place, operator):
    place.record()
    assert start(place)[0] == 0  # so that the broker has a session for this recorder
    assert stop(place)[0] == 0
    recording = place.folder() / "time_sync" / "recording.json"
    until(lambda: not recording.exists(), what="the end noted")  # else the next process stops it again
    place.kill()
    operator.say("late", request_id="late", action="start", mission="reef-42", sensors={})
    place.record()
    until(lambda: place.log().count("connected to broker") >= 2, 15, "the recorder again")
    assert start(place)[0] == 0
    assert not place.folder("late").exists()


def test_a_recorder_that_is_stopped_says_so_and_one_that_is_started_takes_it_back(place, topside):
    place.record()
    assert states(place) == {}
    code, out, _ = place.session("list", "--broker", place.broker.url)
    assert (code, out.count("\n"), "no session is known" in out) == (0, 1, True)
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    until(place.recorded, 10, "exchanges")
    until(lambda: states(place)["s1"]["alarm"] is None, what="no alarm")
    assert place.stop() == 0
    state = states(place)["s1"]
    assert (state["state"], state["alarm"]) == ("recording", "the recorder was stopped: nothing is recorded")
    code, out, _ = place.session("list", "--broker", place.broker.url)
    assert "the recorder was stopped" in out
    assert "inWater=rov1" in out
    place.record()
    until(lambda: states(place)["s1"]["alarm"] is None, 15, "the alarm taken back")
    assert stop(place)[0] == 0
    assert_complete(place, topside)
    assert states(place)["s1"]["state"] == "stopped"


def test_a_recorder_that_was_killed_is_silent_in_the_list_and_a_stop_is_answered_at_once(place, topside):
    place.record()
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    until(place.recorded, 10, "exchanges")
    until(lambda: not states(place)["s1"]["silent"], what="a recorder that is there")
    place.kill()
    until(lambda: states(place)["s1"]["silent"], 15, "the broker's notice")
    code, out, _ = place.session("list", "--broker", place.broker.url)
    assert code == 0
    assert "its recorder 'main' is offline: nothing is being recorded" in out
    assert " silent " in out
    shown = json.loads(tidesync("status", "--json", "--broker", place.broker.url).stdout)
    assert [(each["session"], each["silent"]) for each in shown["sessions"]] == [("s1", True)]
    before_s = monotonic()
    code, out, err = stop(place)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "recorder 'main', which records session s1, is offline" in err
    assert monotonic() - before_s < 45  # it would wait for 90 s
    place.record()
    until(lambda: not states(place)["s1"]["silent"], 15, "the recorder again")
    assert stop(place)[0] == 0
    assert_complete(place, topside)


def test_a_list_without_a_broker_is_one_line_and_exit_code_1(place):
    place.broker.stop()
    code, out, err = place.session("list", "--json", "--broker", place.broker.url)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "connection refused" in err


def test_a_command_is_repeated_until_a_recorder_that_is_just_starting_answers(place, operator):
    outcome = []
    arguments = (
        "start",
        "--mission",
        "reef-42",
        "--name",
        "s1",
        "--timeout",
        "60",
        "--broker",
        place.broker.url,
    )
    asking = threading.Thread(target=lambda: outcome.append(place.session(*arguments)))
    asking.start()
    until(lambda: len(operator.commands) >= 2, 15, "the command again")
    place.record()
    asking.join()
    assert outcome[0][0] == 0
    assert isinstance(place.metadata()["timeSync"]["tidesync"], dict)


def test_the_state_of_a_silent_vehicles_session_is_published_again_so_that_its_recorder_looks_alive(
    place, operator
):
    place.record("--update-s", "60")
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    until(lambda: len(operator.states) > 1, 15, "the state again")
    assert operator.states[-1] == operator.states[-2]
    assert (operator.states[-1].state, operator.states[-1].exchanges) == ("recording", 0)


def test_a_session_that_nobody_named_gets_another_name_when_its_own_is_taken(place):
    place.record()
    taken, free = session_names_at(datetime(2026, 5, 1, 12, tzinfo=UTC))[:2]
    settings = ConnectionSettings(broker=place.broker.url)
    until(lambda: "connected to broker" in place.log(), 15, "the recorder's connection")
    first = ask(settings, taken, StartCommand(request_id="a", mission="one", sensors={}), 60)
    second = begin(settings, [taken, free], StartCommand(request_id="b", mission="two", sensors={}), 60)
    assert (first.state, second.state, second.session) == ("recording", "recording", free)
    named = begin(settings, [taken], StartCommand(request_id="c", mission="two", sensors={}), 60)
    assert (named.state, named.session) == ("refused", taken)


def test_a_start_that_is_refused_for_another_reason_is_asked_once(place):
    place.record()
    until(lambda: "connected to broker" in place.log(), 15, "the recorder's connection")
    asked = StartCommand(request_id="a", mission="one", sensors={"markers": "rov1"})
    state = begin(ConnectionSettings(broker=place.broker.url), ["s1", "s1-2"], asked, 60)
    assert (state.state, state.session) == ("refused", "s1")


def test_a_mission_that_is_no_name_is_called_a_mission(place):
    code, out, err = place.session("start", "--mission", "../x", "--broker", place.broker.url)
    assert (code, out) == (2, "")
    assert "--mission: expected a mission name" in err
    assert "received '../x'" in err
