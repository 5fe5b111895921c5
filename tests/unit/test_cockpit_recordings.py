"""Corrected recordings of Cockpit: no answered instant outside its error, and the video as it was."""

import csv
import json
import random
import re

import pytest

from tests.effort import tries
from tests.unit.cockpit_files import HEAD, video_name, write_recording
from tests.unit.recorded_clock import CLOCKS, PiClock, timeline_of, write_session
from tests.unit.test_messages_mcap_damage import KINDS, damaged
from tests.unit.tracks import START, S
from tidesync.command_line import run
from tidesync.sessions.correction.formats import output_of, sidecar_of, unanswered_of
from tidesync.sessions.correction.table import Job
from tidesync.sessions.errors import SessionError, UnusableFileError
from tidesync.sessions.messages.driver import correct_messages


def corrected(path, timeline):
    return correct_messages(Job(path, "rov1"), timeline, lambda _: None)


def rows_of(path):
    with sidecar_of(output_of(path)).open(newline="") as stream:
        return list(csv.DictReader(stream))


def shown_s(text):
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def dialogues(path):
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line.split(",", 9) for line in lines if line.startswith("Dialogue:")]


@pytest.mark.parametrize("name", CLOCKS)
@pytest.mark.parametrize("east_min", [0, -210])
def test_no_answered_point_is_outside_its_error(name, east_min, tmp_path, tmp_path_factory):
    path, begin_ns, truth = write_recording(tmp_path, CLOCKS[name], east_min=east_min, seconds=105)
    original = path.read_bytes()
    result = corrected(path, timeline_of(name, tmp_path_factory))
    assert path.read_bytes() == original
    rows = rows_of(path)
    assert (result.rows, result.malformed) == (len(truth), 0) == (len(rows), 0)
    answered = [row for row in rows if row["time_state"] in {"ok", "holdover"}]
    assert len(answered) > (0.9 if name in {"drift", "slew"} else 0.75) * len(rows)
    truth[int(rows[0]["line"])] = begin_ns  # it is shown from the begin on
    for row in answered:
        error_ns = float(row["time_max_error_ms"]) * 1e6
        assert error_ns < 25e6
        assert abs(int(row["timestamp_topside"]) * 1000 - truth[int(row["line"])]) <= error_ns
    # Events of the corrected file begin where the video shows what they say, to a hundredth.
    first = truth[int(answered[0]["line"])] - round(shown_s(answered[0]["start"]) * S)
    kept = [event for event in dialogues(output_of(path)) if event[3] == "LeftTop"]
    assert len(kept) == len(answered)
    for row, event in zip(answered, kept, strict=True):
        assert abs(shown_s(event[1]) - (truth[int(row["line"])] - first) / S) < 0.045
    assert 5 * (len(rows) - len(answered)) == len(dialogues(unanswered_of(output_of(path))))
    before = {tuple(event[3:9]) for event in dialogues(path)}
    assert {tuple(event[3:9]) for event in dialogues(output_of(path))} <= before


def test_times_of_day_become_topsides_in_their_zone(tmp_path, tmp_path_factory):
    path, _, truth = write_recording(tmp_path, CLOCKS["drift"], east_min=330)
    corrected(path, timeline_of("drift", tmp_path_factory))
    kept = [event[9] for event in dialogues(output_of(path)) if event[3] == "LeftTop"]
    off = 0
    for text, true_ns in zip(kept, truth.values(), strict=True):
        date, time = text.split("\\N")
        assert re.fullmatch(r"\d\d:\d\d:\d\d GMT\+5:30", time)
        hours, minutes, seconds = map(int, time.removesuffix(" GMT+5:30").split(":"))
        true_s = (true_ns // S + 330 * 60) % 86_400
        off += abs(hours * 3600 + minutes * 60 + seconds - true_s) > 1
        assert date.startswith("May 0")
    assert off == 0


def test_a_name_alone_is_known_to_a_second_and_says_so(tmp_path, tmp_path_factory):
    path, _, _ = write_recording(tmp_path, CLOCKS["drift"], times=False)
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert result.corrected == 0
    assert result.form.described == ("the recording's begin is known to ±505 ms by its file's name",)
    assert {row["time_state"] for row in rows_of(path)} == {"outside"}
    assert all(500 < float(row["time_max_error_ms"]) < 600 for row in rows_of(path))


def test_a_recovered_recordings_name_does_not_count_where_its_texts_say_more(tmp_path, tmp_path_factory):
    path, begin_ns, truth = write_recording(tmp_path, CLOCKS["drift"])
    later = path.rename(tmp_path / video_name(START // 1_000_000 + 7_200_000, suffix=".ass"))
    result = corrected(later, timeline_of("drift", tmp_path_factory))
    assert result.corrected > 0.9 * len(truth)
    assert "its name has another begin" in result.outcome.notes[0]
    truth[int(rows_of(later)[0]["line"])] = begin_ns
    for row in rows_of(later):
        error_ns = float(row["time_max_error_ms"]) * 1e6
        assert abs(int(row["timestamp_topside"]) * 1000 - truth[int(row["line"])]) <= error_ns


def test_damage_is_named_and_no_answered_point_is_outside_its_error(tmp_path, tmp_path_factory):
    path, _, truth = write_recording(tmp_path, CLOCKS["back"], seconds=60, begin_s=30)
    whole, timeline, chance = path.read_bytes(), timeline_of("back", tmp_path_factory), random.Random(3)
    lines = whole.decode().splitlines()
    for number in range(tries(16)):
        path.write_bytes(damaged(whole, KINDS[number % len(KINDS)], chance))
        try:
            corrected(path, timeline)
        except UnusableFileError:
            continue
        rows = [row for row in rows_of(path) if row["time_state"] in {"ok", "holdover"}]
        by_times = {tuple(line.split(",")[1:3]): at + 1 for at, line in enumerate(lines) if at % 5 == 0}
        for row in rows[1:]:
            line = by_times.get((row["start"], row["end"]))
            if line in truth:
                error_ns = float(row["time_max_error_ms"]) * 1e6
                assert abs(int(row["timestamp_topside"]) * 1000 - truth[line]) <= error_ns


def test_an_event_that_is_not_in_the_second_that_it_shows_is_left_out_and_named(tmp_path, tmp_path_factory):
    path, _, truth = write_recording(tmp_path, CLOCKS["drift"])
    text = path.read_text(encoding="utf-8")
    at = dialogues(path)[100][1]
    path.write_text(text.replace(f",{at},", ",00:01:33.00,"), encoding="utf-8")
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert [(each.value, each.reason) for each in result.shown] == [
        ("00:01:33.00", "is not in the second that it shows")
    ]
    assert len(dialogues(unanswered_of(output_of(path)))) == 5
    assert result.rows >= len(truth)


@pytest.mark.parametrize(
    "content", ["", "1\n00:00:01,000 --> 00:00:02,000\nx\n", HEAD, "[Events]\nDialogue: 0,0:0,x\n"]
)
def test_what_is_no_subtitle_of_cockpits_is_named_and_nothing_is_written(content, tmp_path, tmp_path_factory):
    path = tmp_path / video_name(START // 1_000_000, suffix=".ass")
    path.write_text(content)
    with pytest.raises(UnusableFileError, match="expected ASS subtitles with events"):
        corrected(path, timeline_of("drift", tmp_path_factory))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_subtitles_of_another_program_are_refused(tmp_path, tmp_path_factory):
    path, *_ = write_recording(tmp_path, CLOCKS["drift"], times=False)
    path = path.rename(tmp_path / "film.ass")
    with pytest.raises(SessionError, match="nothing says when its video began"):
        corrected(path, timeline_of("drift", tmp_path_factory))


@pytest.mark.parametrize("name", CLOCKS)
def test_a_videos_sidecar_has_its_begin_and_rate_and_the_pieces_in_which_the_clock_ran_on(
    name, tmp_path, tmp_path_factory
):
    clock = CLOCKS[name]
    subtitles, begin_ns, _ = write_recording(tmp_path, clock, begin_s=10.2, seconds=100)
    path = subtitles.with_suffix(".mp4")
    path.write_bytes(b"\0" * 1_000)
    result = corrected(path, timeline_of(name, tmp_path_factory))
    assert path.read_bytes() == b"\0" * 1_000
    document = json.loads(output_of(path).read_text(encoding="utf-8"))
    assert output_of(path).name == path.stem + ".topside.json"
    begin = document["begin"]
    assert (begin["by"], begin["state"], document["until"]) == ("subtitles", "ok", "subtitles")
    assert abs(begin["topside_unix_ns"] - begin_ns) <= begin["max_error_ms"] * 1e6 < 30e6
    assert sum(result.counts.values()) == result.rows
    shown_ns = int(clock.shows(begin_ns))
    known = [piece for piece in document["pieces"] if piece["state"] == "ok"]
    assert len(known) == {"drift": 1, "slew": 3}.get(name, 2)
    for piece in known:
        for at_s in (piece["from_s"], (piece["from_s"] + piece["to_s"]) / 2, piece["to_s"]):
            at_ns = piece["topside_unix_ns"] + round((at_s - piece["from_s"]) * (piece["ratio"] or 1) * S)
            away_ns = int(clock.shows(at_ns)) - (shown_ns + round(at_s * S))
            assert abs(away_ns) <= piece["max_error_ms"] * 1e6 * 1.001
    rate = document["rate"]
    if name == "drift":
        assert abs(rate["ppm"] + 40) <= rate["max_error_ppm"] < 100


def test_whose_clock_recorded_it_has_to_be_stated(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["drift"])
    subtitles, begin_ns, _ = write_recording(session, PiClock(), seconds=30)
    video = subtitles.with_suffix(".webm")
    video.write_bytes(b"x")
    table = session / "data.csv"
    rows = [f"177763681{n}25{n},2026-05-01T12:00:1{n}.25{n}Z,1.5\n" for n in range(10)]
    table.write_text("".join(["epoch,timestamp,depth\n", *rows]))
    given = ["-q", "correct", str(session), "--max-error-ms", "200"]
    for path in (subtitles, video, table):
        given += ["--file", str(path)]
    assert run(given) == 2
    assert "--topside-clock that Cockpit on topside's computer recorded it" in capsys.readouterr().err
    assert run([*given, "--topside-clock", "--vehicle", "rov1"]) == 2
    for _ in range(2):
        assert run([*given, "--topside-clock", "--json"]) == 0
    files = json.loads(capsys.readouterr().out.splitlines()[-1])["files"]
    assert [each["vehicle"] for each in files] == [None, None, None]
    assert dialogues(output_of(subtitles)) == dialogues(subtitles)
    document = json.loads(output_of(video).read_text(encoding="utf-8"))
    shown_ns = int(PiClock().shows(begin_ns))
    assert abs(document["begin"]["topside_unix_ns"] - shown_ns) <= document["begin"]["max_error_ms"] * 1e6
    assert document["rate"]["ratio"] == 1.0
    output_of(video).write_text("{}")
    assert run([*given, "--topside-clock"]) == 1
    assert output_of(video).read_text() == "{}"
    assert "was not written by tidesync correct" in capsys.readouterr().out


def test_cockpits_files_in_a_vehicles_folder_are_left_as_they_are(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["drift"])
    folder = session / "in-water_1"
    folder.mkdir()
    write_recording(folder, PiClock(), seconds=10)
    (folder / "Cockpit_Data_Log_2026-05-01_12-00-00.csv").write_text("epoch,timestamp\n1,2\n")
    (folder / "session.csv").write_text("timestamp,value\n2026-05-01T12:00:20Z,1\n")
    run(["-q", "correct", str(session), "--sensor", "inWater=rov1", "--max-error-ms", "2000", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [each["file"].endswith("session.csv") for each in found["files"]] == [True]
    assert sum("of Cockpit's, by its computer's clock" in each for each in found["left"]) == 2


@pytest.mark.parametrize("year", ["9026", "0001"])
def test_a_date_that_no_clock_shows_moves_nothing(year, tmp_path, tmp_path_factory):
    path, *_ = write_recording(tmp_path, CLOCKS["drift"])
    corrected(path, timeline_of("drift", tmp_path_factory))
    before = rows_of(path)
    path.write_text(
        path.read_text().replace(", 2026\\N", f", {year}\\N", 9).replace(f", {year}\\N", ", 2026\\N", 8)
    )
    assert path.read_text().count(f", {year}") == 1
    corrected(path, timeline_of("drift", tmp_path_factory))
    assert [row["timestamp_topside"] for row in rows_of(path)] == [row["timestamp_topside"] for row in before]


@pytest.mark.parametrize("suffix", [".ass", ".mp4"])
@pytest.mark.parametrize("year", ["9026", "0001"])
def test_a_name_with_a_date_that_no_clock_shows_is_refused(suffix, year, tmp_path, capsys):
    write_session(tmp_path, CLOCKS["drift"])
    path = tmp_path / f"Reef (May 01, {year} - 12꞉00꞉09 GMT+0) #1a2b3c4d{suffix}"
    path.write_text(f"{HEAD}\nDialogue: 0,00:00:01.00,00:00:02.00,L,,0,0,0,,x\n")
    assert run(["-q", "correct", str(tmp_path), "--file", str(path), "--topside-clock"]) == 1
    assert "when it" in (error := capsys.readouterr().out) or "when its video began" in error
    assert "fault" not in error
