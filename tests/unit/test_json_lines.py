"""Corrected JSON lines: no answered time outside its error, and every other byte as it was."""

import contextlib
import gzip
import json
import random
from fractions import Fraction

import numpy as np
import pytest

from tests.effort import tries
from tests.unit.line_files import decimal_s, iso, write_json_lines
from tests.unit.recorded_clock import CLOCKS, timeline_of, write_session
from tests.unit.test_messages_mcap_damage import KINDS, damaged
from tests.unit.tracks import S
from tidesync.command_line import run
from tidesync.sessions.correction.driver import correct
from tidesync.sessions.correction.formats import is_table, output_of
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Job
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

WRITTEN = {
    "iso": lambda ns: json.dumps(iso(ns)),
    "iso ms": lambda ns: json.dumps(iso(ns, 3)),
    "s": decimal_s,
    "s in quotes": lambda ns: f'"{decimal_s(ns)}"',
    "ms": lambda ns: str(int(ns) // 1_000_000),
    "ns": lambda ns: str(int(ns)),
}


def corrected(path, timeline, **stated):
    return correct(Job(path, "rov1", **stated), timeline, lambda _: None)


def objects(path):
    return [json.loads(line, parse_float=Fraction) for line in path.read_text(encoding="utf-8").splitlines()]


def unix_ns(value, unit="s"):
    if isinstance(value, str) and "T" in value:
        return int(np.datetime64(value.removesuffix("Z"), "ns").astype(np.int64))
    return round(Fraction(value) * {"s": S, "ms": 1_000_000, "ns": 1}[unit])


def without_keys(line):
    """The bytes before the new keys, and what follows them."""
    before, _, rest = line.rpartition(b', "timestamp_topside": ')
    return before + rest[rest.rindex(b'"') + 1 :]


@pytest.mark.parametrize(
    ("form", "name"),
    [*((form, name) for form in WRITTEN for name in ("back", "reboot")), *(("iso", name) for name in CLOCKS)],
)
def test_no_answered_time_is_outside_its_error_and_every_other_byte_is_kept(
    form, name, tmp_path, tmp_path_factory
):
    path = tmp_path / "sonar.jsonl"
    truth = write_json_lines(path, CLOCKS[name], WRITTEN[form], rate=4)
    original = path.read_bytes()
    result = corrected(path, timeline_of(name, tmp_path_factory))
    assert path.read_bytes() == original
    assert (result.rows, result.malformed) == (len(truth), 0)
    assert result.corrected > 0.8 * len(truth)
    written = output_of(path).read_bytes()
    assert b"".join(map(without_keys, written.splitlines(keepends=True))) == original
    for each, at_ns in zip(objects(output_of(path)), truth, strict=True):
        if each["time_state"] in {"ok", "holdover"}:
            topside_ns = unix_ns(each["timestamp_topside"], form if form in {"ms", "ns"} else "s")
            assert abs(topside_ns - at_ns) <= each["time_max_error_ms"] * 1_000_000
            assert isinstance(each["timestamp_topside"], str) == isinstance(each["timestamp"], str)
    corrected(path, timeline_of(name, tmp_path_factory))
    assert output_of(path).read_bytes() == written


def test_a_key_may_be_named_and_lie_within_another_object(tmp_path, tmp_path_factory):
    path, clock = tmp_path / "a.ndjson", CLOCKS["drift"]
    truth = write_json_lines(path, clock, rate=1)
    text = path.read_text(encoding="utf-8").replace('"timestamp":"', '"head":{"when":"').replace('Z"', 'Z"}')
    path.write_text(text, encoding="utf-8")
    timeline = timeline_of("drift", tmp_path_factory)
    with pytest.raises(
        NoTimestampError, match=r"at the key 'timestamp' \(received the keys 'number', 'head'"
    ):
        corrected(path, timeline)
    assert corrected(path, timeline, column="head.when").corrected == len(truth)
    for each, at_ns in zip(objects(output_of(path)), truth, strict=True):
        assert abs(unix_ns(each["timestamp_topside"]) - at_ns) <= each["time_max_error_ms"] * 1_000_000


def test_a_date_and_a_time_in_two_keys_are_one_timestamp(tmp_path, tmp_path_factory):
    path = tmp_path / "a.jsonl"
    truth = write_json_lines(path, CLOCKS["drift"], rate=1)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"timestamp":"', '"day":"').replace("T", '","clock":"').replace('Z"', '"'))
    stated = StampOptions(columns=("day", "clock"), zone="UTC")
    result = corrected(path, timeline_of("drift", tmp_path_factory), stamps=stated)
    assert result.corrected == len(truth)


def test_lines_that_are_no_objects_are_copied_and_counted(tmp_path, tmp_path_factory):
    path = tmp_path / "a.jsonl"
    truth = write_json_lines(path, CLOCKS["drift"], rate=1)
    good = path.read_bytes()
    stamp = objects(path)[5]["timestamp"]
    odd = [
        b'{"timestamp": null}',
        b'{"timestamp": ["%s"]}' % stamp.encode(),
        b'{"timestamp": true}',
        b'{"timestamp": "%s", "timestamp": "%s"}' % (stamp.encode(), stamp.encode()),
        b'["%s"]' % stamp.encode(),
        b"{}",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"timestamp": "%s", "cut' % stamp.encode(),
    ]
    path.write_bytes(b"\xef\xbb\xbf" + good + b"\r\n \r\n" + b"\r\n".join(odd))
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert (result.corrected, result.malformed) == (len(truth), len(odd))
    written = output_of(path).read_bytes()
    assert written.endswith(b"\r\n \r\n" + b"\r\n".join(odd))
    assert written.startswith(b'\xef\xbb\xbf{"number": 0')
    assert [each.place for each in result.shown] == [len(truth) + 3 + row for row in range(5)]
    assert "key twice" in result.shown[3].reason


def test_an_object_that_has_one_of_the_new_keys_already_does_not_get_it_twice(
    tmp_path, tmp_path_factory, monkeypatch
):
    path, timeline = tmp_path / "a.jsonl", timeline_of("drift", tmp_path_factory)
    truth = write_json_lines(path, CLOCKS["drift"], rate=1)
    odd = b'{"timestamp": "%s", "time_state": "ok"}\n' % objects(path)[5]["timestamp"].encode()
    path.write_bytes(path.read_bytes() + odd)
    with pytest.raises(UnusableFileError, match="it has been corrected before"):
        corrected(path, timeline)
    monkeypatch.setattr("tidesync.sessions.correction.json_table.SURVEYED", 50)
    result = corrected(path, timeline)
    assert (result.corrected, result.malformed) == (len(truth), 1)
    assert output_of(path).read_bytes().endswith(odd)


def test_damage_costs_the_lines_that_it_hit(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "a.jsonl", timeline_of("back", tmp_path_factory)
    truth = write_json_lines(path, CLOCKS["back"], decimal_s, seconds=90, rate=4)
    whole, chance = path.read_bytes(), random.Random(6)
    lines = {*whole.splitlines()}
    for number in range(tries(8)):
        path.write_bytes(damaged(whole, KINDS[number % 4], chance))
        with contextlib.suppress(UnusableFileError):
            result = corrected(path, timeline)
            hit = sum(line not in lines for line in path.read_bytes().splitlines())
            assert result.malformed <= hit
            original = zip(
                path.read_bytes().splitlines(), output_of(path).read_bytes().splitlines(), strict=True
            )
            for before, after in original:
                if before in lines:
                    each = json.loads(after, parse_float=Fraction)
                    assert without_keys(after) == before
                    if each["time_state"] == "ok":
                        off_ns = unix_ns(each["timestamp_topside"]) - truth[each["number"]]
                        assert abs(off_ns) <= each["time_max_error_ms"] * 1_000_000


@pytest.mark.parametrize("content", [b"", b"timestamp,x\n1,2\n" * 50, bytes(5_000), b"[1]\n", b'{"a":1}\n'])
def test_what_has_no_objects_with_a_time_is_named_and_nothing_is_written(content, tmp_path, tmp_path_factory):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(NoTimestampError, match="no object has text or a number at the key 'timestamp'"):
        corrected(path, timeline_of("drift", tmp_path_factory))
    assert [each.name for each in tmp_path.iterdir()] == ["a.jsonl"]


def test_compressed_and_wide_files_are_read_and_written_as_they_are(tmp_path, tmp_path_factory):
    plain = tmp_path / "a.jsonl"
    write_json_lines(plain, CLOCKS["drift"], rate=1)
    timeline = timeline_of("drift", tmp_path_factory)
    corrected(plain, timeline)
    expected = output_of(plain).read_text(encoding="utf-8")
    packed, wide = tmp_path / "b.jsonl.gz", tmp_path / "c.jsonl"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    wide.write_bytes(plain.read_text(encoding="utf-8").encode("utf-16"))
    for path in (packed, wide):
        corrected(path, timeline)
    assert gzip.decompress(output_of(packed).read_bytes()).decode() == expected
    assert output_of(wide).read_bytes().decode("utf-16") == expected


def test_lines_are_found_across_the_parts_in_which_a_file_is_read(tmp_path, tmp_path_factory, monkeypatch):
    path, timeline = tmp_path / "a.jsonl", timeline_of("back", tmp_path_factory)
    write_json_lines(path, CLOCKS["back"], rate=4)
    corrected(path, timeline)
    expected = output_of(path).read_bytes()
    monkeypatch.setattr("tidesync.sessions.correction.text_lines._BLOCK_BYTES", 250)
    corrected(path, timeline)
    assert output_of(path).read_bytes() == expected
    monkeypatch.setattr("tidesync.sessions.correction.text_lines.MAX_LINE_BYTES", 20)
    with pytest.raises(UnusableFileError, match="a line of more than 20 bytes"):
        corrected(path, timeline)


def test_a_sensors_file_is_found_and_the_session_s_own_records_never_are(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["step"])
    (session / "time_x").mkdir()
    truth = write_json_lines(session / "time_x" / "a.jsonl", CLOCKS["step"], rate=1)
    for _ in range(2):
        assert run(["-q", "correct", str(session), "--sensor", "time=rov1", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert [each["rows"] for each in document["files"]] == [len(truth)]
    assert sorted(path.name for path in (session / "time_sync").iterdir()) == [
        "corrected_files.jsonl",
        "corrections.json",
        "exchanges.jsonl",
        "offsets.csv",
    ]
    own = str(session / "time_sync" / "exchanges.jsonl")
    assert run(["-q", "correct", str(session), "--file", own, "--column", "origin_ns"]) == 2
    assert "of Tidesync's own records" in capsys.readouterr().err
    assert run(["-q", "correct", str(session), "--file", str(session / "time_x" / "a.topside.jsonl")]) == 2
    assert is_table(session / "a.jsonl.1")


def test_an_output_that_is_not_ours_is_not_replaced(tmp_path, tmp_path_factory):
    path = tmp_path / "a.jsonl"
    write_json_lines(path, CLOCKS["drift"], rate=1)
    output_of(path).write_bytes(path.read_bytes())
    with pytest.raises(UnusableFileError, match="not written by tidesync correct"):
        corrected(path, timeline_of("drift", tmp_path_factory))
    assert output_of(path).read_bytes() == path.read_bytes()
