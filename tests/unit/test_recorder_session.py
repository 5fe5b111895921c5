"""What one session has recorded, without files or broker: what is new, what is an alarm, what is reported."""

from datetime import datetime

import pytest

from runtime.clock import Reading
from schemas.compat import UTC
from schemas.exchange import Exchange
from schemas.messages import Event, StartCommand
from schemas.metadata import RESERVED_SENSORS
from tests.unit.test_metadata_merge import nothing, result
from tidesync.sessions.errors import RefusedError
from tidesync.sessions.recorder import command_rules
from tidesync.sessions.recorder.closing import Closing
from tidesync.sessions.recorder.outbox import TopsideDirectory
from tidesync.sessions.recorder.recording import Recording
from tidesync.sessions.recorder.session_log import SessionLog

S = 1_000_000_000
EPOCH_S = 1_777_636_800


def at(second):
    return Reading(round(second * S), EPOCH_S * S, 0)


def instant(second):
    return datetime.fromtimestamp(EPOCH_S + second, UTC)


def recording(**changes):
    values = {
        "session": "s1",
        "mission": "reef-42",
        "recorder": "main",
        "sensors": {"inWater": "rov1"},
        "started_at": instant(0),
        "request_id": "r1",
    }
    return Recording(**values | changes)


def exchange(seq, second, *, vehicle="rov1", topside="topside", boot_id="boot"):
    origin_ns = at(second).realtime_ns
    return Exchange(
        vehicle=vehicle,
        topside=topside,
        seq=seq,
        boot_id=boot_id,
        origin_ns=origin_ns,
        receive_ns=origin_ns + 1,
        transmit_ns=origin_ns + 2,
        destination_ns=origin_ns + 3,
        pi_realtime_minus_raw_ns=0,
        topside_realtime_minus_raw_ns=EPOCH_S * S,
    )


def step(at_raw_ns=5):
    return Event(vehicle="rov1", kind="step", at=instant(1), at_raw_ns=at_raw_ns, step_ms=3000.0, boot_id="b")


def measured(second, **changes):
    return result(measured_at=instant(second), **changes)


def test_an_exchange_is_recorded_once_however_often_it_comes():
    session = SessionLog(recording(), at(0))
    first = [exchange(0, 0.1), exchange(1, 0.2)]
    assert session.take(first, 0, at(1)).exchanges == first
    assert session.take(first, 0, at(1)).exchanges == []
    assert session.exchanges == 2


def test_a_restarted_recorder_knows_what_it_has():
    before = [exchange(seq, seq) for seq in range(5)]
    session = SessionLog(recording(), at(10))
    assert session.restore(before, [step()], at(10)) == []
    assert session.take(before, 0, at(11)).exchanges == []
    assert not session.take_event(step(), at(11))
    assert session.exchanges == 5


def test_an_equal_seq_of_a_restarted_topside_is_another_exchange():
    session = SessionLog(recording(), at(0))
    session.take([exchange(0, 0.1)], 0, at(1))
    assert session.take([exchange(0, 60)], 0, at(61)).exchanges == [exchange(0, 60)]


def test_two_topsides_of_one_vehicle_are_counted_apart():
    session = SessionLog(recording(), at(0))
    session.take([exchange(0, 0.1), exchange(0, 0.1, topside="other")], 0, at(1))
    session.take([exchange(1, 1.1), exchange(5, 1.1, topside="other")], 1, at(2))
    assert session.requests(at(3)) == [(("rov1", "other", None), 1, 4)]


def test_a_reboot_is_an_event_once_and_what_is_sent_again_is_none():
    session = SessionLog(recording(), at(0))
    assert session.take([exchange(5, 5, boot_id="b")], 0, at(5)).events == []
    assert session.take([exchange(3, 3, boot_id="a")], 1, at(5)).events == []
    (reboot,) = session.take([exchange(6, 6, boot_id="c"), exchange(7, 7, boot_id="c")], 2, at(7)).events
    assert (reboot.kind, reboot.boot_id) == ("reboot", "c")


def test_a_reboot_that_a_kill_left_unwritten_is_written_by_the_next_process():
    session = SessionLog(recording(), at(10))
    exchanges = [exchange(0, 0, boot_id="a"), exchange(1, 1, boot_id="b")]
    assert [event.kind for event in session.restore(exchanges, [], at(10))] == ["reboot"]


def test_an_event_of_the_vehicle_is_taken_once():
    session = SessionLog(recording(), at(0))
    assert session.take_event(step(), at(1))
    assert not session.take_event(step(), at(2))
    assert session.take_event(step(at_raw_ns=6), at(2))


def test_a_topsides_restart_makes_a_gap_of_what_was_missing():
    session = SessionLog(recording(), at(0))
    session.take([exchange(0, 0), exchange(4, 1)], 0, at(1))
    (gap,) = session.take([exchange(0, 60)], 0, at(60)).events
    assert (gap.kind, gap.run, gap.from_seq, gap.to_seq) == ("gap", 0, 1, 3)
    assert gap.before_origin_ns == exchange(4, 1).origin_ns


def test_nothing_recorded_for_the_limit_is_an_alarm_and_then_an_outage():
    session = SessionLog(recording(), at(0))
    session.take([exchange(0, 0)], 0, at(1))
    assert session.update(at(11), alarm_s=10) == []
    assert session.alarm is None
    session.update(at(11.5), alarm_s=10)
    assert session.alarm == "nothing recorded of rov1 for more than 10 s"
    assert session.state(None).alarm == session.alarm
    (outage,) = session.take([exchange(1, 30)], 1, at(31)).events
    assert (outage.kind, outage.at, outage.until) == ("outage", instant(1), instant(31))
    session.update(at(32), alarm_s=10)
    assert session.alarm is None


def test_a_vehicle_that_never_came_is_an_alarm_too():
    session = SessionLog(recording(sensors={"inWater": "rov1", "surface": "rov2"}), at(0))
    session.take([exchange(0, 5)], 0, at(5))
    session.update(at(11), alarm_s=10)
    assert session.alarm == "nothing recorded of rov2 for more than 10 s"


def test_a_session_of_every_vehicle_alarms_when_there_is_none():
    session = SessionLog(recording(sensors={}), at(0))
    session.update(at(11), alarm_s=10)
    assert session.alarm == "nothing recorded for more than 10 s"
    assert session.metadata_update().entries == {}


def test_what_is_missing_at_the_end_is_a_gap():
    session = SessionLog(recording(), at(0))
    session.take([exchange(0, 0), exchange(2, 1)], 0, at(1))
    assert [event.kind for event in session.end(at(2))] == ["gap"]
    assert not session.waiting


def test_an_old_retained_result_is_not_current():
    session = SessionLog(recording(), at(100))
    assert not session.take_result(measured(10), at(100), stored=True)
    assert session.metadata_update().entries["inWater"].method == "unsynced"
    assert session.take_result(measured(99), at(100), stored=True)
    assert session.metadata_update().entries["inWater"].offset_ms == -150.312


def test_a_result_that_comes_live_counts_even_if_the_clocks_disagree():
    session = SessionLog(recording(), at(100))
    assert session.take_result(measured(-5000), at(100), stored=False)


def test_the_result_of_the_first_topside_that_answered_is_used_and_the_exchanges_of_all_are_kept():
    session = SessionLog(recording(), at(0))
    session.take_result(nothing("timeout").model_copy(update={"topside": "mute"}), at(0), stored=False)
    session.take_result(measured(1), at(1), stored=False)
    session.take_result(measured(2, topside="other", offset_ms=7.0), at(2), stored=False)
    assert session.topsides == {"rov1": "topside"}
    assert session.metadata_update().entries["inWater"].offset_ms == -150.312
    assert session.take([exchange(0, 1, topside="other")], 0, at(2)).exchanges


def test_another_topside_takes_over_once_the_one_in_use_has_no_fresh_result():
    session = SessionLog(recording(), at(0))
    session.take_result(measured(1), at(1), stored=False)
    session.take_result(measured(2, topside="other", offset_ms=-150.0), at(3.9), stored=False)
    assert session.topsides == {"rov1": "topside"}
    session.take_result(measured(5, topside="other", offset_ms=-150.0), at(5), stored=False)
    assert session.topsides == {"rov1": "other"}
    block = session.metadata_update().block.vehicles["rov1"]
    assert (block.topside, block.topsides) == ("other", ["topside", "other"])
    entry = session.metadata_update().entries["inWater"]
    assert entry.offset_ms == -150.0
    assert entry.uncertainty_ms >= 0.312, "it covers what was measured by the first topside's clock, too"
    session.take_result(measured(6), at(6), stored=False)
    assert session.topsides == {"rov1": "other"}, "it measures: the clock is not changed again"


def test_of_several_topsides_that_could_take_over_the_least_bound_does():
    session = SessionLog(recording(), at(0))
    session.take_result(measured(1), at(1), stored=False)
    session.take_result(measured(4, topside="narrow", max_error_ms=0.1), at(4), stored=False)
    session.take_result(measured(4, topside="wide", max_error_ms=0.3), at(4.5), stored=False)
    session.take_result(measured(5, topside="wide", max_error_ms=0.3), at(4.6), stored=False)
    session.take_result(measured(5, topside="narrow", max_error_ms=0.1), at(4.7), stored=False)
    assert session.topsides == {"rov1": "narrow"}


def test_a_result_without_an_offset_does_not_replace_the_last_one_but_is_reported():
    session = SessionLog(recording(), at(0))
    session.take_result(measured(1), at(1), stored=False)
    session.take_result(nothing("timeout"), at(2), stored=False)
    update = session.metadata_update()
    assert update.entries["inWater"].offset_ms == -150.312
    assert update.block.vehicles["rov1"].result.state == "unsynced"


def test_the_state_has_what_was_asked_for_and_what_is_recorded():
    session = SessionLog(recording(), at(0))
    session.take([exchange(0, 1)], 0, at(1))
    state = session.state(None)
    assert (state.state, state.path, state.request_id) == ("recording", "reef-42/session_s1", "r1")
    assert (state.exchanges, state.last_exchange_at, state.error) == (1, instant(1), None)
    assert session.state("cannot write x: No space left on device").state == "failed"


def test_a_stop_is_answered_when_everything_is_written_or_cannot_be():
    session = SessionLog(recording(stop_request_id="r2"), at(0))
    assert (session.state(None).state, session.state(None).request_id) == ("recording", "r1")
    assert session.state("full").request_id == "r2"
    session.closing = Closing(at(9).realtime_ns, {}, None)
    assert session.state(None).state == "recording"
    session.written = True
    assert (session.state(None).state, session.state(None).request_id) == ("stopped", "r2")


@pytest.mark.parametrize("sensor", sorted(RESERVED_SENSORS))
def test_a_sensor_cannot_have_the_name_of_a_key_of_time_sync(sensor):
    command = StartCommand(request_id="r", mission="m", sensors={sensor: "rov1"})
    with pytest.raises(RefusedError, match=sensor):
        Recording.from_command("s1", command, "main", instant(0))


@pytest.mark.parametrize("change", [{"mission": "other"}, {"sensors": {"inWater": "rov2"}}])
def test_a_start_of_what_is_recorded_otherwise_is_refused(change):
    asked = StartCommand(request_id="r", mission="reef-42", sensors={"inWater": "rov1"})
    recording().check_same(asked)
    with pytest.raises(RefusedError):
        recording().check_same(asked.model_copy(update=change))


def test_an_invalid_command_is_answered_if_it_has_a_request_id():
    payload = b'{"request_id": "r7", "action": "start", "mission": "../x"}'
    refused = command_rules.refusal_of_payload(payload, "s1", "why")
    assert (refused.state, refused.request_id, refused.error) == ("refused", "r7", "why")
    for payload in (b"", b"[]", b"{}", b'{"request_id": 5}', b'{"request_id": ""}', b"\xff"):
        assert command_rules.refusal_of_payload(payload, "s1", "why") is None


def test_bursts_go_to_the_topsides_that_measure_a_vehicle_and_else_to_all_that_are_there():
    directory = TopsideDirectory(0)
    directory.note_result(result())
    directory.note_result(result(topside="gone"))
    directory.reach.note_status("gone", 0, online=False)
    directory.reach.note_status("new", 0, online=True)
    assert directory.measured_by(["rov1"]) == [("rov1", "topside")]
    assert directory.measured_by(["rov2"]) == [("rov2", "new")]
    assert directory.measured_by([]) == [("rov1", "topside")]
