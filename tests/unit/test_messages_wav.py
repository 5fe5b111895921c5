"""Sidecars of sound recordings: no sample outside its error, the recording as it was."""

import json
import random
import re

import pytest

from tests.effort import tries
from tests.unit.instrument_files import corrected, timeline_with
from tests.unit.recorded_clock import CLOCKS, write_session
from tests.unit.test_messages_mcap_damage import KINDS, damaged
from tests.unit.tracks import S
from tests.unit.wav_files import bext_of, comment_of, recording, wav_bytes
from tidesync.command_line import run
from tidesync.sessions.correction.formats import is_output, output_of
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.messages.wav_header import WavHeader
from tidesync.sessions.messages.wav_start import chosen, starts_of

NAMES = {
    "5678.201130020813": "2020-11-30T02:08:13",
    "20201130_020813": "2020-11-30T02:08:13",
    "SBW1234_20201130_020813": "2020-11-30T02:08:13",
    "PAM_20201130_020813_123": "2020-11-30T02:08:13",
    "AMAR123.1.20201130T020813Z": "2020-11-30T02:08:13+00:00",
    "2020-11-30T02-08-13.250Z": "2020-11-30T02:08:13+00:00",
    "site 2020-11-30 02.08.13": "2020-11-30T02:08:13",
    "20201130T020813-0500_REC": "2020-11-30T02:08:13-05:00",
    "20201130_020813-051": "2020-11-30T02:08:13",
    "20201130_020813-03": "2020-11-30T02:08:13",
    "20201130T020813+02": "2020-11-30T02:08:13+02:00",
    "20201130_020813+0530": "2020-11-30T02:08:13+05:30",
    "20201130T020813.500-03:30": "2020-11-30T02:08:13-03:30",
    "20201130_020813_UTC": "2020-11-30T02:08:13+00:00",
    "20201130_020813 (UTC-3)": "2020-11-30T02:08:13-03:00",
    "20201130T020813Z-001": "2020-11-30T02:08:13+00:00",
    "20201130_020813Zeta": "2020-11-30T02:08:13",
    "20201130020813": "2020-11-30T02:08:13",
    "site-03_20201130_020813_TEST": "2020-11-30T02:08:13",
    "20201130_020813z": "2020-11-30T02:08:13+00:00",
    "S7_201130_020813": "2020-11-30T02:08:13",
}


def sidecar(path):
    return json.loads(output_of(path).read_text(encoding="utf-8"))


def check(path, begin, end):
    """The sidecar; neither its begin nor any of its pieces is outside its error."""
    found = sidecar(path)
    rate = (end - begin) / (found["pieces"][-1]["to_s"] * S)
    assert abs(found["begin"]["topside_unix_ns"] - begin) <= found["begin"]["max_error_ms"] * 1e6
    for piece in found["pieces"]:
        if piece["topside_unix_ns"] is None:
            continue
        for at_s in (piece["from_s"], (piece["from_s"] + piece["to_s"]) / 2, piece["to_s"]):
            stated = piece["topside_unix_ns"] + (at_s - piece["from_s"]) * S * (piece["ratio"] or 1)
            assert abs(stated - begin - at_s * S * rate) <= piece["max_error_ms"] * 1e6
    return found


@pytest.mark.parametrize("name", CLOCKS)
def test_no_sample_is_outside_its_error(name, tmp_path):
    path, begin, end = recording(tmp_path, CLOCKS[name])
    original = path.read_bytes()
    result = corrected(path, timeline_with(path, name, tmp_path / "session"))
    assert path.read_bytes() == original
    assert output_of(path).name == path.stem + ".topside.json"
    found = check(path, begin, end)
    assert (found["audio"], found["vehicle"], found["samples"]) == (path.name, "rov1", 120_000)
    assert (found["sample_rate_hz"], found["sample_clock_max_error_ppm"], found["until"]) == (
        2_000,
        100,
        "samples",
    )
    assert found["begin"]["by"] == "name"
    assert found["begin"]["state"] == "outside"  # for the second of its name alone: it has an instant
    assert found["begin"]["recorded_max_error_ms"] == 1_000
    assert found["rate"]["ratio"] == pytest.approx(1, abs=1e-9)
    assert 100 <= found["rate"]["max_error_ppm"] < 250
    assert [each["to_s"] for each in found["pieces"]] == [60]
    assert result.rows == 61
    assert "if its sample clock is within 100 ppm" in result.remarks[-1]
    written = output_of(path).read_bytes()
    corrected(path, timeline_with(path, name, tmp_path / "session"))
    assert output_of(path).read_bytes() == written


@pytest.mark.parametrize("stem", NAMES)
def test_a_name_says_when_a_recording_began(stem):
    assert chosen(starts_of(stem, WavHeader()), None).start.text == NAMES[stem]


@pytest.mark.parametrize(
    ("stem", "reason"),
    [
        ("dive 7", "neither its name nor its header says"),
        ("5FC45A0D", "neither its name nor its header says"),
        ("20201330_020813", "neither"),
        ("20201130_0208", "neither"),
        ("20201130_020813_20201130_021813", "say with --time-format"),
        ("20201130_020813-0500", "'-0500', which may be a zone or a number: say with --time-format"),
        ("20201130T020813-00-30", "'-00-30', which may be"),
        ("20201130T020813-05", "'-05', which may be"),
        ("20201130T020813+0200Z", "'+0200Z', which is no zone"),
        ("20201130_020813+0207", "'+0207', which is no zone"),
        ("20201130_020813+130", "'+130', which is no zone"),
        ("20201130_020813Z+02", "'Z+02', which is no zone"),
        ("20201130_020813_UTC+5.5", "'UTC+5.5', which is no zone"),
        ("20201130_020813UTC_+2", "'+2', which may be a zone"),
        ("20201130_020813_utc_plus_2", "'plus', which may be a zone"),
        ("20201130_020813_UTC_2", "'_UTC_2', which may be a zone and a number"),
        ("20201130T020813Z-5", "'Z-5', which may be a zone and a number"),
        ("20201130T020813_-0500", "'-0500', which may be a zone"),
        ("20201130_020813_EDT", "'EDT', which may be a zone"),
        ("20201130_020813\u201302", "'\u201302', which may be a zone"),
        ("UTC+2_20201130_020813", "'UTC', which may be a zone"),
        ("2020-11-30 02-08-13 PM", "'PM': hours of half a day"),
        ("Site20201130020000_5678.201130020813", "more than one time"),
    ],
)
def test_a_name_that_is_not_clear_is_not_guessed(stem, reason):
    assert reason in chosen(starts_of(stem, WavHeader()), None)


@pytest.mark.parametrize(
    ("before", "by", "recorded"),
    [
        (
            comment_of("Recorded at 12:00:19 01/05/2026 (UTC) by AudioMoth 24"),
            "comment",
            "2026-05-01T12:00:19+00:00",
        ),
        (
            comment_of("Recorded at 14:00:19.500 01/05/2026 (UTC+2) by HydroMoth"),
            "comment",
            "2026-05-01T14:00:19+02:00",
        ),
        (comment_of("Recorded at 08:30:19 01/05/2026 (UTC-3:30) by"), "comment", "2026-05-01T08:30:19-03:30"),
        (comment_of("Recorded at 17:30:19 01/05/2026 (UTC+0530)"), "comment", "2026-05-01T17:30:19+05:30"),
        (bext_of("2026-05-01", "12:00:19"), "bext", "2026-05-01T12:00:19"),
        (bext_of("2026:05:01", "12-00-20", 43_219 * 2_000), "bext", "2026-05-01T12:00:19"),
    ],
)
def test_a_header_says_when_a_recording_began(before, by, recorded, tmp_path):
    path, begin, end = recording(tmp_path, CLOCKS["drift"], name="dive7.wav", before=before)
    corrected(path, timeline_with(path, "drift", tmp_path / "session"))
    found = check(path, begin, end)
    assert (found["begin"]["by"], found["begin"]["recorded"]) == (by, recorded)


def test_a_header_that_contradicts_the_name_is_not_taken_until_it_is_named(tmp_path):
    before = comment_of("Recorded at 12:05:00 01/05/2026 (UTC) by AudioMoth 24")
    path, begin, end = recording(tmp_path, CLOCKS["drift"], before=before)
    timeline = timeline_with(path, "drift", tmp_path / "session")
    with pytest.raises(
        NoTimestampError, match=r"it began at more than one time \(name: .*comment: .* --column"
    ):
        corrected(path, timeline)
    corrected(path, timeline, column="name")
    check(path, begin, end)
    with pytest.raises(NoTimestampError, match="its bext does not say"):
        corrected(path, timeline, column="bext")


LOCAL, UTC_2 = "20201130_140000", "Recorded at 14:00:00 30/11/2020 (UTC+2)"


@pytest.mark.parametrize(
    ("stem", "comment", "bext", "expected"),
    [
        ("20201130T120000Z", UTC_2, None, "2020-11-30T12:00:00+00:00"),
        ("20201130T140000Z", UTC_2, None, "it began at more than one time"),
        (LOCAL, UTC_2, None, "2020-11-30T14:00:00+02:00"),
        ("20201130_120000", UTC_2, None, "it began at more than one time"),
        ("20201130T120000Z", UTC_2, ("2020-11-30", "14:00:00", 0), "2020-11-30T12:00:00+00:00"),
        ("20201130T120000Z", UTC_2, ("2020-11-30", "13:00:00", 0), "it began at more than one time"),
        (
            LOCAL,
            "Recorded at 14:00:00 30/11/2020 (UTC+25)",
            None,
            "its comment says 'UTC.25', which is no zone",
        ),
        (
            "a",
            "",
            ("2020-11-30", "14:00:00", 50_405 * 10),
            "bext OriginationTime: .*bext TimeReference: .*which",
        ),
        ("a", "", ("2020-11-30", "14:00:00", 50_402 * 10), "2020-11-30T14:00:02"),
        ("a", "", ("2020-11-30", "00:00:01", 86_399 * 10), "2020-11-29T23:59:59"),
        (LOCAL, "", ("2020-11-30", "14:00:00", 2**63), "its bext says TimeReference is .* no time of day"),
        (LOCAL, "", ("9999-12-31", "23:59:59", 2**63), "2020-11-30T14:00:00"),
        ("a", "", ("9999-12-31", "23:59:59", 0), "neither its name nor its header says"),
    ],
)
def test_what_says_the_start_has_to_agree(stem, comment, bext, expected):
    found = chosen(starts_of(stem, WavHeader(rate_hz=10, comment=comment, bext=bext)), None)
    assert re.search(expected, found) if isinstance(found, str) else found.start.text == expected


def test_one_start_without_a_zone_is_not_read_as_utc(tmp_path):
    """Also not where that is the only zone in which it would lie within the session."""
    path, _, _ = recording(tmp_path, CLOCKS["drift"])
    with pytest.raises(UnusableFileError, match=r"its start, .* states no zone, .*say --zone"):
        corrected(path, timeline_with(path, "drift", tmp_path / "session"), zone=None)


def test_a_time_format_reads_a_name_of_another_form_to_the_millisecond(tmp_path):
    path, begin, end = recording(tmp_path, CLOCKS["drift"], name="rec-01.05.2026-12h00m19s200.wav")
    stated = StampOptions(zone="UTC", time_format="%d.%m.%Y-%Hh%Mm%Ss%3f", resolution_ms=2)
    corrected(path, timeline_with(path, "drift", tmp_path / "session"), stamps=stated)
    assert check(path, begin, end)["begin"]["max_error_ms"] < 5
    with pytest.raises(NoTimestampError, match="no part of its name"):
        corrected(
            path,
            timeline_with(path, "drift", tmp_path / "session"),
            stamps=StampOptions(time_format="%Y%m%dT%H%M%S"),
        )


def test_a_start_without_a_zone_is_refused_where_it_is_not_clear(tmp_path):
    path, begin, end = recording(tmp_path, CLOCKS["drift"], name="{:%Y%m%d}_140019.wav")
    timeline = timeline_with(path, "drift", tmp_path / "session")
    with pytest.raises(UnusableFileError, match="--zone"):
        corrected(path, timeline, zone=None)
    corrected(path, timeline, zone="+02:00")
    check(path, begin, end)


def test_a_start_that_is_not_known_is_said_and_nothing_is_claimed(tmp_path):
    path, _, _ = recording(tmp_path, CLOCKS["step"], at_s=62, name="{:%Y%m%d}_120000.wav")
    path = path.rename(tmp_path / "20260501_130000.wav")
    result = corrected(path, timeline_with(path, "step", tmp_path / "session"))
    assert result.counts["outside"] == 61
    assert "its start, 2026-05-01T13:00:00, is outside" in result.remarks
    found = sidecar(path)
    assert (found["begin"]["topside_unix_ns"], found["rate"]) == (None, None)
    assert [each["topside_unix_ns"] for each in found["pieces"]] == [None]
    path = path.rename(tmp_path / "20260501_120058.wav")  # the step is near, the second may be on either side
    timeline = timeline_with(path, "step", tmp_path / "session", max_error_ms=5_000)
    assert corrected(path, timeline).counts["ambiguous"] == 61


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is no WAV file: it is empty"),
        (b"RIFX" + bytes(40), "it is no WAV file: it begins with"),
        (b"RIFF\x04\0\0\0WAVE", "it has no chunk 'fmt'"),
        (wav_bytes(10)[:36], "it has no chunk 'data'"),
        (wav_bytes(10, kind=17), "its samples are compressed"),
        (wav_bytes(10, rate=0), "its format is damaged"),
        (wav_bytes(10).replace(b"\xd0\x07", b"\xd0\x17", 1), "6096 Hz of 2 bytes, but 4000 bytes a second"),
    ],
)
def test_what_is_no_wav_is_named(content, reason, tmp_path):
    path = tmp_path / "20260501_120019.wav"
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=reason):
        corrected(path, timeline_with(path, "drift", tmp_path / "session"))
    assert not output_of(path).exists()


@pytest.mark.parametrize(
    ("length", "samples", "loss"),
    [
        (0, 2_000, "is not stated"),
        (0xFFFFFFFF, 2_000, "is not stated"),
        (9_000, 2_000, "cut off"),
        (3_000, 1_500, "no chunk"),
    ],
)
def test_a_length_that_does_not_fit_is_said(length, samples, loss, tmp_path):
    path = tmp_path / "20260501_120019.wav"
    path.write_bytes(wav_bytes(2_000, length=length))
    result = corrected(path, timeline_with(path, "drift", tmp_path / "session"))
    assert sidecar(path)["samples"] == samples
    assert [loss in each.reason for each in result.outcome.losses] == [True]


def test_a_long_file_states_its_length_elsewhere(tmp_path):
    path = tmp_path / "20260501_120019.wav"
    content = wav_bytes(2_000, length=0xFFFFFFFF)
    ds64 = (
        b"ds64"
        + (28).to_bytes(4, "little")
        + (9).to_bytes(8, "little")
        + (4_000).to_bytes(8, "little")
        + bytes(12)
    )
    path.write_bytes(b"RF64\xff\xff\xff\xffWAVE" + ds64 + content[12:])
    result = corrected(path, timeline_with(path, "drift", tmp_path / "session"))
    assert (sidecar(path)["samples"], result.outcome.losses) == (2_000, [])


def test_damage_is_contained(tmp_path):
    before = comment_of("Recorded at 12:00:19 01/05/2026 (UTC)")
    path, begin, _ = recording(tmp_path, CLOCKS["drift"], seconds=2, before=before)
    timeline = timeline_with(path, "drift", tmp_path / "session")
    whole, chance = path.read_bytes(), random.Random(9)
    for number in range(tries(40)):
        kind, head = KINDS[number % len(KINDS)], 500
        hit = damaged(whole[:head], kind, chance) + whole[head:]
        path.write_bytes(hit if number % 2 else damaged(whole, kind, chance))
        try:
            corrected(path, timeline)
        except (UnusableFileError, NoTimestampError):
            continue
        found = sidecar(path)["begin"]
        if found["recorded"].startswith("2026-05-01T12:00:19"):
            assert abs(found["topside_unix_ns"] - begin) <= found["max_error_ms"] * 1e6


def test_recordings_are_answered_where_they_lie_once_their_clock_is_stated(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["back"])
    folder = session / "in-water_7"
    folder.mkdir()
    path, begin, end = recording(folder, CLOCKS["back"])
    command = ["-q", "correct", str(session), "--sensor", "inWater=rov1", "--zone", "UTC"]
    assert run(command) == 1
    assert "say with --instrument-clock" in capsys.readouterr().out
    own = [*command, "--instrument-clock", "vehicle", "--max-error-ms", "1200", "--sample-clock-ppm", "50"]
    assert run(own) == 0
    assert "61 ok" in capsys.readouterr().out
    assert check(path, begin, end)["begin"]["state"] == "ok"
    assert is_output(output_of(path))
    assert run(own) == 0
    output_of(path).write_text("{}")
    assert run(own) == 1
    assert output_of(path).read_text() == "{}"
