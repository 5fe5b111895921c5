"""A CSV keeps every byte; four fields follow each record."""

import csv
import errno
import gzip
import io
import lzma
import os
import re
from itertools import product
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.instants import iso_from_ns
from tests.effort import few, tries
from tests.unit.tracks import START, S, raw_of, stepped
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.driver import correct
from tidesync.sessions.correction.formats import is_output, is_table, output_of
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Job, TextLayout
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

ROWS, TRUTH = stepped(3 * S)
TIMELINE = timeline(ROWS, raw_of(ROWS), ClockLimits())
BACKWARD = timeline(stepped(-3 * S)[0], raw_of(stepped(-3 * S)[0]), ClockLimits())
"""It takes two passes: times repeat."""
NEW = b"timestamp_topside,time_max_error_ms,time_u95_ms,time_state"


def pi_iso(second):
    return iso_from_ns(START + round(second * S) + round(TRUTH(second)))


def corrected(path, content, **job):
    path.write_bytes(content)
    result = correct(Job(path, "rov1", **job), TIMELINE, lambda _: None)
    return result, output_of(path).read_bytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "session.csv"


def test_the_consumers_rows_get_their_topside_time(path):
    rows = [f"{pi_iso(at)},A1,free,{at},20.5,12.1" for at in (1, 2, 150)]
    text = "timestamp,sensor_id,mode,value,TempC,Vin\n" + "\n".join(rows) + "\n"
    result, written = corrected(path, text.encode())
    lines = list(csv.DictReader(io.StringIO(written.decode())))
    for line, at in zip(lines, (1, 2, 150), strict=True):
        true = f"2026-05-01T12:{at // 60:02d}:{at % 60:02d}"
        assert line["timestamp_topside"][:19] in {true, iso_from_ns(START + at * S - S)[:19]}
        assert 0.4 < float(line["time_max_error_ms"]) < 0.5
        assert 0.01 < float(line["time_u95_ms"]) < 0.1
        assert line["time_state"] == "ok"
    assert (result.rows, result.corrected, result.malformed) == (3, 3, 0)
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("delimiter", [b",", b";", b"\t", b"|"])
def test_every_byte_passes_through(path, ending, bom, delimiter):
    stamp = pi_iso(5).encode()
    records_ = [
        delimiter.join([b'"a ""name"""', b"timestamp", b'"two' + ending + b'lines"']),
        delimiter.join([b'"x' + delimiter + b'y"', b'"' + stamp + b'"', b"\xff\xfe not utf-8 "]),
        delimiter.join([b"  ", stamp, b'say "hi"']),
        delimiter.join([b"", b"never", b""]),
        b"",
        delimiter.join([b"1", stamp]),
        delimiter.join([b"1", stamp, b"2", b"3"]),
        delimiter.join([b"last", stamp, b"without a line end"]),
    ]
    result, written = corrected(path, bom + ending.join(records_))
    added = written.rsplit(delimiter, 4)[1:]
    assert added[3] == b"ok"
    tail = delimiter + delimiter.join(added)
    none = delimiter * 4
    expected = [
        records_[0] + delimiter + NEW.replace(b",", delimiter),
        records_[1] + tail,
        records_[2] + tail,
        records_[3] + none,
        b"",
        records_[5] + delimiter + tail,
        records_[6].removesuffix(delimiter + b"3") + none + delimiter + b"3",
        records_[7] + tail,
    ]
    assert written == bom + ending.join(expected)
    assert (result.malformed, result.shown[0][:2]) == (2, (5, "never"))


def test_a_second_run_gives_the_same_bytes(path):
    content = f"timestamp\n{pi_iso(3)}\n{pi_iso(101)}\nx\n".encode()
    first = corrected(path, content)[1]
    assert corrected(path, content)[1] == first
    assert sorted(each.name for each in path.parent.iterdir()) == ["session.csv", "session.topside.csv"]


@pytest.mark.parametrize(
    ("unit", "scale", "digits"), [("s", S, 6), ("ms", 10**6, 3), ("us", 10**3, 0), ("ns", 1, 0)]
)
@pytest.mark.parametrize("recognised", [True, False])
def test_unix_counts_are_written_in_the_columns_unit(path, unit, scale, digits, recognised):
    at = [START + second * S + round(TRUTH(second)) for second in (10, 20)]
    column = "".join(f"{value / scale:.6f}\n" if unit == "s" else f"{value // scale}\n" for value in at)
    _, written = corrected(path, f"t\n{column}".encode(), column="t", unit=None if recognised else unit)
    found = [line.split(",")[1] for line in written.decode().splitlines()[1:]]
    for text, second in zip(found, (10, 20), strict=True):
        assert len(text.partition(".")[2]) == digits
        assert abs(float(text) * scale - START - second * S) < max(scale if unit != "s" else 0, 2_000)


def test_the_error_includes_the_rounding_of_the_instant(path):
    _, written = corrected(path, f"timestamp\n{pi_iso(5)}\n".encode())
    stamp = np.array([START + 5 * S + round(TRUTH(5))])
    bound = TIMELINE.correct(stamp, np.array([0]), np.array([1])).max_error_ns[0]
    assert float(written.split(b",")[-3]) * 1e6 >= bound + 500


def test_rows_without_a_topside_instant_have_a_state_that_says_why(path):
    beyond = iso_from_ns(START - 10_000 * S)
    result, written = corrected(path, f"timestamp\n{pi_iso(100)}\n{beyond}\n".encode())
    assert [line.split(b",")[1:] for line in written.splitlines()[1:]] == [
        [b"", b"", b"", b"ambiguous"],
        [b"", b"", b"", b"outside"],
    ]
    assert result.counts == {"ok": 0, "holdover": 0, "ambiguous": 1, "outside": 1}
    assert result.document()["max_error_ms"] is None


def test_a_torn_last_row_is_kept_as_it_is(path):
    content = f'timestamp,note\n{pi_iso(3)},a\n{pi_iso(4)},"torn'.encode()
    result, written = corrected(path, content)
    assert written.endswith(f'{pi_iso(4)},"torn'.encode())
    assert (result.malformed, result.counts["ok"]) == (1, 1)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"time,value\n1,2\n", b"\x00\x01\x02\n"])
def test_a_table_without_the_column_says_so(path, content):
    with pytest.raises(NoTimestampError, match=r"session.csv.*there is no"):
        corrected(path, content)
    assert not output_of(path).exists()


def test_a_table_that_was_corrected_before_is_refused(path):
    with pytest.raises(UnusableFileError, match="column time_state already"):
        corrected(path, b"timestamp,time_state\n")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_written_as_utf_16(path, encoding):
    text = f"timestamp,note\r\n{pi_iso(3)},\u2192 \U0001f30a\r\n{pi_iso(4)},\udc00\r\n"
    result, written = corrected(path, text.encode(encoding, "surrogatepass"))
    lines = written.decode(encoding, "surrogatepass").split("\r\n")
    assert result.counts["ok"] == 2
    assert lines[0] == "timestamp,note," + NEW.decode()
    assert [line.rsplit(",", 4)[0] for line in lines] == text.split("\r\n")


def test_utf_16_that_ends_within_a_character_is_named(path):
    with pytest.raises(UnusableFileError, match="not utf-16-le throughout"):
        corrected(path, f"timestamp\n{pi_iso(3)}\n".encode("utf-16") + b"1")
    assert not output_of(path).exists()


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_compressed_tables_are_written_compressed(tmp_path, suffix):
    path = tmp_path / f"session.csv{suffix}"
    content = f"timestamp,k\n{pi_iso(3)},1\nx,2\n".encode()
    result, written = corrected(path, packed(content, suffix))
    plain = unpacked(written, suffix)
    assert output_of(path).name == f"session.topside.csv{suffix}"
    assert (result.counts["ok"], result.malformed) == (1, 1)
    assert plain.splitlines()[0] == b"timestamp,k," + NEW
    assert corrected(path, packed(content, suffix))[1] == written


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_compressed_data_that_are_cut_off_are_named(tmp_path, suffix):
    path = tmp_path / f"session.csv{suffix}"
    content = "".join(f"{pi_iso(3 + number / 1e4)},{number}\n" for number in range(3_000))
    with pytest.raises(UnusableFileError, match=r"session\.csv"):
        corrected(path, packed(f"timestamp,k\n{content}".encode(), suffix)[:-40])
    assert not output_of(path).exists()


def test_what_stands_between_compressed_streams_is_no_silent_end(tmp_path):
    path = tmp_path / "session.csv.xz"
    first, second = f"timestamp,k\n{pi_iso(3)},1\n".encode(), f"{pi_iso(4)},2\n".encode()
    result, written = corrected(path, packed(first, ".xz") + b"\0" * 4 + packed(second, ".xz") + b"\0" * 8)
    assert result.counts["ok"] == len(lzma.decompress(written).splitlines()) - 1 == 2
    damaged = bytearray(packed(second, ".xz"))
    damaged[2] ^= 1
    for content in (packed(first, ".xz") + bytes(damaged), packed(first, ".xz") + b"garbage"):
        with pytest.raises(UnusableFileError, match="damaged"):
            corrected(path, content)


def packed(content, suffix):
    if suffix == ".zst":
        return pa.Codec("zstd").compress(content, asbytes=True)
    return (gzip if suffix == ".gz" else lzma).compress(content)


def unpacked(content, suffix):
    if suffix == ".zst":
        return pa.CompressedInputStream(io.BytesIO(content), "zstd").read()
    return (gzip if suffix == ".gz" else lzma).decompress(content)


@pytest.mark.parametrize(
    "again", ["timestamp,k,note", '"timestamp","k","note"', "\ufefftimestamp,k,note", "timestamp, k, note,"]
)
def test_the_header_again_is_one_row_however_it_is_written(path, again):
    rows = [f"{pi_iso(at)},{at},x" for at in (3, 4, 5)]
    content = "\n".join(["timestamp,k,note", *rows[:2], again, rows[2], ""])
    result, _ = corrected(path, content.encode())
    assert (result.counts["ok"], result.malformed) == (3, 1)
    assert result.shown[0].reason == "is the header again"


def test_damage_is_counted_and_named_and_costs_no_row_beside_it(path):
    good = [f"{pi_iso(at)},{at},".encode() for at in range(3, 9)]
    damaged = [b"\0" * 5_000, b"timestamp,k,note", good[0] + b"2,3", good[0] + b'"open', good[0][:15]]
    rows = [part for pair in zip(good, damaged, strict=False) for part in pair] + good[5:]
    result, written = corrected(path, b"timestamp,k,note\n" + b"\n".join(rows))
    assert (result.counts["ok"], result.malformed) == (6, 5)
    assert [(each.place, each.reason) for each in result.shown] == [
        (3, "has zero bytes"),
        (5, "is the header again"),
        (7, "has more fields than the header"),
        (9, "opens a quote that does not close"),
        (11, "is no timestamp, or is another's: the row has fewer fields than the header"),
    ]
    lines = written.split(b"\n")
    assert [lines[2], lines[8]] == [damaged[0], damaged[3]]
    assert lines[6] == good[0] + b"2,,,,,3"


def test_a_header_within_an_open_quote_counts_as_one(path):
    rows = [f"{pi_iso(3)},1", f'{pi_iso(4)},"2', "timestamp,k", f"{pi_iso(5)},3"]
    result, _ = corrected(path, "\n".join(["timestamp,k", *rows]).encode())
    assert (result.counts["ok"], result.malformed) == (2, 1)
    rows[2] = "k,timestamp"
    with pytest.raises(UnusableFileError, match="line 4: another header"):
        corrected(path, "\n".join(["timestamp,k", *rows]).encode())


@pytest.mark.parametrize("end", ["Z", ""])
def test_a_decimal_comma_in_a_table_of_one_column_divides_nothing(path, end):
    texts = [pi_iso(at).replace(".", ",").replace("Z", end) for at in (3, 4, 5.123)]
    result, written = corrected(
        path, "\n".join(["timestamp", *texts]).encode(), stamps=StampOptions(zone="UTC")
    )
    assert result.counts["ok"] == 3
    assert written.splitlines()[0] == b"timestamp;" + NEW.replace(b",", b";")


def test_another_header_is_refused(path):
    with pytest.raises(UnusableFileError, match="line 3: another header"):
        corrected(path, f"timestamp,k\n{pi_iso(3)},1\nk,timestamp\n2,{pi_iso(4)}\n".encode())


@pytest.mark.parametrize(("ends", "ok"), [("", 1), ("0Z", 2)])
def test_a_timestamp_that_may_be_cut_off_is_not_read(path, ends, ok):
    content = f"k,timestamp\n1,{pi_iso(3)}\n2,{pi_iso(4)[:-2]}{ends}".encode()
    result, _ = corrected(path, content)
    assert (result.counts["ok"], result.malformed) == (ok, 2 - ok)


@pytest.mark.parametrize(
    ("header", "received"),
    [("timestamp,k,timestamp", "'timestamp'"), ("k,timestamp,k ", "'k'")],
)
def test_two_columns_of_one_name_are_refused(path, header, received):
    with pytest.raises(UnusableFileError, match=f"columns 1 and 3 are all named {received}"):
        corrected(path, f"{header}\n{pi_iso(3)},1,2\n".encode())


def test_columns_without_a_name_may_be_many(path):
    assert corrected(path, f"timestamp,,\n{pi_iso(3)},1,2\n".encode())[0].counts["ok"] == 1


def test_a_decimal_comma_in_the_timestamp_is_read_with_it(path):
    stamp = pi_iso(3.007).replace("T", " ")[:-4]
    result, written = corrected(path, f"timestamp,k\n{stamp.replace('.', ',')},1\n".encode())
    assert result.counts["ok"] == 1
    assert written.splitlines()[1].startswith(stamp.replace(".", ",").encode() + b',1,"2026')


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r\r\n", "\r"])
def test_each_line_end_is_kept_whole(path, ending):
    lines = ["timestamp,k", f"{pi_iso(3)},1", "", f"{pi_iso(4)},2"]
    result, written = corrected(path, ending.join([*lines, ""]).encode())
    found = written.decode().split(ending)
    assert result.counts["ok"] == 2
    assert [line.rsplit(",", 4)[0] for line in found] == [*lines, ""]
    assert "\r" not in "".join(found)


def test_as_many_line_feeds_in_fields_as_records_end_with_a_lone_cr_are_no_line_ends(path):
    stamp = pi_iso(3)
    rows = [(",", "\r"), (',"three\nlines\nhere"', "\r"), (",", "\n")]
    text = "".join(f"{stamp}{note}{end}" for note, end in rows)
    _, written = corrected(path, f"timestamp,note\n{text}".encode())
    found = written.decode().partition("\n")[2]
    fields = r"(,[^,\r\n]*){4}"
    assert re.fullmatch("".join(re.escape(stamp + note) + fields + end for note, end in rows), found)


NOTES = st.sampled_from(["", "a", '"a ""b"""', '"two\nlines"', '"x,;\t|y"', 'say "hi"', "\u00e9", "  "])
ENDS = st.sampled_from(["\n", "\r\n", "\r\r\n", "\r"])


@given(st.lists(st.tuples(NOTES, ENDS, st.integers(0, 2)), min_size=1, max_size=12), st.sampled_from(",;\t|"))
@settings(max_examples=tries(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_without_the_new_fields_every_byte_is_the_inputs(path, rows, delimiter):
    stamp = pi_iso(3)
    cores = [delimiter.join((note, stamp, note)) for note, _, _ in rows]
    text = "".join(core + delimiter * extra + end for core, (_, end, extra) in zip(cores, rows, strict=True))
    _, written = corrected(path, f"k{delimiter}timestamp{delimiter}note\n{text}".encode())
    field = f"[{delimiter}][^{delimiter}]+"
    expected = "".join(
        re.escape(core) + field * 4 + re.escape(delimiter * extra + end)
        for core, (_, end, extra) in zip(cores, rows, strict=True)
    )
    _, _, body = written.decode().partition("\n")
    assert re.fullmatch(expected, body)


def test_a_table_without_a_header_has_numbers_for_names(path):
    content = f"# made by hand\n1;{pi_iso(3)}\n2;{pi_iso(4)}\n"
    layout = TextLayout(comment="#", header=False)
    result, written = corrected(path, content.encode(), column="2", layout=layout)
    assert (result.rows, result.counts["ok"]) == (2, 2)
    assert written.startswith(f"# made by hand\n1;{pi_iso(3)};2026".encode())
    with pytest.raises(NoTimestampError, match=r"named 1 to 2 \(--column 1\)"):
        corrected(path, content.encode(), layout=layout)


def test_the_line_of_the_header_can_be_stated(path):
    content = f"logger 7\n\n# about it\nk,timestamp\n1,{pi_iso(3)}\n"
    with pytest.raises(NoTimestampError, match="line 4 has it: --header-line 4"):
        corrected(path, content.encode())
    result, written = corrected(path, content.encode(), layout=TextLayout(header_line=4))
    assert (result.rows, result.counts["ok"]) == (1, 1)
    assert written.startswith(b"logger 7\n\n# about it\nk,timestamp," + NEW)
    with pytest.raises(NoTimestampError, match="--header-line 2"):
        corrected(path, content.encode(), layout=TextLayout(header_line=2))


def test_a_full_disk_leaves_the_old_output_and_nothing_else(path, monkeypatch):
    content = f"timestamp\n{pi_iso(3)}\n".encode()
    first = corrected(path, content)[1]

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnusableFileError, match="No space left"):
        correct(Job(path, "rov1"), TIMELINE, lambda _: None)
    assert output_of(path).read_bytes() == first
    assert sorted(each.name for each in path.parent.iterdir()) == ["session.csv", "session.topside.csv"]


def test_rows_that_are_appended_after_the_first_pass_are_left_out(path):
    path.write_text(f"timestamp\n{pi_iso(3)}\n")

    def grow(_):
        with path.open("a") as more:
            more.write(f"{pi_iso(4)}\n")

    assert correct(Job(path, "rov1"), BACKWARD, grow).rows == 1
    assert output_of(path).read_text().count("\n") == 2
    assert correct(Job(path, "rov1"), BACKWARD, lambda _: None).rows == 3


def test_progress_adds_up_to_what_is_read(path):
    path.write_text("timestamp\n" + f"{pi_iso(3)}\n" * 10_000)
    reported = []
    correct(Job(path, "rov1"), BACKWARD, reported.append)
    assert sum(reported) == 2 * path.stat().st_size


@pytest.mark.parametrize("suffix", [".tsv", ".txt", ".CSV"])
def test_other_suffixes_of_delimited_text_are_read_as_csv(tmp_path, suffix):
    path = tmp_path / f"sonar{suffix}"
    assert corrected(path, f"timestamp\tdepth\n{pi_iso(3)}\t1\n".encode())[0].counts["ok"] == 1


@pytest.mark.parametrize(
    "name", ["a.xlsx", "a.gz", "a.parquet.gz", "csv", ".csv", "a.csv.bak", "a.csv.20260501"]
)
def test_other_names_are_no_tables(name):
    assert not is_table(Path(name))


def test_an_unknown_suffix_is_named_with_the_known_ones(tmp_path):
    path = tmp_path / "sonar.xlsx"
    known = r"suffix '\.xlsx' \(known: .*\.csv, .*\.parquet, .*\.mcap, "
    with pytest.raises(UnusableFileError, match=known):
        corrected(path, b"timestamp\n")
    assert not output_of(path).exists()


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("a.csv", "a.topside.csv"),
        ("b.c.CSV", "b.c.topside.CSV"),
        ("a.csv.gz", "a.topside.csv.gz"),
        ("a.csv.1", "a.topside.csv.1"),
        ("a.csv.12.zst", "a.topside.csv.12.zst"),
        ("a.tsv.xz", "a.topside.tsv.xz"),
    ],
)
def test_an_output_is_never_an_input(name, output):
    assert output_of(Path(name)) == Path(output)
    assert is_output(Path(output))
    assert not is_output(Path(name))


def test_the_summary_never_states_less_than_a_row_of_the_file(path):
    table, written = corrected(path, b"timestamp\n2026-05-01T12:00:10.003Z\n2026-05-01T12:00:20.001Z\n")
    errors = [float(line.split(b",")[-2]) for line in written.splitlines()[1:]]
    assert table.corrected == 2
    assert max(errors) <= ceil(table.max_error_ns / 1e3) / 1e3


@pytest.mark.parametrize(
    ("short", "answered"),
    [
        ("{t},{other},7.5", False),  # its id is missing: the other time stands in the timestamp's place
        ("{t},{other}", False),
        ("a,{t}", True),  # its end is missing
        ("a,{t},{other}", True),
    ],
)
def test_a_short_row_whose_timestamp_may_stand_farther_to_the_front_is_malformed(path, short, answered):
    whole = "a,{t},{other},7.5"
    lines = [
        row.format(t=pi_iso(at + 0.1234), other=pi_iso(at + 31.4321))
        for at, row in enumerate([whole, short, whole])
    ]
    result, written = corrected(path, "\n".join(["id,timestamp,gps,depth", *lines, ""]).encode())
    states = [line.rpartition(",")[2] for line in written.decode().splitlines()[1:]]
    assert states == ["ok", "ok" if answered else "", "ok"]
    assert [malformed.place for malformed in result.shown] == ([] if answered else [3])
    assert all("fewer fields than the header" in malformed.reason for malformed in result.shown)


def day_first(text):
    return f"{text[8:10]}.{text[5:7]}.{text[:4]} {text[11:-1]}"


def unix(text):
    whole = int(np.datetime64(text[:19], "s").astype(np.int64))
    return f"{whole}{text[19:-1]}"


TORN = {
    "us": (str, {}),
    "naive": (lambda text: text.removesuffix("Z"), {"zone": "UTC"}),
    "day-first": (day_first, {"zone": "UTC", "time_format": "day-first"}),
    "zone": (lambda text: text.replace("Z", "+00:00"), {}),
    "unix": (unix, {}),
}


@pytest.mark.parametrize(("kind", "columns"), few(product(TORN, [b"k,timestamp", b"timestamp"])))
def test_a_timestamp_that_was_torn_at_its_rows_end_is_not_read(path, kind, columns):
    way, options = TORN[kind]
    before = b"1," if columns.startswith(b"k") else b""
    texts = [way(pi_iso(at)).encode() for at in np.arange(1, 99, 0.501).tolist()]
    whole = len(texts[0])
    for cut in range(1, 9):
        torn = list(texts)
        torn[77] = texts[77][: whole - cut]
        rows = b"\n".join(before + text for text in torn)
        stamps = StampOptions(**options)
        _, written = corrected(path, columns + b"\n" + rows + b"\n", stamps=stamps)
        answered = [line for line in written.splitlines()[1:] if not line.endswith(b",,,,")]
        assert len(answered) == len(texts) - 1
        assert not any(line.startswith(before + torn[77] + b",") for line in answered)


def test_a_timestamp_whose_zeros_were_dropped_is_read_at_its_rows_end(path):
    texts = [pi_iso(at).rstrip("0Z").rstrip(".") + "Z" for at in np.arange(1, 99, 0.501).tolist()]
    assert len({len(text) for text in texts}) > 1
    result, _ = corrected(path, ("k,timestamp\n" + "\n".join(f"1,{text}" for text in texts)).encode())
    assert result.counts["ok"] == len(texts)
