"""The report's pure parts: intervals and their errors, the verdict's words, the curves; and the command."""

import json
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from schemas.exchange import HTTP
from tests.unit.test_recorder_session import exchange
from tidesync.command_line import run
from tidesync.plotly import script
from tidesync.sessions.journal import lines_of
from tidesync.sessions.report import units
from tidesync.sessions.report.events import EventRow
from tidesync.sessions.report.figures import figure
from tidesync.sessions.report.numbers import numbers
from tidesync.sessions.report.page import Section, render, report_on
from tidesync.sessions.report.ranges import fit_delays
from tidesync.sessions.report.series import Curve, continuous, envelope, joined, slopes_ppm, thinned
from tidesync.sessions.report.session import load
from tidesync.sessions.report.tables import TableStamps
from tidesync.sessions.report.verdict import Interval, coverage, outside, verdict
from topside_agent.estimator import EstimatorSettings, Row, Segment, Track

US = 1_000
MS = 1_000_000
S = 1_000_000_000
NOON = 1_777_636_800 * S
NB = "\N{NO-BREAK SPACE}"


def row(at_s, offset_ms=-150.0, *, error_us=300, segment=0, state="ok"):
    at_ns, offset_ns = NOON + round(at_s * S), round(offset_ms * MS)
    width_ns = round(error_us * US)
    bounds = (offset_ns - width_ns, offset_ns + width_ns // 2)
    return Row("rov1", "laptop", at_ns, at_ns + offset_ns, offset_ns, *bounds, None, segment, state)


def track_of(rows, *causes):
    listed = []
    for number, cause in enumerate(("start", *causes)):
        mine = [row for row in rows if row.segment == number]
        listed.append(
            Segment(
                number, cause, mine[0].topside_unix_ns, mine[-1].topside_unix_ns, mine[0].offset_ns, 0.0, 0
            )
        )
    return Track(rows, listed, None, len(rows), 0)


def exchanges_of(rows, *, over_http=()):
    found = []
    for number, one in enumerate(rows):
        pi_ns = one.pi_unix_ns - MS
        changes = {"destination_ns": one.topside_unix_ns, "origin_ns": one.topside_unix_ns - 2 * MS}
        changes |= {"receive_ns": pi_ns, "transmit_ns": pi_ns}
        if number in over_http:
            changes |= {"method": HTTP.name, "pi_realtime_minus_raw_ns": None}
        found.append(exchange(number, 0).model_copy(update=changes))
    return {one.destination_ns: one for one in found}


def intervals_of(rows, *causes, over_http=()):
    by_instant = exchanges_of(rows, over_http=over_http)
    track = track_of(rows, *causes)
    return coverage(track, by_instant, EstimatorSettings())


def test_a_track_without_a_cut_is_one_covered_interval_with_its_greatest_error():
    rows = [row(second / 4, error_us=900 if second == 77 else 300) for second in range(400)]
    (only,) = intervals_of(rows)
    assert (only.kind, only.from_ns, only.to_ns) == (
        "covered",
        rows[0].topside_unix_ns,
        rows[-1].topside_unix_ns,
    )
    assert 900 * US <= only.error_ns < 901 * US


def test_a_silence_is_a_gap_whose_error_allows_for_the_wander_on_the_way():
    rows = [row(0), row(1), row(301), row(302)]
    kinds = intervals_of(rows)
    assert [interval.kind for interval in kinds] == ["covered", "gap", "covered"]
    wander_ns = 5e-7 * 150**1.5 * 1e9
    assert kinds[1].error_ns == pytest.approx(300 * US + wander_ns, rel=1e-3)
    assert kinds[0].error_ns < 301 * US


def test_without_raw_clocks_slews_and_steps_between_two_rows_are_allowed_for():
    (only,) = intervals_of([row(0, -150, error_us=1000), row(2, -150.2, error_us=1000)], over_http=(0, 1))
    own, slewed, between = MS, 700e-6 * S, 0.2 * MS
    assert only.error_ns == pytest.approx(own + slewed + between, rel=0.01)


def test_a_step_is_uncertain_from_the_last_valid_row_before_it_to_the_first_after_it():
    rows = [row(0), row(1), row(2, state="ambiguous")]
    rows += [row(3, 2850, segment=1, state="ambiguous"), row(4, 2850, segment=1)]
    before, cut, after = intervals_of(rows, "step")
    assert (cut.kind, cut.cause, cut.jump_ns, cut.error_ns) == ("uncertain", "step", 3 * S, None)
    assert (cut.from_ns, cut.to_ns) == (NOON + S, NOON + 4 * S)
    assert (before.to_ns, after.from_ns) == (cut.from_ns, cut.to_ns)


def test_a_change_between_mqtt_and_http_is_reported_as_such():
    rows = [row(0), row(1), row(3, segment=1), row(5, segment=1)]
    intervals = intervals_of(rows, "start", over_http=(2, 3))
    assert [interval.kind for interval in intervals] == ["covered", "uncertain", "http"]
    assert intervals[1].cause == "method"


def covered(from_s, to_s, error_ms=0.55):
    return Interval("covered", NOON + round(from_s * S), NOON + round(to_s * S), round(error_ms * MS))


STEP = Interval("uncertain", NOON + 1200 * S, NOON + 1212 * S, None, "step", 3 * S)


def test_the_verdict_says_in_plain_words_what_holds_and_what_does_not():
    found = verdict([covered(3, 1200), STEP, covered(1212, 2470, 0.21)])
    assert found.grade == "yes"
    assert found.headline == (
        "every timestamp between 2026-05-01 12:00:03 and 12:41:10 UTC (laptop's clock) can be put on the"
        f" laptop's clock to within 0.55{NB}ms, apart from 1 interval that the report lists."
    )
    why = f"the Pi's clock was stepped by +3.000{NB}s"
    assert found.exceptions == [f"12{NB}s around 12:20:00 (laptop's clock) are uncertain because {why}."]


def test_a_gap_is_reported_with_its_own_error():
    gap = Interval("gap", NOON + 60 * S, NOON + 360 * S, 1_234_567)
    (shown,) = verdict([covered(0, 60), gap, covered(360, 400)]).exceptions
    assert shown.startswith(f"For 5{NB}min 0{NB}s from 12:01:00 (laptop's clock) nothing was measured")
    assert f"1.3{NB}ms" in shown


def test_what_http_alone_measured_does_not_widen_the_rest():
    over_http = Interval("http", NOON + 60 * S, NOON + 180 * S, 44 * MS)
    found = verdict([covered(0, 60), over_http, covered(180, 4000)])
    assert f"within 0.55{NB}ms" in found.headline
    (shown,) = found.exceptions
    assert shown.startswith(
        f"For 2{NB}min 0{NB}s from 12:01:00 (laptop's clock) the vehicle answered over HTTP alone"
    )
    assert shown.endswith(f"good to within 44{NB}ms.")
    assert f"within 44{NB}ms" in verdict([over_http]).headline


@pytest.mark.parametrize(
    ("intervals", "grade"),
    [
        ([covered(0, 100)], "yes"),
        ([covered(0, 100, 25)], "yes"),
        ([covered(0, 100, 25.001)], "no"),
        ([covered(0, 50), covered(50, 100, 26)], "partly"),
        ([covered(0, 1200), STEP, covered(1212, 2400)], "yes"),
        ([covered(1150, 1200), STEP], "partly"),
        ([STEP], "no"),
        ([], "no"),
        ([covered(0, 0)], "no"),
    ],
)
def test_the_grade_follows_the_time_that_is_good_to_within_the_consumers_tolerance(intervals, grade):
    assert verdict(intervals).grade == grade


def test_of_many_cuts_the_longest_are_listed_and_the_rest_is_counted():
    listed = [covered(0, 1)]
    for number in range(40):
        start = 10 + 10 * number
        listed += [
            Interval("uncertain", NOON + start * S, NOON + (start + 1 + number % 7) * S, None, "step", MS)
        ]
    found = verdict([*listed, covered(500, 501)]).exceptions
    assert len(found) == 13
    assert "28 shorter intervals more" in found[-1]
    assert any(sentence.startswith(f"7{NB}s") for sentence in found)


def test_the_ends_of_the_session_that_were_not_measured_are_reported():
    first, last = NOON, NOON + 60 * S
    assert outside(first, last, first - S, last + S) == []
    assert outside(first, last, None, None) == []
    shown = outside(first, last, first - 12 * S, last + 125 * S)
    assert f"first 12{NB}s" in shown[0]
    assert f"last 2{NB}min 5{NB}s" in shown[1]


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (0, "0 ms"), (310, "0.31 µs"), (9_999, "10.0 µs"), (10_000, "0.010 ms"), (421_000, "0.43 ms"),
        (550_000, "0.55 ms"), (12_000_001, "13 ms"), (123_000_000, "130 ms"), (3_010_000_000, "3.01 s"),
    ],
)  # fmt: skip
def test_an_error_is_rounded_up(ns, shown):
    assert units.error(ns).replace(NB, " ") == shown


def test_no_error_is_shown_smaller_than_it_is():
    scale = {"µs": 1e3, "ms": 1e6, "s": 1e9}
    for ns in np.geomspace(1, 1e13, 3001).tolist():
        value, unit = units.error(ns).split(NB)
        assert float(value) * scale[unit] >= ns * (1 - 1e-9)
        assert float(value) * scale[unit] <= ns * 1.11


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (3 * S, "+3.000 s"),
        (-12_345_678, "−12.346 ms"),
        (40_000, "+40 µs"),
        (-5000 * S, "−5,000.000 s"),
        (24, "+0.02 µs"),
        (-9_999, "−10.00 µs"),
    ],
)
def test_a_step_is_shown_with_its_sign(ns, shown):
    assert units.signed(ns).replace(NB, " ") == shown


def test_times_of_another_day_have_their_date():
    assert units.clock_time(NOON, near_ns=NOON + S) == "12:00:00"
    assert units.clock_time(NOON + 86_400 * S, near_ns=NOON) == "2026-05-02 12:00:00"


def test_thinning_hides_no_extreme_and_keeps_the_ends():
    at_ns = NOON + np.arange(100_000, dtype=np.int64) * 250 * MS
    values = np.random.default_rng(1).normal(size=at_ns.size)
    values[31_415], values[27_182] = 99.0, -99.0
    few = thinned(at_ns, values)
    assert few.at_ns.size <= 2400
    assert (few.values.max(), few.values.min()) == (99.0, -99.0)
    assert (few.at_ns[0], few.at_ns[-1]) == (at_ns[0], at_ns[-1])
    assert np.all(np.diff(few.at_ns) >= 0)
    assert few.at_ns[few.values.argmax()] == at_ns[31_415]
    least, greatest = envelope(at_ns, values)
    assert (least.values.min(), greatest.values.max()) == (-99.0, 99.0)
    assert np.all(least.values <= greatest.values)


def test_no_line_is_drawn_across_a_gap_a_cut_or_a_clock_set_back():
    at_ns = NOON + np.array([0, 1, 100, 101, 102, 50, 51], dtype=np.int64) * S
    segment = np.array([0, 0, 0, 0, 1, 1, 1])
    parts = continuous(at_ns, segment)
    assert [(part.start, part.stop) for part in parts] == [(0, 2), (2, 4), (4, 5), (5, 7)]
    curve = joined([Curve(at_ns[part], np.ones(part.stop - part.start)) for part in parts])
    assert np.isnan(curve.values).tolist() == [bool(c == "x") for c in "..x..x.x.."]
    assert continuous(at_ns[:0], segment[:0]) == []
    assert joined([]).at_ns.size == 0


def test_the_slope_of_a_straight_line_is_its_drift():
    at_ns = NOON + np.arange(2000, dtype=np.int64) * 250 * MS
    found = slopes_ppm(at_ns, (at_ns - NOON) * 18e-6 + 1e15)
    assert found.values == pytest.approx(18, abs=0.01)
    assert slopes_ppm(at_ns[:2], np.zeros(2)).at_ns.size == 0


def long_rows():
    rows = [row(n / 4, -150 + n * 18e-6 * 250, error_us=300 + 2000 * (n == 4321)) for n in range(12_000)]
    return rows + [row(3003 + n / 4, 2904 + n * 18e-6 * 250, segment=1) for n in range(8000)]


@pytest.mark.slow
def test_the_figure_of_a_long_session_is_small_and_shows_the_widest_bound():
    rows = long_rows()
    by_instant = exchanges_of(rows)
    made = figure(track_of(rows, "step"), list(by_instant.values()), by_instant, intervals_of(rows, "step"))
    text = json.dumps(made, allow_nan=False)
    assert len(text) < 600_000
    lower = next(trace for trace in made["data"] if trace["name"] == "least possible")
    assert min(value for value in lower["y"] if value is not None) == pytest.approx(-2.3, abs=0.01)
    assert None in lower["y"]  # broken at the step
    assert {trace.get("yaxis") for trace in made["data"]} == {"y", "y2", "y3", "y4"}
    assert [shape["type"] for shape in made["layout"]["shapes"]] == ["rect"]
    assert any("step" in note["text"] for note in made["layout"]["annotations"])


@pytest.mark.parametrize(
    ("rows", "delays", "is_drawn"),
    [(30, "each one", False), (34, "each one", True), (400, "each one", True), (401, "(dotted)", True)],
)
def test_the_titles_say_what_is_drawn(rows, delays, is_drawn):
    rows = [row(n / 4, 150 + n * 1e-3) for n in range(rows)]
    by_instant = exchanges_of(rows)
    made = figure(track_of(rows), list(by_instant.values()), by_instant, intervals_of(rows))
    drift, delay = (note["text"] for note in made["layout"]["annotations"][2:4])
    assert delays in delay
    assert ("not drawn" in drift) != is_drawn
    curve = next(trace for trace in made["data"] if trace["name"] == "drift")
    assert bool(curve["y"]) == is_drawn
    assert ("markers" in curve["mode"]) == (len(rows) < 100)  # a line too short to be seen
    markers = {"markers" in trace["mode"] for trace in made["data"] if trace["yaxis"] == "y4"}
    assert markers == {delays == "each one"}


@pytest.mark.parametrize("offset_ms", [-1_795_499_999_999.8, 3_600_000.25, 60_001.0])
def test_an_offset_of_years_is_drawn_from_a_whole_second_so_that_its_last_digits_are_read(offset_ms):
    rows = [row(n / 4, offset_ms + n * 1e-3) for n in range(400)]
    by_instant = exchanges_of(rows)
    made = figure(track_of(rows), list(by_instant.values()), by_instant, intervals_of(rows))
    title = made["layout"]["annotations"][0]["text"]
    base_ms = round(offset_ms / 1000) * 1000
    assert title.replace("−", "-").replace(NB, " ").startswith(f"Offset, ms from {base_ms:,} ms: ")
    offset = next(trace for trace in made["data"] if trace["name"] == "offset")
    assert offset["y"][0] == pytest.approx(offset_ms - base_ms, abs=1e-3)
    lower, upper = (
        next(trace for trace in made["data"] if trace["name"] == name)["y"]
        for name in ("least possible", "greatest possible")
    )
    assert lower[0] == pytest.approx(-0.3, abs=1e-3)
    assert upper[0] == pytest.approx(0.15, abs=1e-3)
    shown = dict(numbers(track_of(rows), list(by_instant.values()), intervals_of(rows), [], {}))
    at_the_end = shown["Offset at the end"].replace(NB, " ").replace("−", "-")
    assert at_the_end.startswith(f"{offset_ms + 0.399:,.3f} ms (")


@pytest.mark.parametrize(
    ("offsets_ms", "unit", "ms"),
    [
        ((-1_795_499_999_999.8, 0.5), "days", 86_400_000),
        ((3_600_000.0, 0.5), "s", 1000),
        ((-150.0, 99_850.0), "ms", 1),
        ((59_000.0,), "ms", 1),
        ((0.0,), "ms", 1),
    ],
)
def test_an_offset_that_steps_far_is_drawn_in_a_unit_whose_numbers_are_short(offsets_ms, unit, ms):
    rows = [
        row(100 * segment + n / 4, offset_ms, segment=segment)
        for segment, offset_ms in enumerate(offsets_ms)
        for n in range(400)
    ]
    causes = ["step"] * (len(offsets_ms) - 1)
    by_instant = exchanges_of(rows)
    made = figure(track_of(rows, *causes), list(by_instant.values()), by_instant, intervals_of(rows, *causes))
    assert made["layout"]["annotations"][0]["text"].startswith(f"Offset, {unit}: ")
    offset = next(trace for trace in made["data"] if trace["name"] == "offset")
    assert offset["hovertemplate"].endswith(f" {unit}")
    drawn = {value for value in offset["y"] if value is not None}
    assert sorted(drawn) == pytest.approx(sorted(each / ms for each in offsets_ms), rel=1e-6, abs=6e-4)


def test_a_step_of_years_is_labelled_in_its_units():
    assert units.step(-1_795_499_999_999_800_000).replace(NB, " ") == "−56 y 341 d"
    assert units.step(3 * S).replace(NB, " ") == "+3.000 s"


def test_a_laptop_whose_clock_was_set_back_is_drawn_too():
    rows = [row(n / 4) for n in range(4000)] + [row(900 + n / 4, 99_850, segment=1) for n in range(4000)]
    by_instant = exchanges_of(rows)
    ordered = sorted(by_instant.values(), key=lambda one: one.destination_ns)
    intervals = intervals_of(rows, "topside_step")
    made = figure(track_of(rows, "topside_step"), ordered, by_instant, intervals)
    offset = next(trace for trace in made["data"] if trace["name"] == "offset")
    assert {value for value in offset["y"] if value is not None} == {-150.0, 99_850.0}
    (cut,) = [interval for interval in intervals if interval.kind == "uncertain"]
    assert (cut.duration_ns, cut.jump_ns) == (0, 100 * S)


def test_the_numbers_include_the_error_of_one_offset_for_the_whole_session():
    rows = [row(0, -150.0), row(60, -151.0), row(120, -152.0)]
    by_instant = exchanges_of(rows)
    shown = dict(
        numbers(track_of(rows), list(by_instant.values()), intervals_of(rows), [], {"inWater": -150.25})
    )
    label = next(label for label in shown if "inWater" in label)
    assert shown[label].replace(NB, " ") == "2.1 ms"  # the bound of the last row included
    assert shown["Mean drift in the longest segment"].startswith("−16.7 ± ")


def test_the_numbers_have_the_decimals_that_less_than_a_microsecond_deserves():
    rows = [row(second, 44_996.476_887, error_us=0.7) for second in range(3)]
    by_instant = {
        at_ns: one.model_copy(update={"origin_ns": one.destination_ns - 625})
        for at_ns, one in exchanges_of(rows).items()
    }
    shown = dict(numbers(track_of(rows), list(by_instant.values()), intervals_of(rows), [], {}))
    assert shown["Offset at the end"].replace(NB, " ") == "44,996.47689 ms"
    assert shown["Delay: least, half, 95 %, greatest"].replace(NB, " ").startswith("0.00063 ms, ")


def test_the_drift_is_that_of_the_raw_clocks_although_a_wall_clock_was_set_a_little():
    rows = [
        row(0, 0.0, error_us=1),
        row(50, 0.15, error_us=1),
        row(100, -0.1, error_us=1),
    ]  # 3 ppm, set by -0.4 ms
    by_instant = exchanges_of(rows)
    for at_ns, one in by_instant.items():
        set_ns = -400_000 if at_ns == rows[-1].topside_unix_ns else 0
        raw = {"pi_realtime_minus_raw_ns": S + set_ns, "topside_realtime_minus_raw_ns": 5}
        by_instant[at_ns] = one.model_copy(update=raw)
    exchanges = list(by_instant.values())
    shown = dict(numbers(track_of(rows), exchanges, intervals_of(rows), [], {}))
    assert shown["Mean drift in the longest segment"].startswith("+3.00")
    bare = [one.model_copy(update={"pi_realtime_minus_raw_ns": None}) for one in exchanges]
    shown = dict(numbers(track_of(rows), bare, intervals_of(rows), [], {}))
    assert shown["Mean drift in the longest segment"].startswith("−1.00")


def test_what_is_shown_as_0_has_no_sign():
    assert units.milliseconds(-24, 4).replace(NB, " ") == "0.0000 ms"
    assert units.milliseconds(-24, 5).replace(NB, " ") == "−0.00002 ms"


def microseconds(wide_at=()):
    """The figure of four exchanges a second with bounds of 0.5 µs, of 2 ms at some."""
    rows = [row(n / 4, n * 1e-7, error_us=2000 if n in wide_at else 0.543_21) for n in range(500)]
    by_instant = {
        at_ns: one.model_copy(update={"origin_ns": one.destination_ns - 625})
        for at_ns, one in exchanges_of(rows).items()
    }
    return figure(track_of(rows), list(by_instant.values()), by_instant, intervals_of(rows))


def test_a_curve_of_less_than_a_microsecond_has_numbers_that_differ():
    made = microseconds()
    assert made["layout"]["yaxis"]["tickformat"] == ",.6~f"
    hover = {trace["name"]: trace["hovertemplate"] for trace in made["data"]}
    assert hover["offset"] == "%{y:.5f} ms"
    assert hover["least possible"] == hover["greatest possible"] == "%{y:.6f} ms"
    assert hover["least"] == "%{y:.5f} ms"
    assert made["layout"]["yaxis4"]["range"] == [-4, -3]
    assert made["layout"]["yaxis4"]["dtick"] == 1


def test_the_decades_of_delays_have_room_on_paper():
    panels = {"yaxis4": {}}
    fit_delays(panels, np.array([0, 580, 10_550_000], dtype=np.int64))
    assert panels["yaxis4"] == {"range": [-4, 2], "dtick": 2}


def test_an_edge_of_the_band_is_drawn_no_nearer_than_it_is():
    rows = [row(n / 4, 0.0, error_us=54.321) for n in range(100)]
    by_instant = exchanges_of(rows)
    made = figure(track_of(rows), list(by_instant.values()), by_instant, intervals_of(rows))
    edges = {trace["name"]: {*trace["y"]} for trace in made["data"] if "possible" in trace["name"]}
    assert edges == {"least possible": {-0.0544}, "greatest possible": {0.0272}}  # of −0.054321 and 0.027160


@pytest.mark.parametrize(
    ("wide_at", "times"), [((), None), ((77,), "1 exchange"), ((10, 490), "2 exchanges")]
)
def test_a_band_that_is_far_wider_now_and_then_is_shown_as_it_is_mostly_and_the_title_says_so(wide_at, times):
    made = microseconds(wide_at)
    title = made["layout"]["annotations"][1]["text"]
    assert title.endswith(f"within the band, cut at {times}" if times else "within the band")
    assert len(title) <= 100, "as many characters as a printed line has"
    shown = made["layout"]["yaxis2"].get("range")
    assert (shown is not None) == bool(wide_at)
    if shown:
        assert -0.002 < shown[0] < -0.000_543
        assert 0.000_272 < shown[1] < 0.002
        drawn = {trace["name"]: trace["y"] for trace in made["data"]}
        assert min(drawn["least possible"]) <= -2, "all of it is there, for who looks from further away"


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def test_names_are_escaped_everywhere_on_the_page():
    hostile = Section(
        HOSTILE,
        "yes",
        HOSTILE,
        [HOSTILE],
        {"data": [{"name": HOSTILE}]},
        [(HOSTILE, HOSTILE)],
        [EventRow(HOSTILE, HOSTILE, HOSTILE)],
    )
    html = render(
        HOSTILE,
        [(HOSTILE, HOSTILE)],
        [HOSTILE],
        [hostile],
        "/* plotly */",
        tables=[TableStamps(HOSTILE, HOSTILE, 1)],
    )
    assert "<script>alert" not in html
    assert "<img" not in html
    assert html.count("<script") == 3
    assert html.count("</script>") == 3
    assert html.count("<h1>") == html.count('<meta name="description" content="How far') == 1


# The command


def session_in(folder, *, mission="reef-42", exchanges=b"", block=None):
    inside = folder / "session_2026-05-01T12-00-00Z"
    (inside / "time_sync").mkdir(parents=True)
    document = {
        "mission": mission,
        "timeSync": {
            "inWater": {
                "method": "x",
                "offsetMs": -150.0,
                "uncertaintyMs": 1,
                "measuredAt": None,
                "error": None,
            },
            "tidesync": {"sensors": {"inWater": "rov1"}, "state": "stopped", "vehicles": {}} | (block or {}),
        },
    }
    (inside / "sync_metadata.json").write_text(json.dumps(document))
    (inside / "time_sync" / "exchanges.jsonl").write_bytes(exchanges)
    return inside


def measured_lines(count=60):
    """Exchanges four a second, 1 ms each way, the Pi 150 ms behind."""
    raw = NOON - 1000 * S
    listed = []
    for number in range(count):
        origin = NOON + number * S // 4
        listed.append(
            exchange(number, 0).model_copy(
                update={
                    "origin_ns": origin,
                    "receive_ns": origin + MS - 150 * MS,
                    "transmit_ns": origin + MS - 150 * MS,
                    "destination_ns": origin + 2 * MS,
                    "pi_realtime_minus_raw_ns": raw,
                    "topside_realtime_minus_raw_ns": raw,
                }
            )
        )
    return lines_of(listed)


def test_the_report_is_one_file_with_the_verdict_and_the_script_inside(tmp_path, capsys):
    folder = session_in(tmp_path, mission=HOSTILE, exchanges=measured_lines())
    assert run(["report", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "every timestamp between 2026-05-01 12:00:00 and 12:00:14 UTC" in shown
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "every timestamp between 2026-05-01 12:00:00 and 12:00:14 UTC" in html
    assert "plotly.js (basic - minified) v" in html
    assert len(html) < 1_500_000
    assert "<script>alert" not in html
    ours = html.replace(script(), "")
    assert len(ours) < len(html) / 10
    assert "http" not in ours.replace("http-equiv", "")


def test_the_verdicts_are_one_json_document_for_programs(tmp_path, capsys):
    folder = session_in(tmp_path, exchanges=measured_lines())
    assert run(["report", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["output"] == str(folder / "report.html")
    (vehicle,) = document["vehicles"]
    assert (vehicle["vehicle"], vehicle["topside"], vehicle["grade"]) == ("rov1", "topside", "yes")
    assert 0 < vehicle["max_error_ms"] < 2
    (folder / "time_sync" / "exchanges.jsonl").unlink()
    assert run(["report", str(folder), "--json"]) == 0
    (vehicle,) = json.loads(capsys.readouterr().out)["vehicles"]
    assert (vehicle["vehicle"], vehicle["grade"], vehicle["max_error_ms"]) == ("rov1", "no", None)


def test_output_sets_the_reports_path_and_the_same_data_gives_the_same_bytes(tmp_path):
    folder = session_in(tmp_path, exchanges=measured_lines())
    for name in ("a.html", "b.html"):
        assert run(["report", str(folder), "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert not (folder / "report.html").exists()


def test_a_session_without_measurement_is_reported_as_one_that_cannot_be_trusted(tmp_path, capsys):
    folder = session_in(tmp_path)
    assert run(["report", str(folder)]) == 0
    assert "rov1: nothing was measured" in capsys.readouterr().out
    assert "cannot be trusted" in (folder / "report.html").read_text(encoding="utf-8")


def test_torn_lines_and_a_broken_metadata_file_are_noted_and_the_rest_is_reported(tmp_path):
    folder = session_in(tmp_path, exchanges=measured_lines() + b'{"torn')
    (folder / "sync_metadata.json").write_text("{")
    session = load(folder)
    assert len(session.faults) == 2
    html = report_on(session, "").html
    assert "1 of 61 lines" in html
    assert "sync_metadata.json cannot be read" in html
    assert "can be trusted" in html


def test_events_are_shown_in_words(tmp_path):
    folder = session_in(tmp_path, exchanges=measured_lines())
    at = "2026-05-01T12:00:05.000000Z"
    step = {"vehicle": "rov1", "kind": "step", "at": at, "at_raw_ns": 1, "step_ms": 3000.0, "boot_id": "b"}
    outage = {"vehicle": "rov1", "kind": "outage", "at": at, "until": "2026-05-01T12:00:17.000000Z"}
    other = {"vehicle": "rov2", "kind": "reboot", "at": at, "boot_id": "c"}
    lines = "".join(json.dumps({"schema_version": 1} | event) + "\n" for event in (step, outage, other))
    (folder / "time_sync" / "events.jsonl").write_text(lines + "not ours\n")
    html = report_on(load(folder), "").html.replace(NB, " ")
    assert "stepped by +3.000 s" in html
    assert "nothing recorded for 12 s" in html
    assert "restarted" not in html  # rov2 is in no section of this session


def test_a_second_topside_has_a_section_of_its_own_after_the_one_in_the_metadata(tmp_path):
    both = measured_lines() + measured_lines().replace(b'"topside":"topside"', b'"topside":"another"')
    folder = session_in(tmp_path, exchanges=both, block={"vehicles": {"rov1": {"topside": "topside"}}})
    lines = report_on(load(folder), "").lines
    assert [line.partition(":")[0] for line in lines] == [
        "rov1, as topside measured it",
        "rov1, as another measured it",
    ]


def test_a_folder_that_is_no_session_and_an_output_that_cannot_be_written_are_not_so(tmp_path, capsys):
    assert run(["report", str(tmp_path)]) == 1
    assert "no session's folder" in capsys.readouterr().err
    folder = session_in(tmp_path, exchanges=measured_lines())
    assert run(["report", str(folder), "--output", str(tmp_path / "nowhere" / "a.html")]) == 1
    assert run(["report", str(tmp_path / "nowhere")]) == 2


@pytest.mark.parametrize("missing", ["jinja2"])
def test_without_what_the_page_is_made_with_the_command_names_the_extra(
    tmp_path, monkeypatch, capsys, missing
):
    for name in ("tidesync.cli.report", "tidesync.sessions.report.page"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert run(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("is not installed here; it comes with: pip install tidesync\n")


def test_a_gap_event_counts_what_was_lost():
    rows = [row(0), row(1)]
    by_instant = exchanges_of(rows)
    lost = [SimpleNamespace(kind="gap", from_seq=3, to_seq=7)]
    shown = dict(numbers(track_of(rows), list(by_instant.values()), intervals_of(rows), lost, {}))
    assert shown["Exchanges lost on the way to the recorder"] == "5"
    assert not math.isnan(float(shown["Exchanges"].split()[0]))
