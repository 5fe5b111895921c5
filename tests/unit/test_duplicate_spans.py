"""When two vehicles answered to one name: dated by the topside that hears them, written by the recorder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import Reading
from schemas.base import InvalidMessageError
from schemas.duplicate_span import MAX_BOOTS, MAX_DUPLICATES, DuplicateSpan
from schemas.events import LINE, identity
from schemas.instants import ns_from_utc, utc_from_ns
from schemas.messages import OffsetResult
from tests.results import offset_result
from tests.unit.contracts import EXCHANGE
from tidesync.sessions.recorder.duplicates import DuplicateLog
from tidesync.sessions.report.doubts import in_session, of_duplicates, when
from tidesync.sessions.report.events import event_rows
from tidesync.sessions.report.verdict import NOTHING
from topside_agent.estimator import Exchanges
from topside_agent.measuring.instances import Instances

MS, S = 1_000_000, 1_000_000_000
D = 1_777_000_000 * S


def at(seconds, difference_ns=D):
    return Reading(round(seconds * S), difference_ns, 0)


def heard(*parts, interval_s=0.25):
    """Both answer each ping in each of `parts`, (from_s, to_s, names); the instances afterwards."""
    instances = Instances(round(interval_s * S))
    for from_s, to_s, names in parts:
        second = from_s
        while second < to_s:
            for place, name in enumerate(names):
                instances.admit(name, at(second + place * 0.001), f"boot of {name}")
            second += interval_s
    return instances


def dates(spans):
    return [(each.at_raw_ns / S, each.until_raw_ns / S, each.ended) for each in spans]


def test_topside_dates_the_time_in_which_both_were_heard_and_says_when_it_is_over():
    instances = heard((0, 10, "a"), (10, 20, "ab"), (20, 22, "a"))
    assert dates(instances.spans(22 * S)) == [(10.001, 20, False)]
    assert dates(instances.spans(24 * S)) == [(10.001, 20, True)]
    (span,) = instances.spans(24 * S)
    assert (ns_from_utc(span.at), ns_from_utc(span.until)) == (D + 10_001_000_000, D + 20 * S)


def test_the_realtime_of_each_end_is_what_topsides_clock_showed_then():
    instances = Instances(0)
    for second, difference_ns, name in ((1, D, "a"), (2, D, "b"), (3, D - 60 * S, "a")):
        instances.admit(name, at(second, difference_ns), "boot")
    (span,) = instances.spans(3 * S)
    assert (ns_from_utc(span.at), ns_from_utc(span.until)) == (D + 2 * S, D - 57 * S)


def test_the_boots_of_both_are_named_whoever_was_measured():
    for parts in (((0, 5, "a"), (5, 9, "ab")), ((0, 5, "a"), (7, 9, "b"), (9, 11, "ba"))):
        (span,) = heard(*parts).spans(11 * S)
        assert set(span.boot_ids) == {"boot of a", "boot of b"}
    (span,) = heard((0, 5, "a"), (5, 9, "abcdefghijklmnopqrstuvw")).spans(9 * S)
    assert len(span.boot_ids) == MAX_BOOTS


def test_a_restart_is_no_duplicate_and_one_that_was_only_silent_is_dated_from_its_successor():
    assert heard((0, 5, "a"), (7, 20, "b")).spans(20 * S) == ()
    instances = heard((0, 5, "a"), (7, 20, "b"), (20, 21, "ba"))
    assert dates(instances.spans(21 * S)) == [(7, 20.751, False)]


def test_what_is_heard_again_soon_is_the_same_and_of_many_the_oldest_are_joined():
    instances = heard((0, 5, "ab"), (5, 12, "a"), (12, 13, "ab"))
    assert dates(instances.spans(13 * S)) == [(0.001, 12.75, False)]
    parts = [part for n in range(12) for part in ((n * 30, n * 30 + 2, "ab"), (n * 30 + 2, n * 30 + 30, "a"))]
    spans = heard(*parts).spans(360 * S)
    assert len(spans) == MAX_DUPLICATES
    assert dates(spans)[0] == (0.001, 122, True)
    assert [each.at_raw_ns // S for each in spans[1:]] == [150, 180, 210, 240, 270, 300, 330]


def test_a_clock_before_1970_or_after_2262_does_not_end_it():
    instances = Instances(0)
    for second, difference_ns, name in ((1, -D, "a"), (2, -D, "b"), (3, 9 * 10**18, "a"), (4, 10**19, "b")):
        instances.admit(name, at(second, difference_ns), "boot")
    assert len(instances.spans(4 * S)) == 1


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-20, 60_000)), max_size=60))
def test_answers_in_any_order_of_their_arrivals_make_spans_that_have_all_of_both(heard):
    """Each arrives so many ms after the one before, or a little earlier."""
    instances, now_ms, seen = Instances(250 * MS), 1000, []
    for name, later_ms in heard:
        now_ms += later_ms
        instances.admit(name, at(now_ms / 1000), "boot")
        seen.append((name, now_ms * MS))
    spans = instances.spans(now_ms * MS)
    assert len(spans) <= MAX_DUPLICATES
    for (one, at_ns), (other, between_ns), (again, until_ns) in zip(seen, seen[1:], seen[2:], strict=False):
        if one == again != other and until_ns - at_ns < S:  # nobody was silent long enough to be replaced
            ends = min(at_ns, between_ns, until_ns), max(between_ns, until_ns)
            assert any(each.at_raw_ns <= ends[1] and ends[0] <= each.until_raw_ns for each in spans)


# The recorder


def span(at_s=10, until_s=12, *, ended=False):
    instants = {"at": utc_from_ns(D + at_s * S), "until": utc_from_ns(D + until_s * S)}
    return DuplicateSpan(**instants, at_raw_ns=at_s * S, until_raw_ns=until_s * S, ended=ended)


def result(*spans, error=None):
    return offset_result(error=error, instance_id="one", duplicates=spans or None)


def written(log, now_s, *, end=False):
    lines = log.lines(Reading(now_s * S, 0, 0), end=end)
    return [(each.by_topside.until_raw_ns // S, each.by_topside.ended) for each in lines]


def test_a_line_is_written_at_the_beginning_and_one_when_topside_says_that_it_is_over():
    log = DuplicateLog()
    for second in range(11, 60):
        until_s = min(second, 20)
        ended = second > 23
        error = None if ended else "duplicate_vehicle"
        log.take(result(span(until_s=until_s, ended=ended), error=error), Reading(second * S, 0, 0))
        expected = {11: [(11, False)], 24: [(20, True)]}.get(second, [])
        assert written(log, second) == expected
        assert bool(log.sentences) == (not ended)
    assert written(log, 60, end=True) == []


def test_one_that_was_missed_is_known_from_any_later_result_stored_or_not():
    for stored in (False, True):
        log = DuplicateLog()
        log.take(result(span(ended=True), span(70, 80, ended=True)), Reading(500 * S, 0, 0), stored=stored)
        assert written(log, 500) == [(12, True), (80, True)]


def test_one_that_lasts_at_the_end_of_the_session_is_not_over():
    log = DuplicateLog()
    log.take(result(span(), error="duplicate_vehicle"), at(12))
    assert written(log, 12) == [(12, False)]
    log.take(result(span(until_s=14), error="duplicate_vehicle"), at(14))
    assert written(log, 15) == []
    assert written(log, 15, end=True) == [(14, False)]


def test_a_duplicate_topside_hides_no_duplicate_vehicle():
    log = DuplicateLog()
    log.take(result(span(), error="duplicate_topside"), at(12))
    assert {each.error for each in log.lines(at(12))} == {"duplicate_vehicle", "duplicate_topside"}


def test_a_recorder_that_restarted_knows_its_line_again():
    lines = []
    for second in (20, 900):
        log = DuplicateLog()
        log.take(result(span(ended=True)), at(second))
        lines += log.lines(at(second))
    assert lines[0].at != lines[1].at
    assert identity(lines[0]) == identity(lines[1])
    assert LINE.validate_json(lines[0].encode()) == lines[0]
    assert identity(lines[0]) != identity(
        lines[0].model_copy(update={"by_topside": span(until_s=13, ended=True)})
    )


def test_a_flood_of_names_is_bounded():
    log = DuplicateLog()
    for number in range(6000):
        log.take(result(span()).model_copy(update={"vehicle": f"rov{number}"}), at(1))
    assert len(log.lines(at(1))) == 5000


def test_ends_out_of_order_are_refused_with_both():
    payload = result(span()).encode().replace(b'"until_raw_ns":12', b'"until_raw_ns":9', 1)
    with pytest.raises(
        InvalidMessageError, match=r"until_raw_ns: 9000000000 is before at_raw_ns, 10000000000"
    ):
        OffsetResult.decode(payload)


# The report


def of_raw(from_s, to_s):
    """An exchange each second of topside's RAW."""
    labels = {"topside": "laptop", "topside_boot_id": "boot", "instance_id": "one"}
    for second in range(from_s, to_s):
        now_ns = D + second * S
        instants = {"origin_ns": now_ns - 2, "destination_ns": now_ns, "topside_realtime_minus_raw_ns": D}
        yield EXCHANGE.model_copy(update=instants | labels | {"seq": second})


def test_the_report_has_each_once_by_the_laptops_clock_and_none_of_before_the_session():
    log, lines = DuplicateLog(), []
    spans = span(ended=True), span(70, 80), span(70, 80, ended=True)
    for number, each in enumerate(spans):
        log.take(result(each), at(200 + number))
        lines += log.lines(at(200 + number))
    measured = Exchanges.of(of_raw(60, 90))
    (found,) = in_session(lines, "laptop", measured)
    assert when(found) == (spans[1].at, spans[1].until, "laptop")
    others = in_session(lines, "another", measured)
    assert {when(each)[2] for each in others} == {"recorder"}
    (row,) = event_rows([found], measured)
    assert (row.clock, row.what.partition(" until ")[0]) == ("laptop", "two vehicles were named rov1")
    assert "(laptop's clock)" in of_duplicates(NOTHING, [found]).headline
