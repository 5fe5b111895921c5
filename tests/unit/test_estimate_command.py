"""`tidesync estimate`: its output, its files, what it refuses, its exit codes."""

import csv
import json
import subprocess
import sys

import pytest

from bench.estimators.traces import make_trace
from tidesync.command_line import run


@pytest.fixture(scope="module")
def trace():
    return make_trace("step_3s_reported", seed=2, rate_hz=2.0, duration_s=120.0)


@pytest.fixture
def recorded(tmp_path, trace):
    path = tmp_path / "exchanges.jsonl"
    path.write_bytes(b"".join(exchange.encode() + b"\n" for exchange in trace.exchanges))
    return path


def document(capsys):
    return json.loads(capsys.readouterr().out)


def test_the_document_has_the_values_at_the_last_exchange_and_every_segment(recorded, trace, capsys):
    assert run(["estimate", str(recorded), "--json"]) == 0
    (vehicle,) = document(capsys)["vehicles"]
    assert list(vehicle) == [
        "vehicle", "topside", "at", "offset_ms", "max_error_ms", "lower_ms", "upper_ms", "u95_ms",
        "precision_ms", "drift_ppm", "drift_error_ppm", "exchanges", "rejected", "segments",
    ]  # fmt: skip
    assert vehicle["vehicle"] == "rov1"
    assert vehicle["at"].startswith("2026-05-01T12:01:59.5")
    assert vehicle["at"].endswith("Z")
    assert vehicle["exchanges"] == len(trace.exchanges)
    assert vehicle["rejected"] == 0
    assert vehicle["lower_ms"] <= trace.truth_ns[-1] / 1e6 <= vehicle["upper_ms"]
    assert vehicle["offset_ms"] == pytest.approx(trace.truth_ns[-1] / 1e6, abs=0.1)
    assert vehicle["drift_ppm"] == pytest.approx(18, abs=2)
    first, second = vehicle["segments"]
    assert list(first) == ["from", "to", "offset_ms", "drift_ppm", "max_error_ms", "cause"]
    assert (first["cause"], second["cause"]) == ("start", "step")
    assert second["offset_ms"] - first["offset_ms"] == pytest.approx(3000, abs=5)


def test_the_summary_is_for_people(recorded, capsys):
    assert run(["estimate", str(recorded)]) == 0
    text = capsys.readouterr().out
    assert "rov1, measured by topside: 240 exchanges used, 0 refused" in text
    assert "step" in text


def test_the_track_has_a_row_for_every_exchange(recorded, trace, tmp_path, capsys):
    out = tmp_path / "track.csv"
    assert run(["estimate", str(recorded), "--track", str(out)]) == 0
    capsys.readouterr()
    text = out.read_text()
    assert text.splitlines()[0] == (
        "vehicle,topside,topside_unix_ns,pi_unix_ns,offset_ns,lower_ns,upper_ns,u95_ns,segment,state"
    )
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == len(trace.exchanges)
    for row, exchange, truth in zip(rows, trace.exchanges, trace.truth_ns.tolist(), strict=True):
        assert int(row["topside_unix_ns"]) == exchange.destination_ns
        assert int(row["pi_unix_ns"]) == exchange.destination_ns + int(row["offset_ns"])
        assert int(row["lower_ns"]) <= truth <= int(row["upper_ns"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exchanges.jsonl", "track.csv"]


def test_online_shows_what_was_knowable_at_each_instant(recorded, tmp_path, capsys):
    then, after = tmp_path / "then.csv", tmp_path / "after.csv"
    assert run(["estimate", str(recorded), "--online", "--track", str(then)]) == 0
    assert run(["estimate", str(recorded), "--track", str(after)]) == 0
    capsys.readouterr()
    widths = [
        [int(row["upper_ns"]) - int(row["lower_ns"]) for row in csv.DictReader(path.read_text().splitlines())]
        for path in (then, after)
    ]
    assert all(online >= smoothed for online, smoothed in zip(*widths, strict=True))
    assert widths[0] != widths[1]


def test_malformed_lines_are_reported_with_number_and_value_and_skipped(recorded, capsys):
    lines = recorded.read_bytes().splitlines()
    lines[2] = lines[2].replace(b'"seq":2', b'"seq":-7')
    lines.insert(5, b"\xff not JSON")
    recorded.write_bytes(b"\n".join(lines) + b"\n")
    assert run(["estimate", str(recorded), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["vehicles"][0]["exchanges"] == 239
    assert "line 3: not a valid Exchange: seq" in captured.err
    assert "received -7" in captured.err
    assert "line 6: " in captured.err
    assert "2 malformed lines" in captured.err


def test_a_file_without_a_usable_exchange_exits_1(tmp_path, capsys):
    path = tmp_path / "empty.jsonl"
    path.write_text("\n{}\n")
    assert run(["estimate", str(path)]) == 1
    assert "no usable exchange" in capsys.readouterr().err


def test_a_missing_file_is_wrong_usage(tmp_path, capsys):
    assert run(["estimate", str(tmp_path / "absent.jsonl")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "absent.jsonl" in lines[0]


def test_a_track_that_cannot_be_written_is_wrong_usage(recorded, tmp_path, capsys):
    assert run(["estimate", str(recorded), "--track", str(tmp_path / "absent" / "out.csv")]) == 2
    assert "out.csv" in capsys.readouterr().err


def test_one_vehicle_can_be_chosen(recorded, trace, capsys):
    other = b"".join(
        exchange.model_copy(update={"vehicle": "rov2"}).encode() + b"\n" for exchange in trace.exchanges
    )
    recorded.write_bytes(recorded.read_bytes() + other)
    assert run(["estimate", str(recorded), "--json"]) == 0
    assert [entry["vehicle"] for entry in document(capsys)["vehicles"]] == ["rov1", "rov2"]
    assert run(["estimate", str(recorded), "--json", "--vehicle", "rov2"]) == 0
    assert [entry["vehicle"] for entry in document(capsys)["vehicles"]] == ["rov2"]
    assert run(["estimate", str(recorded), "--vehicle", "rov3"]) == 1
    assert "rov3" in capsys.readouterr().err


def test_one_exchange_gives_null_where_nothing_is_known(tmp_path, trace, capsys):
    path = tmp_path / "one.jsonl"
    path.write_bytes(trace.exchanges[0].encode() + b"\n")
    assert run(["estimate", str(path), "--json"]) == 0
    (vehicle,) = document(capsys)["vehicles"]
    assert vehicle["drift_ppm"] is None
    assert vehicle["drift_error_ppm"] is None
    assert vehicle["segments"][0]["drift_ppm"] is None
    assert vehicle["offset_ms"] is not None


@pytest.mark.slow
def test_a_dash_reads_standard_input(recorded):
    program = [sys.executable, "-m", "tidesync", "estimate", "-", "--json"]
    done = subprocess.run(program, input=recorded.read_bytes(), capture_output=True, check=True)
    assert json.loads(done.stdout)["vehicles"][0]["exchanges"] == 240
