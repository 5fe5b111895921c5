"""A stopped session's report and tables from the dashboard: made apart, bounded, nothing else is readable."""

import os
import shutil
import threading
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pytest

from schemas.messages import SessionState
from tests.deadline import until
from tests.unit.dashboards import incoming, session
from tests.unit.fused_sessions import make_session, pi, write_metadata
from tests.unit.test_dashboard_api import TOKEN, Bench
from tidesync.command_line import run
from tidesync.dashboard.products import jobs as jobs_module
from tidesync.dashboard.products.folder import MADE, ProductFolder, make_room, session_folder
from tidesync.dashboard.products.jobs import MOST_WAITING, ProductJobs, QueueFullError

SESSION = "dive-1"
SECRET = "the password"


@pytest.fixture
def root(tmp_path):
    """A recorder's root with one session, and a secret beside it."""
    (tmp_path / "secret.csv").write_text(SECRET)
    folder = tmp_path / "root" / "reef" / f"session_{SESSION}"
    (folder / "time_sync").mkdir(parents=True)
    write_metadata(folder, {"sensors": {"inWater": {"vehicle": "rov1"}}})
    return tmp_path / "root"


@pytest.fixture
def measured(root):
    """The same; its session can be corrected and fused."""
    clock = pi()
    tables = {"in-water_1/session.csv": (clock, np.arange(2, 50, 0.5), lambda _: "a,1")}
    make_session(root / "reef" / f"session_{SESSION}", clock, tables, seconds=60)
    return root


class Here(ProductJobs):
    """Runs the commands in this process."""

    def _run(self, job, partial, _room):
        try:
            return None if run(jobs_module._command(job, partial)) == 0 else "exit code 1"
        finally:
            job.progress = 1.0


@contextmanager
def serving(root, **settings):
    token = settings.pop("token", None)
    bench = Bench(token, root=root, **settings)
    bench.app.state.served.products = Here(root)
    bench.hear(incoming(session(SESSION, "stopped")))
    try:
        yield bench
    finally:
        bench.app.state.served.products.stop()


@pytest.fixture
def bench(root):
    with serving(root) as running:
        yield running


PATH = f"/api/sessions/{SESSION}/products"


def product(bench, kind):
    answer = bench.get(PATH)
    assert answer.status_code == 200, answer.text
    return next(one for one in answer.json()["products"] if one["kind"] == kind)


def made(bench, kind):
    assert bench.post(f"{PATH}/{kind}", {}).status_code == 202
    return until(lambda: (one := product(bench, kind))["state"] in {"ready", "absent"} and one, 120, kind)


@pytest.mark.slow
def test_each_product_is_made_in_the_background_and_can_be_downloaded(bench, measured):
    root = measured
    before = (root / "reef" / f"session_{SESSION}" / "in-water_1" / "session.csv").read_bytes()
    assert [one["state"] for one in bench.get(PATH).json()["products"]] == ["absent"] * 3
    found = {kind: made(bench, kind) for kind in ("report", "tables", "fused")}
    assert {kind: one["problem"] for kind, one in found.items()} == dict.fromkeys(found)
    names = {kind: [file["name"] for file in one["files"]] for kind, one in found.items()}
    assert names["report"] == ["report.html"]
    assert "in-water_1/session.topside.csv" in names["tables"]
    assert names["fused"] == ["fused.csv"]
    page = bench.get(f"{PATH}/report/report.html")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith(
        "sandbox allow-scripts allow-modals; default-src 'none'"
    )
    rows = bench.get(f"{PATH}/tables/in-water_1/session.topside.csv", params={"lines": 3})
    assert rows.headers["content-type"] == "text/plain; charset=utf-8"
    assert len(rows.text.splitlines()) == 3
    whole = bench.get(f"{PATH}/tables/in-water_1/session.topside.csv", params={"download": True})
    assert whole.headers["content-disposition"] == 'attachment; filename="session.topside.csv"'
    assert whole.text.startswith(rows.text)
    session_path = root / "reef" / f"session_{SESSION}"
    assert (session_path / "in-water_1" / "session.csv").read_bytes() == before
    assert sorted(path.name for path in session_path.iterdir()) == [
        "in-water_1",
        "sync_metadata.json",
        "time_sync",
    ]


def test_what_cannot_be_made_is_explained_and_leaves_nothing(bench, measured):
    folder = measured / "reef" / f"session_{SESSION}"
    shutil.rmtree(folder / "in-water_1")
    found = made(bench, "fused")
    assert found["files"] == []
    assert found["problem"] == "exit code 1"
    assert list((folder / "time_sync" / MADE).iterdir()) == []


STATES = [
    session(SESSION, "stopped", path=path)
    for path in (
        None,
        "",
        "reef",
        f"../root/reef/session_{SESSION}",
        f"reef/../reef/session_{SESSION}",
        f"/reef/session_{SESSION}",
        f"../session_{SESSION}",
        f"./session_{SESSION}",
        "reef/session_other",
        f"reef/session_{SESSION}/",
        f"reef\\session_{SESSION}",
        f"reef/session_{SESSION}\x00",
        f"{'x' * 5000}/session_{SESSION}",
        f"out/session_{SESSION}",
        f"link/session_{SESSION}",
        f"empty/session_{SESSION}",
    )
]


def test_the_path_that_a_peer_reports_leads_nowhere_else(root):
    outside = root.parent / "outside" / f"session_{SESSION}"
    shutil.copytree(root / "reef" / f"session_{SESSION}", outside)
    (root / "out").symlink_to(root.parent / "outside")
    (root / "link").mkdir()
    (root / "link" / f"session_{SESSION}").symlink_to(outside)
    (root / "empty" / f"session_{SESSION}").mkdir(parents=True)
    assert [state.path for state in STATES if session_folder(root, state)] == []
    assert session_folder(root, session(SESSION, "stopped")) is not None


@pytest.mark.parametrize("part", ["time_sync", f"time_sync/{MADE}"])
def test_a_linked_folder_of_products_is_not_used(root, part):
    folder = root / "reef" / f"session_{SESSION}"
    if "/" not in part:
        shutil.move(folder / part, root.parent / "elsewhere")
    (folder / part).symlink_to(root.parent / "elsewhere")
    (root.parent / "elsewhere").mkdir(exist_ok=True)
    assert session_folder(root, session(SESSION, "stopped")) is None


ODD = [
    'a"; filename=b.csv',
    "наб лю.csv",
    "<img src=x>.csv",
    "#?&.csv",
]


def test_files_of_any_name_are_served_by_it_and_as_files(bench, root):
    folder = root / "reef" / f"session_{SESSION}" / "time_sync" / MADE / "tables" / "in-water_1"
    folder.mkdir(parents=True)
    for name in ODD:
        (folder / name).write_text("t,v\n1,2\n")
    listed = product(bench, "tables")["files"]
    assert sorted(file["name"] for file in listed) == sorted(f"in-water_1/{name}" for name in ODD)
    for name in ODD:
        answer = asked(bench, b"in-water_1/" + quoted(name))
        assert (answer.status_code, answer.text) == (200, "t,v\n1,2\n"), name
        assert answer.headers["content-disposition"].startswith("attachment; filename")
        assert answer.headers["x-content-type-options"] == "nosniff"


def asked(bench, raw_name):
    base = bench.client.base_url.join(f"{PATH}/tables/")
    return bench.client.get(base.copy_with(raw_path=f"{PATH}/tables/".encode() + raw_name))


def quoted(name):
    return b"".join(b"%%%02X" % byte for byte in name.encode())


HOSTILE = [
    "..%2f..%2f..%2f..%2f..%2fsecret.csv",
    "../../../../../secret.csv",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.csv",
    "..%5c..%5csecret.csv",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "link.csv",
    "links/secret.csv",
    ".hidden/secret.csv",
    "fifo.csv",
    "%00",
    "a.csv%00",
    "%ff",
    "",
    "x" * 3000,
]


def test_no_name_reads_a_file_that_was_not_made(bench, root):
    folder = root / "reef" / f"session_{SESSION}" / "time_sync" / MADE / "tables"
    (folder / ".hidden").mkdir(parents=True)
    (folder / ".hidden" / "secret.csv").write_text(SECRET)
    (folder / "a.csv").write_text("t")
    (folder / "link.csv").symlink_to(root.parent / "secret.csv")
    (folder / "links").symlink_to(root.parent)
    os.mkfifo(folder / "fifo.csv")
    (folder / os.fsdecode(b"\xff.csv")).write_text("t")
    (folder / "x\nset-cookie: y.csv").write_text("t")
    assert [file["name"] for file in product(bench, "tables")["files"]] == ["a.csv"]
    for name in HOSTILE:
        answer = asked(bench, name.encode())
        assert answer.status_code in {404, 422}, name
        assert SECRET not in answer.text, name


def test_a_file_has_one_name(root):
    folder = ProductFolder(root / "reef" / f"session_{SESSION}")
    folder.of("tables").mkdir(parents=True)
    (folder.of("tables") / "a.csv").write_text("t")
    assert folder.file("tables", "a.csv").read_text() == "t"
    for name in ("./a.csv", "in/../a.csv", "../tables/a.csv", "//a.csv", "", ".", "..", "a.csv/"):
        assert folder.file("tables", name) is None, name


def test_only_a_session_that_is_known_has_products(bench):
    for name in ("nothing", "..", "a b", "%2e%2e", "reef/session_x"):
        assert bench.get(f"/api/sessions/{name}/products").status_code in {404, 422}, name


def test_products_are_for_those_who_may_command(root):
    with serving(root, read_only=True) as bench:
        assert bench.get("/api/about").json()["products"] is False
        answers = [bench.get(PATH), bench.post(f"{PATH}/report", {}), bench.get(f"{PATH}/report/report.html")]
        assert [(one.status_code, one.json()["error"]) for one in answers] == [(403, "read_only")] * 3
    with serving(root, token=TOKEN) as bench:
        answers = [bench.get(PATH), bench.post(f"{PATH}/report", {}), bench.get(f"{PATH}/report/report.html")]
        assert [one.status_code for one in answers] == [401] * 3
        assert bench.get(PATH, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        foreign = {"authorization": f"Bearer {TOKEN}", "origin": "https://evil.example"}
        assert bench.post(f"{PATH}/report", {}, headers=foreign).status_code == 403


def test_without_a_root_and_while_it_is_recorded_there_are_none(root):
    bench = Bench()
    bench.hear(incoming(session(SESSION, "stopped")))
    assert bench.get("/api/about").json()["products"] is False
    assert bench.get(PATH).status_code == 404
    with serving(root) as bench:
        bench.hear(incoming(session(SESSION, "recording")))
        assert (bench.get(PATH).status_code, bench.post(f"{PATH}/report", {}).status_code) == (409, 409)


@pytest.mark.slow
def test_a_process_of_its_own_reports_progress_and_what_it_complains_of(measured):
    jobs, folder = ProductJobs(measured, nice=0), ProductFolder(measured / "reef" / f"session_{SESSION}")
    jobs.ask(folder, "fused")
    job = jobs.job(folder, "fused")
    until(lambda: jobs.job(folder, "fused") is None, 200, "the product")
    assert jobs.problem(folder, "fused") is None
    assert list(folder.files("fused")) == ["fused.csv"]
    assert 0 < job.progress <= 1
    shutil.rmtree(folder.path / "in-water_1")
    jobs.ask(folder, "fused")
    until(lambda: jobs.job(folder, "fused") is None, 200, "the failure")
    assert "there is no table to fuse" in jobs.problem(folder, "fused")
    assert list(folder.files("fused")) == ["fused.csv"]  # the last one that was made
    jobs.stop()


@pytest.mark.slow
def test_it_is_shown_why_a_table_was_not_corrected(measured):
    jobs, folder = ProductJobs(measured, nice=0), ProductFolder(measured / "reef" / f"session_{SESSION}")
    (folder.path / "in-water_1" / "torn.parquet").write_bytes(b"PAR1")
    jobs.ask(folder, "tables")
    until(lambda: jobs.job(folder, "tables") is None, 200, "the failure")
    assert "torn.parquet: Parquet" in jobs.problem(folder, "tables")
    jobs.stop()


class Slow(ProductJobs):
    """Its jobs wait until they are let go; then they write a file."""

    def __init__(self, root, **options):
        super().__init__(root, **options)
        self.let_go, self.running, self.most = threading.Event(), 0, 0

    def _run(self, _job, partial, _room):
        self.running += 1
        self.most = max(self.most, self.running)
        self.let_go.wait(60)
        self.running -= 1
        (partial / "a.csv").write_text("t")


def test_one_is_made_at_a_time_each_once_and_few_may_wait(root):
    jobs = Slow(root)
    folders = []
    for number in range(MOST_WAITING + 1):
        copy = root / "many" / f"session_{number}"
        shutil.copytree(root / "reef" / f"session_{SESSION}", copy)
        folders.append(ProductFolder(copy))
    for folder in [*folders[:-1], *folders[:-1]]:
        jobs.ask(folder, "tables")
    with pytest.raises(QueueFullError):
        jobs.ask(folders[-1], "tables")
    jobs.let_go.set()
    for folder in folders[:-1]:
        until(lambda folder=folder: jobs.job(folder, "tables") is None, 60, "the job")
        assert folder.files("tables") == {"a.csv": 1}
    assert jobs.most == 1
    jobs.stop()


def test_who_sees_no_job_any_more_sees_why_nothing_was_made(root, monkeypatch):
    jobs, folder, seen = ProductJobs(root), ProductFolder(root / "reef" / f"session_{SESSION}"), []

    class Jobs(dict):
        def __delitem__(self, key):
            super().__delitem__(key)
            seen.append(jobs.problem(folder, key[1]))

    def failing(_job):
        raise OSError("no disk")

    monkeypatch.setattr(jobs, "_jobs", Jobs())
    monkeypatch.setattr(jobs, "_make", failing)
    jobs.ask(folder, "tables")
    until(lambda: seen, 60, "the end of the job")
    assert seen == ["no disk"]
    jobs.stop()


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_the_recorders_room_on_the_disk_is_not_taken(root, monkeypatch):
    free = [10**10]
    monkeypatch.setattr(jobs_module.shutil, "disk_usage", lambda _: Usage(10**12, 0, free[0]))
    monkeypatch.setattr(jobs_module, "_command", lambda *_: ["demo", "--duration", "60"])
    jobs, folder = ProductJobs(root, nice=0), ProductFolder(root / "reef" / f"session_{SESSION}")
    jobs.ask(folder, "tables")
    until(lambda: (job := jobs.job(folder, "tables")) and job.progress is not None, 60, "the process")
    free[0] = 10**8
    until(lambda: jobs.job(folder, "tables") is None, 60, "its end")
    assert "too little space is left" in jobs.problem(folder, "tables")
    jobs.ask(folder, "tables")
    until(lambda: jobs.job(folder, "tables") is None, 60, "the refusal")
    assert "too little space is free" in jobs.problem(folder, "tables")
    assert list(folder.made.iterdir()) == []
    jobs.stop()


def test_a_process_ends_with_the_dashboard(root, monkeypatch):
    monkeypatch.setattr(jobs_module, "_command", lambda *_: ["demo", "--duration", "600"])
    started = []
    monkeypatch.setattr(
        jobs_module.subprocess,
        "Popen",
        lambda *args, **options: started.append(Popen(*args, **options)) or started[-1],
    )
    jobs, folder = ProductJobs(root, nice=0), ProductFolder(root / "reef" / f"session_{SESSION}")
    jobs.ask(folder, "tables")
    (process,) = until(lambda: started, 60, "the process")
    jobs.stop()
    assert process.wait(150) != 0


Popen = jobs_module.subprocess.Popen


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="priorities as Linux has them")
def test_a_process_whose_parent_has_died_ends_and_has_a_low_priority():
    command = [*jobs_module._PROCESS, "1", str(10**9), "demo", "--duration", "600"]
    process = Popen(command, stdin=-1, stdout=-1, stderr=-1, start_new_session=True)
    lower = min(os.getpriority(os.PRIO_PROCESS, 0) + 1, 19)
    until(lambda: os.getpriority(os.PRIO_PROCESS, process.pid) == lower, 120, "its priority")
    process.stdin.close()
    assert process.wait(150) == 1


def test_the_products_made_longest_ago_are_deleted(root):
    folders = []
    for number in range(25):
        folder = ProductFolder(root / "many" / f"session_{number}")
        folder.of("report").mkdir(parents=True)
        (folder.of("report") / "report.html").write_text("x")
        os.utime(folder.made, (1e9 + number, 1e9 + number))
        folders.append(folder)
    make_room(root, folders[0])
    kept = [number for number, folder in enumerate(folders) if folder.made.exists()]
    assert kept == [0, *range(6, 25)]


def test_a_sessions_state_is_all_that_is_needed(root):
    state = SessionState.model_validate(session(SESSION, "stopped").model_dump())
    assert session_folder(root, state).path == root / "reef" / f"session_{SESSION}"
