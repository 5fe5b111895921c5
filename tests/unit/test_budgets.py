"""What a peer may send: honest peaks pass, a flood does not, and no peer uses up what another may send."""

import logging

import pytest

from broker.budgets import BudgetSettings, PeerBudgets
from broker.inbox import Inbox
from broker.interface import Incoming
from runtime.budgets import BURST_MINUTES, MOST_PEERS, Budgets
from runtime.clock import Reading
from runtime.logs import PeerLog
from schemas import topics
from schemas.messages import ExchangeBatch
from tests.effort import tries
from tests.unit.test_clock_log import message
from tests.unit.test_clock_pieces import piece
from tests.unit.test_recorder_session import at, exchange, recording, step
from tidesync.sessions.recorder import clock_log, missing_ranges, session_log, vehicle_log
from tidesync.sessions.recorder.missing_ranges import MissingRanges
from tidesync.sessions.recorder.recent import Recent
from tidesync.sessions.recorder.session_log import SessionLog
from tidesync.sessions.recorder.session_recorder import SessionRecorder
from tidesync.sessions.recorder.settings import RecorderSettings
from topside_agent.settings import TopsideSettings

S = 1_000_000_000
ROOT = "tidesync"


@pytest.fixture
def inbox():
    return Inbox(ROOT, PeerBudgets(BudgetSettings()))


def incoming(kind, body, second, **names):
    topic = topics.build(ROOT, kind, **names)
    return Incoming(topic, body.encode(), False, Reading(round(second * S), 0, 0))


def events(seconds, vehicle="rov1"):
    """One at each of the instants; the inbox compares none with another."""
    first = incoming(topics.EVENT, step().model_copy(update={"vehicle": vehicle}), 0, vehicle=vehicle)
    return (first._replace(received=Reading(round(second * S), 0, 0)) for second in seconds)


def batches(count, second, topside="topside", vehicle="rov1"):
    """As many messages as `count` exchanges make."""
    whole = [exchange(seq, seq / 4, vehicle=vehicle, topside=topside) for seq in range(100)]
    body = ExchangeBatch(batch=0, exchanges=tuple(whole))
    message = incoming(topics.EXCHANGE, body, second, vehicle=vehicle, topside=topside)
    return [message] * (count // 100)


def taken(inbox, messages):
    return sum(inbox.open(message) is not None for message in messages)


def test_a_flood_of_events_ends_at_the_budget_and_is_named_once(inbox, caplog):
    flood = events(number * 27 / 62_500 for number in range(62_500))
    with caplog.at_level(logging.WARNING):
        assert taken(inbox, flood) <= 120 * (BURST_MINUTES + 1)
    assert inbox.dropped["budget"] > 60_000
    (line,) = [record.getMessage() for record in caplog.records]
    assert "vehicle rov1 sends more than 120 events a minute" in line


def test_hours_of_flooding_bring_no_more_than_the_rate(inbox):
    hours = tries(8)
    flood = events(second for second in range(hours * 3600) for _ in range(5))
    assert taken(inbox, flood) <= 120 * (BURST_MINUTES + hours * 60)


def test_one_vehicles_flood_takes_nothing_from_another(inbox):
    taken(inbox, events([0] * 5000))
    assert taken(inbox, events([1] * 100, "rov2")) == 100


def test_a_topside_cannot_use_up_what_another_may_send_of_the_same_vehicle(inbox):
    taken(inbox, batches(300_000, 0, "intruder"))
    assert taken(inbox, batches(2000, 1)) == 20


@pytest.mark.parametrize("rate", [4, 10, 50])
def test_half_an_hour_that_is_sent_again_at_once_passes(inbox, rate):
    """Asked for by two recorders at the slower rates, while live exchanges go on."""
    times = 1 if rate > 10 else 2
    messages = batches(times * rate * 1800, 0)
    messages += [message for second in range(60) for message in batches(100, second)]
    assert taken(inbox, messages) == len(messages)


def test_an_hour_of_steps_and_slews_passes(inbox):
    """A daemon that steps every second for ten minutes, and once a minute afterwards."""
    seconds = [*range(600), *range(600, 3600, 60)]
    assert taken(inbox, events(seconds)) == len(seconds)


def test_a_flood_of_bytes_is_not_even_decoded(inbox):
    rubbish = Incoming("tidesync/v1/vehicle/rov1/clock", b"x" * 100_000, False, Reading(0, 0, 0))
    for _ in range(2000):
        inbox.open(rubbish)
    assert inbox.dropped["invalid"] == BURST_MINUTES * 6_000_000 / 100_000
    assert inbox.dropped["budget"] == 2000 - inbox.dropped["invalid"]


def test_names_without_number_share_a_budget():
    budgets = Budgets(10)
    admitted = sum(budgets.take(f"peer {number}", 150, 0) for number in range(3 * MOST_PEERS))
    assert admitted == MOST_PEERS + 1
    assert budgets.excess == 150 * (2 * MOST_PEERS - 1)


def test_the_budgets_are_settings_of_topside_and_recorder(tmp_path):
    for settings in (RecorderSettings(root=tmp_path), TopsideSettings(topside="topside")):
        assert isinstance(settings, BudgetSettings)


def test_a_peers_lines_are_few_and_say_how_many_were_left_out(caplog):
    peers = PeerLog(logging.getLogger("peers"), 3)
    with caplog.at_level(logging.INFO):
        for number in range(20_000):
            peers.info("rov1", f"line {number}", number * 10_000_000)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:4] == ["line 0", "line 1", "line 2", "line 6000 (and 5997 more since)"]
    assert len(lines) == 12


def test_a_flood_of_names_is_logged_no_further_than_there_is_room(caplog):
    peers = PeerLog(logging.getLogger("peers"))
    with caplog.at_level(logging.INFO):
        for number in range(5000):
            peers.warning(f"peer {number}", "hello", 0)
        assert len(caplog.records) == 1000
        peers.warning("a later peer", "hello", 61 * S)
    assert len(caplog.records) == 1001


# What the recorder keeps of what peers send


def test_identities_of_events_are_bounded_and_recent_ones_are_known():
    recent = Recent(3)
    assert [recent.add(number) for number in (1, 2, 2, 3, 4, 2, 1)] == [
        True,
        True,
        False,
        True,
        True,
        False,
        True,
    ]


def test_boots_of_a_vehicle_are_bounded():
    session = SessionLog(recording(), at(0))
    many = [exchange(seq, seq, boot_id=f"boot {seq}") for seq in range(vehicle_log.MOST_BOOTS + 50)]
    new = session.take(many, 0, at(1))
    assert len(new.exchanges) == len(many)
    assert len(new.events) == vehicle_log.MOST_BOOTS - 1


def test_vehicles_of_a_session_are_bounded_and_the_first_ones_stay(monkeypatch):
    monkeypatch.setattr(session_log, "MOST_VEHICLES", 5)
    session = SessionLog(recording(sensors={}), at(0))
    many = [exchange(0, 0, vehicle=f"rov{number}") for number in range(20)]
    assert session.take(many, 0, at(1)).exchanges == many[:5]
    assert session.newly_refused() == 15
    assert session.take([exchange(1, 1, vehicle="rov0")], 1, at(2)).exchanges
    assert session.newly_refused() == 0


def test_pieces_machines_and_processes_are_bounded(monkeypatch):
    for name, most in (("MOST_MACHINES", 3), ("MOST_PROCESSES", 2), ("MOST_PIECES", 4)):
        monkeypatch.setattr(clock_log, name, most)
    log = clock_log.ClockLog()
    for number in range(10):
        log.take(("vehicle", f"rov{number}"), message(0, piece(0, 1)), 0, 0)
    assert (len(log.counts()), log.refused) == (3, 7)
    for number in range(1, 10):
        log.take(("vehicle", "rov0"), message(0, piece(0, 1), instance_id=f"other {number}"), 0, 0)
        log.take(("vehicle", "rov1"), message(number, piece(number, number + 1)), 0, 0)
    pieces = {counts.owner[1]: (counts.processes, counts.pieces) for counts in log.counts()}
    assert pieces == {"rov0": (2, 2), "rov1": (1, 4), "rov2": (1, 1)}
    assert log.refused == 7 + 8 + 6


def test_missing_ranges_are_bounded_and_the_lowest_count_as_lost(monkeypatch):
    monkeypatch.setattr(missing_ranges, "MOST_RANGES", 10)
    missing = MissingRanges()
    for number in range(50):
        missing.add(10 * number, 10 * number + 3, 0, 0)
    assert missing.count == 200
    assert [(lost.first, lost.last) for lost in missing.give_up()] == [
        (10 * number, 10 * number + 3) for number in range(40)
    ]
    assert missing.give_up() == []
    assert missing.waiting


def test_events_that_a_full_disk_does_not_take_are_bounded(tmp_path):
    (tmp_path / "m").write_text("a file where a folder should be")
    settings = RecorderSettings(root=tmp_path, memory_exchanges=100)
    session = SessionRecorder(recording(), tmp_path / "m" / "session_s1", settings, at(0))
    session.update(at(1))
    for number in range(1000):
        session.take_event(step(at_raw_ns=number), at(1))
    assert session.store.waiting == 100
    assert session.counts(at(1)).refused == 900
