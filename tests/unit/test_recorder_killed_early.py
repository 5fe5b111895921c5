"""A recorder that is killed before the disk has what the broker takes for recorded asks for it again."""

import pytest

from schemas.messages import ResendCommand
from tests.unit.test_clock_log import ROV1, message
from tests.unit.test_clock_pieces import piece
from tests.unit.test_recorder_resume import resumed
from tests.unit.test_recorder_session import at, exchange, recording, step
from tests.unit.test_recorder_upkeep import SlowDisk, recorder
from tidesync.sessions.recorder.session_recorder import SessionRecorder
from tidesync.sessions.recorder.settings import RecorderSettings

FIRST, EVERY_S, TOPSIDE_S = 1000, 0.25, 5000
"""The number that is finished as the session starts, the time between two, and topside's RAW then."""


def finished(*seqs, vehicle="rov1"):
    made = [exchange(seq, TOPSIDE_S + (seq - FIRST) * EVERY_S, vehicle=vehicle) for seq in seqs]
    return [one.model_copy(update={"instance_id": "i1"}) for one in made]


def restarted(root, second):
    settings = RecorderSettings(root=root, broker="mqtt://localhost")
    folder = root / "m" / "session_s1"
    return resumed(SessionRecorder(recording(), folder, settings, at(second)), second)


@pytest.fixture
def killed(tmp_path):
    """The root of a session of which the disk has the start alone, and not its first four seconds."""
    session = recorder(tmp_path, SlowDisk())
    session.update(at(0))
    for second in range(4):
        begun = FIRST + 4 * second
        session.take_batch(finished(*range(begun, begun + 4)), second, at(second))
        session.take_clock(ROV1, message(7, piece(TOPSIDE_S, TOPSIDE_S + second)), at(second))
        session.update(at(second))
    return tmp_path


def requests(session, second, kind):
    asked = (command for _, command in session.update(at(second)).resend)
    return [command for command in asked if isinstance(command, ResendCommand) == (kind == "exchanges")]


def test_exchanges_are_asked_for_back_to_the_sessions_start(killed):
    session = restarted(killed, 6)
    session.take_batch(finished(FIRST + 24), 9, at(6))
    for second in range(6, 20):
        for one in requests(session, second, "exchanges"):
            session.take_batch(finished(*range(one.from_seq, one.to_seq + 1)), 10, at(second))
    recorded = sorted(one.seq for one in session.store.folder.read_exchanges().exchanges)
    assert recorded == list(range(recorded[0], FIRST + 25))
    assert FIRST - 100 < recorded[0] <= FIRST
    assert not session.log.waiting


def test_no_exchange_is_asked_for_that_a_count_from_0_or_a_source_known_before_cannot_lack(killed):
    session = restarted(killed, 6)
    session.take_batch(finished(0, vehicle="rov2"), 9, at(6))
    session.take_batch(finished(FIRST + 24), 9, at(6))
    session.update(at(7))
    again = restarted(killed, 8)
    again.take_batch(finished(FIRST + 25), 11, at(8))
    again.take_batch(finished(1, vehicle="rov2"), 11, at(8))
    assert [requests(again, second, "exchanges") for second in range(8, 12)] == [[]] * 4


def test_pieces_of_a_clock_are_asked_for_back_to_the_sessions_start(killed):
    session = restarted(killed, 6)
    session.take_clock(ROV1, message(9, piece(TOPSIDE_S + 5, TOPSIDE_S + 6)), at(6))
    (asked,) = requests(session, 8, "clock")
    assert (asked.from_number, asked.to_number) == (0, 8)


def test_an_event_which_cannot_be_had_again_waits_for_no_frame(tmp_path):
    session = recorder(tmp_path, sensors={})
    names = [f"rov{number}" for number in range(60)]
    for second in range(3):
        session.take_batch([one for name in names for one in finished(second, vehicle=name)], 0, at(second))
        session.update(at(second))
    waiting = session.store.waiting
    assert session.store.compressed
    assert waiting
    session.take_event(step(), at(2.1))
    assert [event.kind for event in session.store.folder.read_events()] == ["step"]
    assert session.store.waiting == waiting
