"""Tables whose timestamps are written in ways of their own, through the whole correction."""

import json
from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.effort import few
from tests.unit.test_recorder_session import exchange
from tidesync.command_line import run
from tidesync.sessions.journal import lines_of

S = 10**9
START = 1_777_636_800 * S
"""2026-05-01T12:00:00Z on topside's clock."""
AUTUMN = 1_792_886_400 * S + 3_000 * S
"""2026-10-25T00:50:00Z: ten minutes later Berlin's clocks show 02:00 for the second time."""
OFFSET, DRIFT = -1.2, 40e-6


def pi_ns(seconds, start=START):
    """What the Pi's clock shows `seconds` after the start, ns."""
    seconds = np.asarray(seconds, dtype=float)
    return start + np.rint((seconds * (1 + DRIFT) + OFFSET) * 1e9).astype(np.int64)


def made(path, seconds=600, start=START, every=1):
    """Exchanges, one `every` so many seconds, that read the Pi's clock with 0.3 ms of delay a way."""
    base = exchange(0, 0.0)
    log = []
    for seq, at_s in enumerate(range(0, seconds, every)):
        origin = start + at_s * S
        receive, transmit = pi_ns([at_s + 3e-4, at_s + 4e-4], start).tolist()
        stamps = {
            "origin_ns": origin,
            "receive_ns": receive,
            "transmit_ns": transmit,
            "destination_ns": origin + 700_000,
            "pi_realtime_minus_raw_ns": start - 10**15,
            "topside_realtime_minus_raw_ns": start - 2 * 10**15,
        }
        log.append(base.model_copy(update={"seq": seq, **stamps}))
    (path / "time_sync").mkdir(parents=True, exist_ok=True)
    (path / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(log))
    return path


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return made(tmp_path_factory.mktemp("session"))


@pytest.fixture(scope="module")
def autumn(tmp_path_factory):
    return made(tmp_path_factory.mktemp("autumn"), 5400, AUTUMN, every=4)


def correct(session, table, *options):
    return run(["-q", "correct", str(session), "--file", str(table), "--vehicle", "rov1", *options])


def output(table):
    path = table.with_name(f"{table.stem}.topside{table.suffix}")
    return parquet.read_table(path).to_pandas() if table.suffix == ".parquet" else pd.read_csv(path)


def written(table, texts, header="timestamp"):
    table.write_text(header + "\n" + "\n".join(texts) + "\n")
    return table


def iso(at, unit):
    """Instants in ns as ISO 8601 without a zone, cut off to a unit."""
    return [str(each) for each in at.astype("datetime64[ns]").astype(f"datetime64[{unit}]")]


def errors_ms(found, seconds, start=START):
    """How far the corrected instants are from the truth, and what is stated."""
    instants = pd.to_datetime(found["timestamp_topside"], utc=True, format="ISO8601").astype(
        "datetime64[ns, UTC]"
    )
    apart = (instants.astype("int64").to_numpy() - start) / 1e6 - np.asarray(seconds) * 1e3
    return np.abs(apart), found["time_max_error_ms"].to_numpy()


ROWS = np.arange(5.0, 595.0, 3.7)


def assert_within(found, resolution_s):
    """Each row of ROWS is within its error; ambiguous are those that may be from beyond the measured time."""
    known = found["timestamp_topside"].notna().to_numpy()
    apart, stated = errors_ms(found[known], ROWS[known])
    assert (apart <= stated).all()
    assert known[(2 * resolution_s < ROWS) & (600 - 2 * resolution_s > ROWS)].all()


WAYS = {
    "whole seconds": lambda at: str(at.astype("datetime64[s]")) + "Z",
    "cut off and filled up": lambda at: str(at.astype("datetime64[ms]")) + "000Z",
    "rounded": lambda at: str((at + np.timedelta64(50_000_000, "ns")).astype("datetime64[ms]"))[:-2] + "Z",
    "minutes": lambda at: str(at.astype("datetime64[m]")) + "Z",
    "names": lambda at: at.astype("datetime64[ms]").item().strftime("%d %b %Y %I:%M:%S.%f %p GMT"),
}


@pytest.mark.parametrize(("way", "limit"), few(product(WAYS, ["25", "100000"])))
def test_no_row_is_farther_from_the_truth_than_it_states(session, tmp_path, way, limit):
    texts = [WAYS[way](at) for at in pi_ns(ROWS).astype("datetime64[ns]")]
    table = written(tmp_path / "a.csv", texts)
    coarse = way in {"whole seconds", "minutes", "rounded"}
    assert correct(session, table, "--max-error-ms", limit) == (1 if coarse and limit == "25" else 0)
    found = output(table)
    assert_within(found, 60 if way == "minutes" else 0)
    assert set(found["time_state"]) - {"ambiguous"} <= (
        {"outside"} if coarse and limit == "25" else {"ok", "holdover"}
    )


def test_what_was_found_is_in_the_summary_and_in_json(session, tmp_path, capsys):
    texts = [str(at.astype("datetime64[s]")) for at in pi_ns(ROWS).astype("datetime64[ns]")]
    table = written(tmp_path / "a.csv", texts)
    assert correct(session, table, "--max-error-ms", "1100") == 0
    assert "; read as UTC; stamps resolve 1 s" in capsys.readouterr().out
    assert correct(session, table, "--max-error-ms", "1100", "--json") == 0
    found = json.loads(capsys.readouterr().out)["files"][0]
    assert (found["zone"], found["zone_from"], found["resolution_ms"]) == ("UTC", "assumed", 1000.0)
    assert correct(session, table) == 1
    refused = capsys.readouterr().err
    assert "160 rows are outside the limit of 25 ms only for what their stamps resolve" in refused
    assert "--max-error-ms 1001 answers them" in refused
    assert correct(session, table, "--resolution-ms", "0") == 0
    assert (output(table)["time_max_error_ms"] < 1).all()


def test_a_local_time_is_refused_until_its_zone_is_stated(session, tmp_path, capsys, monkeypatch):
    texts = iso(pi_ns(ROWS) + 7200 * S, "us")
    table = written(tmp_path / "a.csv", texts)
    assert correct(session, table) == 1
    assert "2 h away: local time? --zone" in capsys.readouterr().out
    assert not (tmp_path / "a.topside.csv").exists()
    assert correct(session, table, "--zone", "Europe/Berlin") == 0
    apart, stated = errors_ms(output(table), ROWS)
    assert (apart <= stated).all()
    assert (output(table)["time_state"] == "ok").all()
    assert correct(session, table, "--zone", "Berlin") == 2
    assert "--zone: 'Berlin' is no zone" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tidesync.toml").write_text(f'[correct."{table}"]\nzone = "+02:00"\n')
    assert correct(session, table) == 0
    (tmp_path / "tidesync.toml").write_text('[correct]\nzone = "+02:00"\n')
    assert correct(session, table) == 0
    (tmp_path / "tidesync.toml").write_text('[correct."x.csv"]\nzones = "UTC"\n')
    assert correct(session, table) == 2
    assert "unknown setting zones = 'UTC'; did you mean zone?" in capsys.readouterr().err
    (tmp_path / "tidesync.toml").write_text('[correct."x.csv"]\ntime_format = "%H"\n')
    assert correct(session, table) == 2
    assert """[correct."x.csv"]: --time-format '%H'""" in capsys.readouterr().err


def test_the_metadata_of_the_session_may_state_the_zone(tmp_path):
    other = made(tmp_path / "session", 60)
    (other / "sync_metadata.json").write_text(json.dumps({"schemaVersion": 1, "timezone": "Asia/Kathmandu"}))
    seconds = np.arange(2.0, 50.0, 1.7)
    local = pi_ns(seconds) + 20_700 * S
    table = written(tmp_path / "a.csv", [str(at) for at in local.astype("datetime64[ns]")])
    assert correct(other, table) == 0
    apart, stated = errors_ms(output(table), seconds)
    assert (apart <= stated).all()


def local_in_autumn(seconds):
    """Berlin's local time as text: two hours ahead of UTC until 01:00 UTC, then one."""
    at = pi_ns(seconds, AUTUMN)
    ahead = np.where(at < AUTUMN + 600 * S, 7200, 3600) * S
    return [str(each).replace("T", " ") for each in (at + ahead).astype("datetime64[ns]")]


def test_the_order_of_rows_decides_which_of_two_repeated_hours_is_meant(autumn, tmp_path):
    seconds = np.arange(5.0, 5395.0, 3.7)
    table = written(tmp_path / "a.csv", local_in_autumn(seconds))
    assert correct(autumn, table, "--zone", "Europe/Berlin") == 0
    found = output(table)
    apart, stated = errors_ms(found, seconds, AUTUMN)
    decided = found["time_state"] == "ok"
    assert decided.mean() > 0.99
    assert (apart <= stated)[decided].all()


def test_a_repeated_hour_that_nothing_decides_is_ambiguous(autumn, tmp_path):
    texts = local_in_autumn(np.array([300.0, 350.0, 400.0]))
    table = written(tmp_path / "a.csv", texts)
    assert correct(autumn, table, "--zone", "Europe/Berlin") == 1
    assert set(output(table)["time_state"]) == {"ambiguous"}


def test_several_columns_and_other_scales_are_corrected(session, tmp_path):
    at = pi_ns(ROWS)
    pairs = [f"{each // S},{each % S}" for each in at.tolist()]
    dates = [each.replace("T", ",") for each in iso(at, "us")]
    excel = [f"{each / 86_400e9 + 25_569:.11f}".replace(".", ",") for each in at.tolist()]
    boot = [f"2026-05-01T11:59:58.800000000Z,{(each - START + 12 * 10**8) / 1e6:.3f}" for each in at.tolist()]
    cases = {
        "secs,nsecs": (pairs, ["--columns", "secs,nsecs"]),
        "date,time": (dates, ["--columns", "date,time"]),
        "x;when": (
            [f"1;{each}" for each in excel],
            ["--column", "when", "--time-format", "excel", "--decimal", ","],
        ),
        "start,time_boot_ms": (boot, ["--column", "time_boot_ms", "--since", "start"]),
    }
    for header, (texts, options) in cases.items():
        (tmp_path / "a.topside.csv").unlink(missing_ok=True)
        table = written(tmp_path / "a.csv", texts, header)
        assert correct(session, table, *options) == 0, header
        if header == "x;when":
            found = pd.read_csv(tmp_path / "a.topside.csv", sep=";", decimal=",")
            days = found["timestamp_topside"].to_numpy()
            apart = np.abs((days - 25_569) * 86_400e3 - START / 1e6 - ROWS * 1e3)
            assert (apart <= found["time_max_error_ms"] + 0.001).all()
            continue
        apart, stated = errors_ms(output(table), ROWS)
        assert (apart <= stated).all(), header


def test_elapsed_time_is_refused_across_a_step(tmp_path, capsys):
    stepped = made(tmp_path / "session", 60)
    lines = (stepped / "time_sync" / "exchanges.jsonl").read_text().splitlines()
    for number, line in enumerate(lines[30:], 30):
        moved = json.loads(line)
        for name in ("receive_ns", "transmit_ns", "pi_realtime_minus_raw_ns"):
            moved[name] += 100 * S
        lines[number] = json.dumps(moved)
    (stepped / "time_sync" / "exchanges.jsonl").write_text("\n".join(lines) + "\n")
    table = written(tmp_path / "a.csv", ["1.25", "2.5"], "t")
    options = ["--column", "t", "--since", "2026-05-01T12:00:00.000Z", "--unit", "s"]
    assert correct(stepped, table, *options) == 1
    assert "--since: the vehicle's clock was set or restarted in this session" in capsys.readouterr().out


@pytest.mark.parametrize(
    "count",
    [
        lambda us: us % 2**28,  # runs over after 268 s
        lambda us: np.where(us > 300_000_000, us - 290_000_000, us),
        lambda us: np.roll(us, 60),
    ],
    ids=["over", "again", "parts"],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_counter_that_began_again_is_refused(session, tmp_path, capsys, count, kind):
    counts = count((pi_ns(ROWS) - START) // 1000 + 12 * 10**5)
    options = ["--column", "t_us", "--since", "2026-05-01T11:59:58.800000000Z"]
    if kind == "csv":
        table = written(tmp_path / "a.csv", map(str, counts.tolist()), "t_us")
    else:
        table = tmp_path / "a.parquet"
        parquet.write_table(pa.table({"t_us": counts}), table, row_group_size=7)
    assert correct(session, table, *options) == 1
    assert "--since: its elapsed times fall back" in capsys.readouterr().out
    assert not (tmp_path / f"a.topside.{kind}").exists()


def test_elapsed_times_may_be_late_or_newest_first(session, tmp_path):
    options = ["--column", "t_us", "--since", "2026-05-01T11:59:58.800000000Z"]
    late = np.insert(np.delete(ROWS, [100, 101]), 110, ROWS[100:102])
    for rows in (late, ROWS[::-1]):
        counts = ((pi_ns(rows) - START) // 1000 + 12 * 10**5).tolist()
        table = written(tmp_path / "a.csv", map(str, counts), "t_us")
        assert correct(session, table, *options) == 0
        apart, stated = errors_ms(output(table), rows)
        assert (apart <= stated).all()


PARQUET = {
    "naive": lambda at: pa.array(at, pa.timestamp("ns")),
    "zoned ms": lambda at: pa.array(at // 10**6, pa.timestamp("ms", tz="Europe/Berlin")),
    "us": lambda at: pa.array(at // 1000),
    "float64 s": lambda at: pa.array(at / 1e9),
    "float32 s": lambda at: pa.array((at / 1e9).astype(np.float32)),
    "text": lambda at: pa.array(iso(at, "ms")),
    "dictionary": lambda at: pa.array([each + "Z" for each in iso(at, "s")]).dictionary_encode(),
    "decimal": lambda at: pa.array([str(each) for each in at // 10**6]).cast(pa.decimal128(20, 3)),
}


@pytest.mark.parametrize("kind", few(PARQUET))
def test_no_row_of_a_parquet_table_is_farther_from_the_truth_than_it_states(session, tmp_path, kind):
    parquet.write_table(pa.table({"timestamp": PARQUET[kind](pi_ns(ROWS))}), tmp_path / "a.parquet")
    coarse = kind in {"float32 s", "dictionary"}
    assert correct(session, tmp_path / "a.parquet") == (1 if coarse else 0)
    found = output(tmp_path / "a.parquet")
    assert set(found["time_state"]) - {"ambiguous"} == ({"outside"} if coarse else {"ok"})
    assert_within(found, 128 if kind == "float32 s" else 0)


def test_two_columns_of_a_parquet_table_are_one_timestamp(session, tmp_path):
    at = pi_ns(ROWS)
    table = pa.table({"sec": at // S, "nanosec": (at % S).astype(np.int32)})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert correct(session, tmp_path / "a.parquet", "--columns", "sec,nanosec") == 0
    apart, stated = errors_ms(output(tmp_path / "a.parquet"), ROWS)
    assert (apart <= stated).all()
