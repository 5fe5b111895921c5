"""Words that a later version of a sender may use: shown as they are and never trusted, or refused."""

import json
import re
from pathlib import Path

import pytest

from schemas import topics
from schemas.base import InvalidMessageError
from schemas.doubtful import _FIGURES, for_people, is_doubtful
from schemas.events import Duplicate
from schemas.exchange import Exchange
from schemas.messages import DUPLICATES, Info, OffsetResult, Pong, SessionState
from schemas.metadata import sensor_entry
from tests.results import offset_result
from tests.unit.contracts import EXCHANGE, VALID
from tests.unit.dashboards import S, letter, result
from tests.unit.test_fleet_model import only
from tidesync.cli.session import _print_answer
from tidesync.dashboard.cockpit_lines import values
from tidesync.dashboard.commands import NotDoneError, _answer
from tidesync.doctor.fleet_checks import vehicle
from tidesync.errors import NotSoError
from tidesync.fleet.duplicates import sentence
from tidesync.fleet.model import Fleet
from tidesync.fleet.waiting import WaitCondition
from tidesync.sessions.journal import decode_event
from tidesync.sessions.report.doubts import named_twice
from tidesync.terminal.text import plain_line, remarks_of, tracking
from tidesync.terminal.view import View, draw
from topside_agent.estimator import Exchanges

WORDS = ["moon_phase", "<b>locked</b>", "no error", "constructor", "x" * 64]
NOT_WORDS = ["", "x" * 65, "\x1b[2J", "two\nlines", "\u202elocked", 5, ["timeout"]]


def payload(model, **changes):
    return json.dumps(json.loads(model.encode()) | changes).encode()


# Errors and states of results


@pytest.mark.parametrize("word", WORDS)
def test_a_result_with_an_error_of_a_later_topside_is_read_and_not_trusted_anywhere(word):
    sent = letter(result(error=word))
    assert OffsetResult.decode(sent.body.encode()).error == word
    fleet = Fleet(histories=True)
    fleet.take(sent)
    row, shown = only(fleet), fleet.rows(sent.incoming.received)[0]
    assert (row.state, row.error) == ("acquiring", word)
    assert "locked" not in values([row], connected=True, unix_s=0.0).values()
    assert word not in values([row], connected=True, unix_s=0.0).values()
    assert repr(word) in sentence(shown.result)
    assert word in tracking(shown)
    assert sentence(shown.result) in " ".join(remarks_of(shown))
    assert "-150.3" not in tracking(shown)
    assert draw(View("t", None, [shown]), 120, 40)
    assert vehicle(shown).verdict == "FAIL"
    assert "-150.3" not in plain_line(fleet.as_known(sent))
    (point,) = fleet.history("rov1", "laptop").points()
    assert point.offset_ms != point.offset_ms


@pytest.mark.parametrize("word", WORDS)
def test_it_is_not_waited_for_in_vain_and_not_written_into_the_consumers_file(word):
    waiting, sent = WaitCondition("rov1", None), letter(result(error=word, measured_ns=S), S)
    assert waiting.take(sent) is None
    assert waiting.why_not()
    entry = sensor_entry(offset_result(error=word))
    assert (entry.method, entry.offset_ms, entry.uncertainty_ms, entry.error) == (
        "unsynced",
        None,
        None,
        word,
    )


@pytest.mark.parametrize(
    "known", ["timeout", "network_error", "high_rtt", "invalid_pi_time", "clock_rate", "not_authorized", None]
)
def test_the_numbers_beside_an_error_that_is_known_are_shown(known):
    assert not is_doubtful(known)
    assert for_people(offset_result(error=known)).offset_ms is not None


def test_duplicates_are_in_doubt():
    assert all(map(is_doubtful, DUPLICATES))


@pytest.mark.parametrize("word", WORDS)
def test_a_state_of_a_later_topside_is_shown_as_it_is_and_is_not_locked(word):
    sent = letter(result(state=word))
    fleet = Fleet(histories=True)
    fleet.take(sent)
    row, shown = only(fleet), fleet.rows(sent.incoming.received)[0]
    assert row.state == word
    assert word in tracking(shown)
    assert draw(View("t", None, [shown]), 120, 40)
    assert vehicle(shown).verdict == "warn"
    lines = values([row], connected=True, unix_s=0.0)
    assert lines["tidesync-rov1-state"] == "unknown"
    assert word not in lines.values()
    assert WaitCondition("rov1", None).take(letter(result(state=word, measured_ns=S), S)) is None


@pytest.mark.parametrize("key", ["error", "state"])
@pytest.mark.parametrize("word", NOT_WORDS)
def test_what_is_no_word_is_refused(key, word):
    with pytest.raises(InvalidMessageError):
        OffsetResult.decode(payload(offset_result(), **{key: word}))


# Stamps: whatever their kind, they err only in the direction that widens a bound


@pytest.mark.parametrize("kind", ["hardware", "ptp"])
def test_stamps_of_a_later_kind_are_used_as_any_other(kind):
    kinds = {"receive_stamp": kind, "transmit_stamp": kind}
    assert Pong.decode(payload(VALID["pong"], **kinds)).receive_stamp == kind
    assert Info.decode(payload(VALID["info"], receive_stamp=kind)).receive_stamp == kind
    line = Exchange.decode(payload(EXCHANGE, **kinds))
    assert Exchanges.of([line])[0] == line
    with pytest.raises(InvalidMessageError):
        Pong.decode(payload(VALID["pong"], receive_stamp="\x1b[2J"))


# Sessions


@pytest.mark.parametrize("word", WORDS)
def test_a_sessions_state_of_a_later_recorder_is_shown_and_is_no_success(word):
    state = SessionState.decode(payload(VALID["session_state"], state=word))
    with pytest.raises(NotSoError, match="not known to this version"):
        _print_answer(state, as_json=False)
    with pytest.raises(NotDoneError) as refused:
        _answer(state)
    assert refused.value.status == 503


# Duplicates in a recording


def test_a_duplicate_of_a_later_kind_is_in_the_report_as_one():
    line = json.dumps(
        {
            "schema_version": 1,
            "vehicle": "rov1",
            "kind": "duplicate",
            "error": "duplicate_recorder",
            "topside": "laptop",
            "at": "2026-05-01T12:00:00Z",
            "until": "2026-05-01T12:01:00Z",
        }
    )
    event = decode_event(line.encode())
    assert isinstance(event, Duplicate)
    assert "duplicate_recorder" in named_twice(event)


# What must be understood to be used is refused


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (topics.EVENT, {"kind": "leap_second"}),
        (topics.SESSION_COMMAND, {"action": "pause"}),
        (topics.TOPSIDE_COMMAND, {"action": "pause"}),
        (topics.VEHICLE_COMMAND, {"what": "exchanges"}),
    ],
)
def test_events_and_commands_that_are_not_known_are_refused(kind, changes):
    with pytest.raises(InvalidMessageError):
        kind.decode(payload(VALID[kind.name], **changes))


def test_a_piece_that_begins_with_what_is_not_known_is_refused_since_raw_may_have_stood_still():
    document = json.loads(VALID["vehicle_clock"].encode())
    document["pieces"][0]["begins"] = "hibernation"
    with pytest.raises(InvalidMessageError, match="begins"):
        topics.VEHICLE_CLOCK.decode(json.dumps(document).encode())


def test_a_status_that_is_not_known_is_refused_as_it_is_a_hint_alone():
    with pytest.raises(InvalidMessageError):
        topics.STATUS.decode(b"asleep")


def test_an_event_line_of_a_later_kind_is_left_out():
    assert decode_event(b'{"kind": "tide", "vehicle": "rov1"}') is None


def test_every_figure_of_a_clock_is_hidden_from_people_while_it_is_in_doubt():
    of_a_clock = {
        name
        for name in OffsetResult.model_fields
        if name.endswith(("_ms", "_ppm")) and name != "measured_unix_ms"
    }
    page = Path("tidesync/dashboard/page/words.js").read_text()
    of_the_page = re.search(r"const NUMBERS = \[(.*?)\]", page, re.DOTALL)[1]
    assert set(_FIGURES) == of_a_clock
    assert set(re.findall(r'"(\w+)"', of_the_page)) == of_a_clock
