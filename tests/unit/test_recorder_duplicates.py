"""The recorder's dates of duplicates: a line at the beginning, one at the end, whoever noticed it."""

from runtime.clock import Reading
from tests.results import offset_result
from tidesync.sessions.recorder.duplicates import DuplicateLog

S = 1_000_000_000


def at(seconds):
    return Reading(round(seconds * S), 1_777_000_000 * S, 0)


def dates(lines):
    start_s = 1_777_000_000
    return [(each.error, each.at.timestamp() - start_s, each.until.timestamp() - start_s) for each in lines]


def test_it_is_written_when_it_begins_and_when_it_has_ended():
    log = DuplicateLog()
    assert log.lines(at(9)) == []
    found = []
    for second in range(10, 40):
        error = "duplicate_vehicle" if second < 25 else None
        log.take(offset_result(error=error), at(second))
        found += dates(log.lines(at(second)))
        assert log.sentences == (["two vehicles are named rov1"] if second < 25 else [])
    assert found == [("duplicate_vehicle", 10, 10), ("duplicate_vehicle", 10, 24)]


def test_one_that_lasts_to_the_end_of_the_session_ends_there():
    log = DuplicateLog()
    log.take(offset_result(error="duplicate_topside"), at(10))
    assert len(log.lines(at(10))) == 1
    log.take(offset_result(error="duplicate_topside"), at(12))
    assert dates(log.lines(at(13), end=True)) == [("duplicate_topside", 10, 12)]
    assert log.lines(at(14), end=True) == []


def test_results_by_turns_are_noticed_although_neither_topside_says_so():
    log = DuplicateLog()
    errors = [log.take(offset_result(instance_id="ab"[n % 2]), at(n)).error for n in range(6)]
    assert errors == [None, None, *["duplicate_topside"] * 4]
    assert log.sentences == ["two topsides are named laptop"]


def test_the_alarm_lasts_while_no_result_says_that_it_is_over():
    log = DuplicateLog()
    log.take(offset_result(error="duplicate_topside"), at(10))
    log.take(offset_result(topside="other"), at(11))
    for second, lasts in ((12, True), (20, True), (21, False)):
        log.lines(at(second))
        assert log.sentences == (["two topsides are named laptop"] if lasts else [])


def test_one_that_comes_back_soon_is_an_alarm_again_and_dated_as_the_same():
    log = DuplicateLog()
    found = []
    for second in range(10, 40):
        error = "duplicate_topside" if second in (10, 11, 15) else None
        log.take(offset_result(error=error), at(second))
        found += dates(log.lines(at(second)))
        assert bool(log.sentences) == bool(error)
    assert found == [("duplicate_topside", 10, 10), ("duplicate_topside", 10, 15)]


def test_a_flood_of_names_is_bounded():
    log = DuplicateLog()
    for number in range(6000):
        log.take(offset_result(vehicle=f"rov{number}", error="duplicate_vehicle"), at(1))
    assert len(log.lines(at(1))) == 100
