"""The recorder as a whole: letters of every kind in any order, and kills between; nothing valid is lost."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.altered import budget, payloads
from tests.fuzz.test_messages import KINDS, VALID, topic_of
from tests.simulation.simulated_machines import Link
from tests.simulation.test_recorder import Recorded

BEGIN_S, STEP_S, STOP_S = 7, 0.3, 30
NAMES = st.sampled_from(
    [
        {"vehicle": "rov2", "topside": "laptop"},
        {"vehicle": "rov2", "topside": "topside"},
        {"vehicle": "rov1", "topside": "laptop"},
    ]
)


@st.composite
def letters(draw):
    """(topic, payload, retained), of no session but `s2`, and of no stream of the honest pair."""
    kind, names = draw(st.sampled_from(KINDS)), draw(NAMES)
    text = json.dumps(VALID[kind.name])
    text = text.replace('"rov1"', f'"{names["vehicle"]}"').replace('"laptop"', f'"{names["topside"]}"')
    valid = json.loads(text)
    payload = draw(st.one_of(st.just(text.encode()), payloads(valid)))
    return topic_of(kind, session="s2", **names), payload, draw(st.booleans())


ACTIONS = st.lists(st.one_of(letters(), st.sampled_from([0.1, 1.0, 4.0])), min_size=1, max_size=60)


class Faults(logging.Handler):
    """Keeps what is logged with an exception."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = []

    def emit(self, record):
        if record.exc_info or "internal fault" in record.getMessage():
            self.found.append(record.getMessage())


@pytest.fixture(scope="module")
def faults():
    handler = Faults()
    logging.getLogger().addHandler(handler)
    yield handler.found
    logging.getLogger().removeHandler(handler)


def perform(recorded, actions):
    """Each in its turn; a number is a kill, and for how long nobody records."""
    at_s = BEGIN_S
    for action in actions:
        if isinstance(action, float):
            recorded.kill(at_s, action)
            at_s += action
        else:
            topic, payload, retain = action
            recorded.simulation.at(
                at_s,
                lambda topic=topic, payload=payload, retain=retain: recorded.simulation.broker.forge(
                    topic, payload, 1, retain=retain
                ),
            )
        at_s += STEP_S


@budget(6)
@given(ACTIONS)
def test_letters_of_every_kind_and_kills_lose_nothing_of_an_honest_vehicle(tmp_path_factory, faults, actions):
    recorded = Recorded(tmp_path_factory.mktemp("root"), Link(), stop_s=STOP_S)
    perform(recorded, actions)
    recorded.simulation.run(STOP_S + 25)
    assert faults == []
    assert last_state(recorded) == "stopped"
    assert not recorded.folder.recording_path.exists()
    assert_honest_is_whole(recorded)


def last_state(recorded):
    return [state.state for state in recorded.states() if state.session == "s1"][-1]


def assert_honest_is_whole(recorded):
    """Every exchange of the honest pair once, as its topside has it, and a track of it."""
    journal = recorded.folder.read_exchanges()
    assert journal.malformed == 0
    honest = [one for one in journal.exchanges if (one.vehicle, one.topside) == ("rov1", "topside")]
    seqs = sorted(one.seq for one in honest)
    assert seqs == list(range(seqs[0], seqs[-1] + 1))
    assert honest[-1].origin_ns - honest[0].origin_ns > (STOP_S - BEGIN_S) * 10**9
    finished = {one.seq: one for one in recorded.simulation.finished()}
    assert all(finished[one.seq] == one for one in honest)
    measured = recorded.folder.measure()
    assert not measured.failed
    assert len(measured["rov1", "topside"].exchanges) == len(honest)
