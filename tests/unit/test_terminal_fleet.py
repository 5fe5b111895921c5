"""What the terminal shows of a fleet: rows, ages, lines, the screen; pure."""

import json
import re

import pytest
from rich.console import Console

from broker.inbox import Letter
from broker.interface import Incoming
from runtime.clock import Reading
from schemas import topics
from schemas.choice import FRESH_S
from schemas.instants import utc_from_ns
from schemas.messages import Event, OffsetResult
from tests.results import offset_result
from tests.unit.dashboards import info, session
from tidesync.cli.session import listing
from tidesync.cli.status import _table
from tidesync.dashboard.settings import DashboardSettings
from tidesync.doctor.fleet_checks import vehicle as vehicle_check
from tidesync.figures import ago, decimals_of, error_figure, figure, span
from tidesync.fleet.model import Fleet
from tidesync.fleet.sessions import CLOSING
from tidesync.fleet.vehicle import CONDITION
from tidesync.fleet.waiting import WaitCondition
from tidesync.terminal.text import json_line, plain_line, tracking
from tidesync.terminal.view import View, draw

S = 1_000_000_000
NOON = 1_777_636_800 * S
DIFFERENCE = NOON - 1000 * S


def result(vehicle="rov1", topside="laptop", at_ns=NOON, **changes):
    when = {"measured_at": utc_from_ns(at_ns), "measured_unix_ms": at_ns // 10**6}
    return offset_result(vehicle=vehicle, topside=topside, **when | changes)


def letter(body, kind=topics.OFFSET, at_ns=NOON, *, retain=False, vehicle="rov1", topside="laptop"):
    payload = body.encode()
    names = {"vehicle": vehicle} if "{vehicle}" in kind.template else {}
    names |= {"topside": topside} if "{topside}" in kind.template else {}
    message = Incoming(topics.build("tidesync", kind, **names), payload, retain, reading(at_ns))
    return Letter(topics.Topic(kind, **names), body, message)


def reading(realtime_ns):
    return Reading(realtime_ns - DIFFERENCE, DIFFERENCE, 0)


def rows(*letters, at_ns=NOON):
    return Fleet.of(letters).rows(reading(at_ns))


def screen(view, width=100, height=20):
    console = Console(width=width, height=height, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(draw(view, width, height))
    return console.export_text()


# Rows


def test_a_vehicle_without_a_result_is_a_row_that_nobody_measures():
    (row,) = rows(letter("online", topics.STATUS, retain=True))
    assert (row.vehicle, row.status, row.topside, row.result, row.age_s) == (
        "rov1",
        "online",
        None,
        None,
        None,
    )
    assert not row.fresh


def test_two_topsides_make_two_rows():
    one, two = rows(letter(result()), letter(result(topside="ship"), topside="ship"))
    assert (one.topside, two.topside) == ("laptop", "ship")


def test_a_retained_result_is_as_old_as_its_instant_says():
    (row,) = rows(letter(result(at_ns=NOON - 60 * S), retain=True))
    assert row.age_s == pytest.approx(60)
    assert not row.fresh


def test_a_live_result_is_as_old_as_it_was_heard_though_the_clocks_differ():
    hour = 3600 * S
    (row,) = rows(letter(result(at_ns=NOON + hour)), at_ns=NOON + 2 * S)
    assert row.age_s == pytest.approx(2)
    assert row.fresh


def test_a_live_result_repeated_at_a_reconnect_ages_on():
    same = result()
    (row,) = rows(letter(same), letter(same, at_ns=NOON + 30 * S, retain=True), at_ns=NOON + 31 * S)
    assert row.age_s == pytest.approx(31)


def test_since_when_a_state_holds_is_exact_only_if_the_change_was_seen():
    first = letter(result(state="acquiring"))
    (row,) = rows(first, at_ns=NOON + 5 * S)
    assert (row.since_s, row.since_exact) == (pytest.approx(5), False)
    (row,) = rows(first, letter(result(), at_ns=NOON + 3 * S), at_ns=NOON + 5 * S)
    assert (row.since_s, row.since_exact) == (pytest.approx(2), True)


def test_what_a_broker_repeats_is_not_new():
    fleet = Fleet()
    assert fleet.take(letter(result(), retain=True)) == "new"
    assert fleet.take(letter(result(), retain=True)) == "repeated"
    assert fleet.take(letter(result(at_ns=NOON + S))) == "new"


def test_a_retained_result_is_fresh_up_to_the_same_age_as_a_live_one():
    for age_s, fresh in ((FRESH_S, True), (FRESH_S + 0.1, False)):
        measured_ns = NOON - round(age_s * S)
        (retained,) = rows(letter(result(at_ns=measured_ns), retain=True))
        (live,) = rows(letter(result(), at_ns=measured_ns))
        assert (retained.fresh, live.fresh, DashboardSettings().fresh_s) == (fresh, fresh, FRESH_S)


def test_a_retained_result_of_the_future_is_not_fresh():
    (row,) = rows(letter(result(at_ns=NOON + 60 * S), retain=True))
    assert (row.age_s, row.fresh) == (pytest.approx(-60), False)


def test_names_without_end_take_no_memory_without_end():
    fleet = Fleet(most=10)
    for number in range(100):
        name = f"rov{number}"
        fleet.take(letter(result(name, topside=name), vehicle=name, topside=name))
        fleet.take(letter("online", topics.STATUS, vehicle=name))
        fleet.take(letter("online", topics.TOPSIDE_STATUS, topside=name))
    assert len(fleet.rows(reading(NOON))) <= 20
    assert len(fleet.topsides) == 10


def test_all_that_a_broker_retains_is_shown_however_much():
    many = [letter(result(f"rov{n}"), vehicle=f"rov{n}") for n in range(2500)]
    assert len(rows(*many)) == 2500


# Figures


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (4.21, "4.2 s"),
        (59.96, "1 min 00 s"),
        (192, "3 min 12 s"),
        (7500, "2 h 05 min"),
        (1e6, "11 d 13 h"),
        (9e7, "2 y 311 d"),
    ],
)
def test_a_span_in_words(seconds, words):
    assert span(seconds) == words


def test_what_is_missing_is_never_zero():
    assert figure(None, 3) == "-"
    assert (figure(-0.000_004, 5), figure(-0.000_005_1, 5)) == ("0.00000", "-0.00001")
    assert ago(None) == "never"
    assert "ahead" in ago(-3600)


# In full


def test_a_vehicle_in_full_says_each_thing_in_words():
    topside = letter("online", topics.TOPSIDE_STATUS)
    (row,) = rows(letter(result()), letter("online", topics.STATUS), topside)
    shown = dict(line.split(" : ") for line in tracking(row).splitlines())
    shown = {key.strip(): value for key, value in shown.items()}
    assert shown["Measured by"] == "laptop, online"
    assert shown["Offset"] == "-150.3120 ms (the vehicle is behind laptop)"
    assert shown["Max error"] == "0.4200 ms (-150.7300 to -149.8900)"
    assert shown["Drift"] == "-3.41 ppm ± 0.80 (the vehicle loses 0.295 s a day)"


DUPLICATES = ("duplicate_vehicle", "duplicate_topside")


@pytest.mark.parametrize("error", DUPLICATES)
@pytest.mark.parametrize("conditional", [False, True])
def test_a_duplicates_numbers_are_shown_nowhere_and_the_reason_is(error, conditional):
    heard = letter(result(error=error, state="acquiring", conditional=conditional))
    (row,) = rows(heard)
    surfaces = {
        "status": _table([row]),
        "status rov1": tracking(row),
        "watch": plain_line(heard),
        "screen": screen(View("t", None, [row]), width=160),
    }
    name = "laptop" if error == "duplicate_topside" else "rov1"
    for surface, shown in surfaces.items():
        assert f"are named {name}: no timing of rov1 can be relied on" in shown, surface
        assert not re.search(r"150\.|0\.42|0\.03|3\.41|0\.61", shown), surface
        assert CONDITION not in shown, surface
    assert json.loads(json_line(heard))["offset_ms"] == -150.312


def test_a_duplicate_that_only_the_reader_can_notice_has_no_numbers_in_a_line_either():
    fleet = Fleet()
    for number, process in enumerate("aba"):
        heard = letter(result(at_ns=NOON + number * S, instance_id=process), at_ns=NOON + number * S)
        fleet.take(heard)
    assert "150.3" in plain_line(heard)
    assert "150.3" not in plain_line(fleet.as_known(heard))


def test_an_old_result_is_called_so_by_the_same_word_on_every_surface():
    old = rows(letter(result()), at_ns=NOON + 90 * S)
    assert re.search(r"^rov1 .* old: locked .* 1 min 30 s ago$", _table(old), re.MULTILINE)
    assert "State            : old: locked" in tracking(old[0])
    assert "old: locked" in screen(View("t", None, old))
    assert "old: locked by laptop, not renewed" in vehicle_check(old[0]).found
    condition, _ = waited(letter(result(), retain=True, at_ns=NOON + 90 * S))
    assert "is old" in condition.why_not()


def test_what_was_never_measured_is_not_old():
    (row,) = rows(
        letter(
            result(state="unsynced", error="timeout", at_ns=NOON).model_copy(
                update={"measured_at": None, "measured_unix_ms": None, "offset_ms": None}
            ),
            retain=True,
        )
    )
    assert "old" not in _table([row]) + tracking(row)


def test_each_time_says_by_whose_clock_it_is():
    agent = letter(info(started_at=utc_from_ns(60 * S)), topics.INFO)
    shown = tracking(rows(letter(result()), agent)[0])
    assert "Measured at      : 2026-05-01T12:00:00.000000Z (topside's clock)" in shown
    assert "Age              : 0.0 s ago (this computer's clock)" in shown
    assert "since 1970-01-01T00:01:00.000000Z (the vehicle's clock)" in shown
    assert _table(rows(letter(result()))).endswith("Ages are by this computer's clock.")


@pytest.mark.parametrize(
    ("offset_ms", "words"),
    [
        (1.0, "(the vehicle is ahead of laptop)"),
        (3_600_000.0, "(the vehicle is 1 h 00 min ahead of laptop)"),
        (-1_798_761_600_000.0, "(the vehicle is 57 y 14 d behind laptop)"),
    ],
)
def test_a_long_offset_is_also_in_words(offset_ms, words):
    (row,) = rows(letter(result(offset_ms=offset_ms, lower_ms=offset_ms, upper_ms=offset_ms)))
    assert f"{offset_ms:.4f} ms {words}" in tracking(row)


def test_a_result_of_nulls_in_full_shows_no_zero():
    nothing = dict.fromkeys(("offset_ms", "lower_ms", "upper_ms", "max_error_ms", "u95_ms", "drift_ppm"))
    nothing |= dict.fromkeys(
        ("drift_error_ppm", "delay_min_ms", "boot_id", "measured_at", "measured_unix_ms", "age_s")
    )
    bare = result(state="unsynced", error="timeout").model_copy(update=nothing)
    (row,) = rows(letter(bare))
    assert "0.0" not in tracking(row).replace("0.0 s ago", "")
    assert "unsynced (timeout)" in tracking(row)


def test_a_conditional_result_says_what_it_assumes_on_every_surface():
    silent = result(state="holdover", conditional=True)
    (row,) = rows(letter(silent))
    assert f"Condition        : {CONDITION}" in tracking(row)
    assert plain_line(letter(silent)).endswith(f"; {CONDITION}")
    shown = screen(View("t", None, [row]))
    assert "*0.420" in shown
    assert f"* {CONDITION}" in shown


def test_a_result_that_is_not_conditional_shows_no_condition():
    (row,) = rows(letter(result()))
    assert CONDITION not in tracking(row) + plain_line(letter(result())) + screen(View("t", None, [row]))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "not known who disciplines it"),
        ({"clock_free": True, "clock_max_slew_ppm": 0.0}, "free: nothing disciplines it"),
        (
            {"clock_free": False, "clock_daemons": ("chronyd",), "clock_max_slew_ppm": 83_333.333},
            "disciplined by chronyd, slews up to 83,333 ppm",
        ),
        (
            {"clock_free": False, "clock_max_slew_ppm": 100_500.0},
            "not known yet (it counts as free once it has rested for 60 s)",
        ),
    ],
)
def test_a_vehicle_in_full_says_who_disciplines_its_clock(fields, words):
    (row,) = rows(letter(info(**fields), topics.INFO))
    assert f" : {words}" in tracking(row)


# Lines


def test_a_json_line_has_the_payloads_keys_and_what_it_is():
    line = json.loads(json_line(letter(result(), retain=True)))
    assert (line["what"], line["retained"], line["heard_at"]) == (
        "offset",
        True,
        "2026-05-01T12:00:00.000000Z",
    )
    assert {key: line[key] for key in OffsetResult.model_fields} == json.loads(result().encode())
    word = json.loads(
        json_line(letter(result())._replace(topic=topics.Topic(topics.STATUS, "rov1"), body="online"))
    )
    assert (word["what"], word["vehicle"], word["status"]) == ("status", "rov1", "online")


def test_a_plain_line_names_who_and_what():
    step = Event(vehicle="rov1", kind="step", at=utc_from_ns(NOON), at_raw_ns=0, step_ms=3000.0, boot_id="b")
    assert plain_line(letter(step, topics.EVENT)) == "12:00:00Z rov1 stepped its clock: +3000.000 ms"
    assert (
        plain_line(letter(result()))
        == "12:00:00Z rov1 by laptop: locked -150.3120 ms ± 0.4200, drift -3.41 ppm"
    )


# The screen


def test_the_screen_fits_80_columns_and_shows_the_numbers():
    shown = screen(View("title", None, rows(letter(result()))), width=80)
    assert max(map(len, shown.splitlines())) <= 80
    for word in ("rov1", "locked", "-150.312", "0.420", "-3.41"):
        assert word in shown
    assert "old:" not in shown


@pytest.mark.parametrize("width", [44, 64, 80, 104, 160])
def test_no_number_is_cut_whatever_the_width_and_the_names(width):
    name = "a-vehicle-with-a-very-long-name-indeed"
    long = result(name, state="unsynced", error="clock_rate").model_copy(
        update={"offset_ms": -987654.321, "max_error_ms": 12.345}
    )
    shown = screen(View("title", None, rows(letter(long, vehicle=name))), width=width)
    assert "-987,654.321" in shown
    assert "12.345" in shown
    assert re.search(r"(?<!\d)3 s(?!\w)|0 s", shown)


def test_a_long_offset_is_read_in_its_units_with_the_exact_number_below_it():
    years = result(offset_ms=-(2 * 365 + 311) * 86_400_000.0, max_error_ms=7_312_345.5)
    shown = screen(View("t", None, rows(letter(years))), width=80).splitlines()
    (at,) = [place for place, line in enumerate(shown) if "2 y 311 d behind" in line]
    assert "2 h 01 min" in shown[at]
    assert re.search(r"-89,942,400,000\.000 +7,312,345\.500", shown[at + 1])
    table = _table(rows(letter(years)))
    assert "its clock is 2 y 311 d behind" in table
    assert "-89942400000.0000" in table


def test_rows_of_two_lines_are_counted_as_such():
    many = [letter(result(f"rov{number}", offset_ms=9e9), vehicle=f"rov{number}") for number in range(30)]
    for height in range(8, 40):
        shown = screen(View("title", None, rows(*many)), height=height)
        assert len(shown.splitlines()) <= height
        listed = len(re.findall(r"\brov\d+ ", shown))
        assert f"… and {30 - listed} more" in shown


def test_a_result_that_nobody_renews_is_called_old_and_so_are_all_while_the_broker_is_away():
    assert "old: locked" in screen(View("title", None, rows(letter(result()), at_ns=NOON + 9 * S)))
    away = screen(View("title", "BROKER AWAY for 1 s", rows(letter(result()))))
    assert "BROKER AWAY" in away
    assert "old: locked" in away


def test_vehicles_without_room_are_counted_with_their_trouble():
    many = [letter(result(f"rov{n}"), vehicle=f"rov{n}") for n in range(40)]
    many += [letter(result(f"bad{n}", state="stale"), vehicle=f"bad{n}") for n in range(20)]
    shown = screen(View("title", None, rows(*many)), height=20)
    assert len(shown.splitlines()) <= 20
    listed = len(re.findall(r"\bbad\d+ ", shown))
    assert f"{60 - listed} more, {20 - listed} of them not locked" in shown


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("height", [3, 8, 50])
def test_a_window_of_any_size_is_drawn(width, height):
    view = View(
        "title", "BROKER AWAY", rows(letter(result()), letter("online", topics.STATUS)), (), ("line",) * 50
    )
    assert screen(view, width, height)


def test_markup_in_a_payload_is_shown_not_obeyed():
    odd = letter(result(method="[bold]x[/nonsense]"))
    assert screen(View("[/x] title", None, rows(odd), (), ("[/red] happened",)))


# Waiting


def waited(*letters, max_error_ms=1.0):
    condition = WaitCondition("rov1", max_error_ms)
    return condition, [condition.take(one) for one in letters]


def test_a_fresh_locked_result_within_the_limit_is_what_is_waited_for():
    _, (found,) = waited(letter(result()))
    assert found == result()


def test_a_retained_result_never_counts_however_good():
    condition, found = waited(letter(result(), retain=True))
    assert found == [None]
    assert "is not being measured" in condition.why_not()


@pytest.mark.parametrize(
    ("state", "max_error_ms"), [("acquiring", 0.1), ("holdover", 0.1), ("stale", 0.1), ("locked", 1.5)]
)
def test_another_state_or_a_larger_error_is_not_good_enough(state, max_error_ms):
    condition, found = waited(letter(result(state=state, max_error_ms=max_error_ms)))
    assert found == [None]
    assert state in condition.why_not()
    assert f"{max_error_ms:.4f} ms" in condition.why_not()


def test_a_backlog_that_a_bridge_sends_late_is_not_fresh():
    """An hour old, a second of results in each millisecond."""
    hour = 3600 * S
    late = [letter(result(at_ns=NOON - hour + n * S), at_ns=NOON + n * S // 1000) for n in range(60)]
    condition, found = waited(*late)
    assert set(found) == {None}
    assert "59 min" in condition.why_not()


def test_results_that_keep_pace_with_time_are_fresh_though_the_clocks_differ():
    ahead = [letter(result(at_ns=NOON + 3600 * S + n * S), at_ns=NOON + n * S) for n in range(4)]
    _, found = waited(*ahead)
    assert found[0] is None
    assert found[-1] is not None


def test_another_vehicles_result_is_not_taken():
    condition, found = waited(letter(result("rov2"), vehicle="rov2"))
    assert found == [None]
    assert "nothing was heard of rov1" in condition.why_not()


# Sessions


def recorded(age_s, **changes):
    state = session(**changes)
    fleet = Fleet()
    message = Incoming(
        topics.build("tidesync", topics.SESSION_STATE, session=state.session),
        state.encode(),
        retain=False,
        received=reading(NOON),
    )
    fleet.take(Letter(topics.Topic(topics.SESSION_STATE, session=state.session), state, message))
    (entry,) = fleet.sessions()
    return entry.shown(reading(NOON + round(age_s * S)))


def test_a_session_whose_recorder_is_silent_is_called_so_on_the_screen():
    assert recorded(5).alarm is None
    silent = recorded(20)
    assert "dive-1 recording: silent: its recorder has reported nothing for 20 s" in screen(
        View("t", None, rows(letter(result())), [silent])
    )
    assert recorded(20, state="stopped").alarm is None
    assert recorded(20, alarm="the disk is full").alarm == "the disk is full"


def test_a_stopped_session_that_is_not_written_yet_is_called_so_everywhere():
    closing = session(state="stopped", closing=True)
    message = Incoming("t", closing.encode(), retain=False, received=reading(NOON))
    heard = Letter(topics.Topic(topics.SESSION_STATE, session=closing.session), closing, message)
    fleet = Fleet.of([heard])
    assert [entry.lasts for entry in fleet.sessions()] == [True]
    shown = screen(View("t", None, rows(letter(result())), [closing]), width=160)
    for text in (shown, plain_line(heard), listing([closing], utc_from_ns(NOON), {})):
        assert CLOSING in text
    assert "closing" in listing([closing], utc_from_ns(NOON), {}).split()
    done = heard._replace(body=session(state="stopped"))
    assert [entry.lasts for entry in Fleet.of([done]).sessions()] == [False]
    assert CLOSING not in plain_line(done)


@pytest.mark.parametrize(
    ("error", "value", "shown"),
    [
        (0.0425, -150.25, "0.0425"),
        (0.00031, None, "0.0004"),
        (0.00031, 1.00004, "0.0004"),
        (0.00036, 1.00005, "0.0005"),
        (None, 1.0, "-"),
    ],
)
def test_an_error_is_shown_so_wide_that_it_holds_around_the_shown_value(error, value, shown):
    assert error_figure(error, 4, value) == shown


@pytest.mark.parametrize(
    ("error", "decimals"),
    [(0.42, 4), (0.00551, 4), (0.00071, 5), (0.000099, 6), (2e-9, 6), (31.0, 4), (0.0, 4), (None, 4)],
)
def test_an_error_of_less_than_a_microsecond_has_two_digits(error, decimals):
    assert decimals_of(error, 4) == decimals


def test_numbers_have_the_decimals_that_their_errors_deserve():
    narrow = result(
        offset_ms=44996.476887,
        lower_ms=44996.476178,
        upper_ms=44996.477596,
        max_error_ms=0.000709,
        u95_ms=0.000087,
        drift_ppm=-34.9987,
        drift_error_ppm=0.0378,
        delay_min_ms=0.000625,
        path="udp",
    )
    (row,) = rows(letter(narrow))
    shown = dict(line.split(" : ") for line in re.sub(" +", " ", tracking(row)).splitlines())
    assert shown["Offset"].startswith("44996.47689 ms ")
    assert shown["Max error"] == "0.00072 ms (44996.47617 to 44996.47760)"
    assert shown["95 % error (u95)"] == "0.000090 ms"
    assert shown["Drift"].startswith("-34.999 ppm ± 0.039 ")
    assert shown["Min delay"] == "0.00063 ms"
    assert "locked 44996.47689 ms ± 0.00072, drift -34.999 ppm" in plain_line(letter(narrow))
    assert {"44996.47689", "0.00072", "0.000090", "-34.999", "udp"} <= set(_table([row]).split())
    screenful = screen(View("t", None, [row]), width=160)
    assert {"44,996.47689", "0.00072", "0.000090", "-34.999", "0.00063"} <= set(screenful.split())
