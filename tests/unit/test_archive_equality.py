"""The same bytes, whoever does the work: this process, others, a Dask cluster; however often it is killed."""

import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from bench.estimators.traces import make_trace
from tests.deadline import delay, until
from tests.effort import tries
from tidesync.command_line import run
from tidesync.sessions.archive import dask_cluster
from tidesync.sessions.correction.stamps.writing import iso_block
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import lines_of

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DURATION_S = 120.0
TABLES, ROWS = 5, 400
WATER = ("--sensor", "inWater=rov1")
OLD_NS = 1_700_000_000_123_456_789
dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def trace():
    """A vehicle's clock that drifts, and is set back by 3 s in the middle."""
    return make_trace("step_back_3s_reported", seed=1, duration_s=DURATION_S)


def make_session(folder, trace, tables=TABLES):
    """Tables and a log of rows whose true times are in their second column."""
    SessionFolder(folder).time_sync_path.mkdir(parents=True)
    SessionFolder(folder).exchanges_path.write_bytes(lines_of(trace.exchanges))
    sensor = folder / "in-water_1" / "deep"
    sensor.mkdir(parents=True)
    for number in range(tables):
        step_ns = int(DURATION_S * 1e9 - 2e9) // (ROWS + number)
        true_ns = trace.exchanges[0].origin_ns + np.arange(ROWS + number) * step_ns
        stamps = iso_block(true_ns + trace.truth_at(true_ns), fine=False)
        rows = [
            f"{row.tobytes().decode()},{true}\n" for row, true in zip(stamps, true_ns.tolist(), strict=True)
        ]
        (sensor.parent / f"t{number}.csv").write_text("timestamp,true_ns\n" + "".join(rows))
        (sensor / f"l{number}.log").write_text("".join(row.replace(",", " ") for row in rows))
    for path in folder.rglob("*"):
        os.utime(path, ns=(OLD_NS, OLD_NS))
    return folder


def contents(folder):
    """All files but the record, by their path."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "corrected_files.jsonl"
    }


def correct(*arguments, code=0):
    assert run(["-q", "correct", *map(str, arguments), *WATER]) == code


@pytest.fixture(scope="module")
def right(trace, tmp_path_factory):
    """A session that this process has corrected."""
    folder = make_session(tmp_path_factory.mktemp("right") / "session", trace)
    correct(folder, "--jobs", 1)
    return folder


def answered(table):
    for row in csv.DictReader(io.StringIO(table.read_text())):
        if row["time_state"] in {"ok", "holdover"}:
            topside_ns = int(np.datetime64(row["timestamp_topside"].removesuffix("Z"), "ns").astype(np.int64))
            yield abs(topside_ns - int(row["true_ns"])), float(row["time_max_error_ms"]) * 1e6


def test_no_answered_row_is_off_by_more_than_its_error(right):
    for number in range(TABLES):
        errors = [*answered(right / "in-water_1" / f"t{number}.topside.csv")]
        assert len(errors) > 0.9 * ROWS
        assert all(off <= bound for off, bound in errors)


def test_several_processes_write_the_same_bytes(right, trace, tmp_path):
    folder = make_session(tmp_path / "session", trace)
    correct(folder, "--jobs", 4)
    assert contents(folder) == contents(right)


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process of its own that is started again where it dies."""
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None, "silence_logs": 50}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(n_workers=2, **options) as made,
    ):
        yield made


def test_a_dask_cluster_writes_the_same_bytes(right, trace, tmp_path, cluster):
    for place in ("a", "b"):
        make_session(tmp_path / place / "session", trace)
    correct(tmp_path / "a" / "session", "--dask", cluster.scheduler_address)
    assert contents(tmp_path / "a" / "session") == contents(right)
    correct(tmp_path / "b", "--dask", cluster.scheduler_address)
    assert contents(tmp_path / "b" / "session") == contents(right)


def test_tasks_whose_workers_die_are_named_and_the_others_are_done(cluster):
    from tests.unit.worker_tasks import doubled  # noqa: PLC0415 - as workers find it
    from tidesync.sessions.archive.workers import Lost  # noqa: PLC0415

    tasks = ["a", "killed", "b", "c"]
    with dask_cluster.DaskCluster(cluster.scheduler_address) as workers:
        found = dict(workers.each(doubled, "shared", tasks, lambda _: None))
    assert [found[number][:3] for number in (0, 2, 3)] == [(each, each, "shared") for each in ("a", "b", "c")]
    assert isinstance(found[1], Lost)
    assert "2 workers that worked on it alone died, the last one was tcp://" in found[1].reason


def test_a_cluster_that_differs_or_sees_other_files_is_refused(trace, tmp_path, cluster, capsys, monkeypatch):
    folder = make_session(tmp_path / "session", trace, tables=1)
    monkeypatch.setattr(dask_cluster, "VERSION", "9.9.9")
    correct(folder, "--dask", cluster.scheduler_address, code=1)
    assert "expected 9.9.9, as here" in capsys.readouterr().err
    monkeypatch.undo()
    here, seen = os.getpid(), dask_cluster.evidence_of
    monkeypatch.setattr(
        dask_cluster,
        "evidence_of",
        lambda paths: seen(paths) if os.getpid() != here else dict.fromkeys(paths, (1, 2)),
    )
    correct(folder, "--dask", cluster.scheduler_address, code=1)
    assert "must have the files under the same path" in capsys.readouterr().err
    monkeypatch.undo()
    correct(folder, "--dask", "tcp://127.0.0.1:1", code=1)
    assert "no scheduler answers" in capsys.readouterr().err
    correct(folder, "--dask", "nonsense://127.0.0.1:1", code=2)
    assert "expected tcp://HOST:PORT" in capsys.readouterr().err
    assert not [*folder.rglob("*.topside.*")]


def recorded(folder):
    """How many files the record of the session's correction has; a run that keeps some begins with these."""
    path = SessionFolder(folder).corrected_files_path
    return path.read_bytes().count(b'"file":') if path.exists() else 0


def start(folder, *options):
    command = [sys.executable, "-m", "tidesync", "-q", "correct", str(folder), *WATER, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True)


def test_a_run_that_is_killed_goes_on_and_comes_to_the_same(right, trace, tmp_path):
    folder, chance = make_session(tmp_path / "session", trace), random.Random(1)
    for number in range(tries(4)):
        before = recorded(folder)
        with start(folder, "--jobs", "1" if number % 2 else "2") as killed:
            until(lambda: killed.poll() is not None or recorded(folder) > before)  # noqa: B023
            delay(chance.uniform(0, 0.02))
            with suppress(ProcessLookupError):
                os.killpg(killed.pid, signal.SIGKILL)
            killed.wait(60)
        for path, content in contents(folder).items():
            assert path.name.startswith(".") or content == contents(right)[path], "whole or not there"
    done = {path: path.stat().st_mtime_ns for path in folder.rglob("*.topside.*")}
    with start(folder, "--json") as command:
        found = json.loads(command.stdout.read())
        assert command.wait(60) == 0
    unchanged = [each["output"] for each in found["files"] if each["action"] == "unchanged"]
    assert unchanged
    assert all(Path(output).stat().st_mtime_ns == done[Path(output)] for output in unchanged)
    assert contents(folder) == contents(right)
