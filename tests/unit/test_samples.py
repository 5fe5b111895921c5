"""The files in tests/samples are what their script makes; the command corrects each as the truth is."""

import csv
import json
import shutil
import sqlite3
from contextlib import closing

import h5netcdf
import pytest
from pyarrow import parquet

from tests.unit.mcap_files import number_of, read_mcap
from tests.unit.sample_files import SAMPLES, SESSION, content_of, write_samples
from tests.unit.test_json_lines import unix_ns
from tidesync.command_line import run
from tidesync.sessions.correction.formats import output_of, sidecar_of

FILES = sorted(path.relative_to(SAMPLES) for path in SAMPLES.rglob("*") if path.is_file())
SENSOR = SAMPLES / SESSION / "in-water_7"
LIMIT = ("--max-error-ms", "1200")
"""The start of a .wav or .cnv is known to a second."""
ANSWERED = {"ok", "holdover"}
README = SAMPLES / "README.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(a folder with the files made again, the truth by their names)."""
    folder = tmp_path_factory.mktemp("made")
    return folder, write_samples(folder)


@pytest.fixture(scope="module")
def corrected(tmp_path_factory):
    """The sensor's folder of a copy of the samples, corrected by the command."""
    folder = tmp_path_factory.mktemp("dive")
    shutil.copytree(SAMPLES, folder, dirs_exist_ok=True)
    (subtitles,) = (folder / SESSION).rglob("*.ass")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["-q", "correct", SESSION, *LIMIT]) == 0
        assert run(["-q", "correct", SESSION, "--file", str(subtitles), "--vehicle", "rov1", *LIMIT]) == 0
    return folder / SESSION / "in-water_7"


def test_the_files_are_what_their_script_makes(made):
    again = {path.relative_to(made[0]) for path in made[0].rglob("*") if path.is_file()}
    assert again | {README.relative_to(SAMPLES)} == set(FILES)
    for path in again:
        assert content_of(made[0] / path) == content_of(SAMPLES / path), path
    assert sum((SAMPLES / path).stat().st_size for path in FILES) < 300_000


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def at_ns(text):
    """Of a date, or of µs."""
    return unix_ns(text) if "T" in text else int(text) * 1_000


def of_rows(rows):
    """(topside's instant, its error, ns) of each row; None where it has no answer."""
    return [
        (at_ns(row["timestamp_topside"]), float(row["time_max_error_ms"]) * 1e6)
        if row["time_state"] in ANSWERED
        else None
        for row in rows
    ]


def of_parquet(path):
    rows = parquet.read_table(path).to_pylist()
    return [
        (row["timestamp_topside"].value, row["time_max_error_ms"] * 1e6)
        if row["time_state"] in ANSWERED
        else None
        for row in rows
    ]


def of_mcap(path, count):
    messages, errors = read_mcap(path)
    found = [None] * count
    for _, message in messages:
        error_ns, *_ = errors[message.channel_id, message.sequence, message.log_time]
        found[number_of(message)] = message.log_time, error_ns
    return found


def of_database(path, count):
    found = [None] * count
    with closing(sqlite3.connect(path)) as database:
        joined = "SELECT id, timestamp, max_error_ns FROM messages JOIN tidesync_error ON id = message_id"
        for number, *answer in database.execute(joined):
            found[number - 1] = answer
    return found


def of_netcdf(path):
    with h5netcdf.File(path) as file:
        columns = [
            file[name][:].tolist() for name in ("timestamp_topside", "time_max_error_ms", "time_state")
        ]
    return [
        (at_us * 1_000, error_ms * 1e6) if state in {0, 1} else None
        for at_us, error_ms, state in zip(*columns, strict=True)
    ]


def answers(path, count):
    """What the output of a file of so many messages says of each of them."""
    output = output_of(path)
    by_format = {
        ".mcap": lambda: of_mcap(output, count),
        ".db3": lambda: of_database(output, count),
        ".nc": lambda: of_netcdf(output),
        ".parquet": lambda: of_parquet(output),
        ".jsonl": lambda: of_rows(map(json.loads, output.read_text().splitlines())),
        ".csv": lambda: of_rows(table(output)),
        **dict.fromkeys((".BIN", ".cnv", ".rsk"), lambda: of_rows(table(output))),
    }
    return by_format.get(path.suffix, lambda: of_rows(table(sidecar_of(output))))()


NAMES = [path.name for path in FILES if path.parent == SENSOR.relative_to(SAMPLES)]


@pytest.mark.parametrize(
    "name", [each for each in NAMES if not each.endswith((".wav", ".ass")) and each != "flight.tlog"]
)
def test_no_answered_time_of_a_sample_is_outside_its_error(name, made, corrected):
    truth = made[1][name]
    found = answers(corrected / name, len(truth))
    assert len(found) == len(truth)
    check(list(zip(found, truth, strict=True)))


def check(pairs):
    """Whether most messages have an answer, and none is outside its error."""
    answered = [(*each, true_ns) for each, true_ns in pairs if each is not None]
    assert len(answered) > 0.75 * len(pairs)
    for found_ns, error_ns, true_ns in answered:
        assert abs(found_ns - true_ns) <= error_ns


def test_subtitles_are_where_the_truth_has_them(made, corrected):
    (path,) = (each for each in corrected.glob("*.ass") if each.name in made[1])
    rows = table(sidecar_of(output_of(path)))[1:]  # the first is shown from the video's begin on
    check(
        [
            (found, made[1][path.name][int(row["line"])])
            for found, row in zip(of_rows(rows), rows, strict=True)
        ]
    )


def test_a_recording_began_and_ran_as_the_truth_did(made, corrected):
    (path,) = corrected.glob("*.wav")
    begin, end = made[1][path.name]
    stated = json.loads(output_of(path).read_text())
    assert abs(stated["begin"]["topside_unix_ns"] - begin) <= stated["begin"]["max_error_ms"] * 1e6
    (piece,) = stated["pieces"]
    last_ns = piece["topside_unix_ns"] + (piece["to_s"] - piece["from_s"]) * piece["ratio"] * 1e9
    assert abs(last_ns - end) <= piece["max_error_ms"] * 1e6
