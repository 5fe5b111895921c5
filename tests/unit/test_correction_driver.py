"""The driver of table formats: a further format is a module and an entry of FORMATS, nothing else."""

import gzip
import re
from contextlib import contextmanager

import numpy as np
import pytest

from tests.unit.test_correction_session import TABLE, S, correct, outputs, session
from tests.unit.tracks import START, raw_of, stepped
from tidesync.sessions.correction import driver, formats
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.table import Batch, Job, Malformed
from tidesync.sessions.correction.timeline import STATES, UNREADABLE
from tidesync.sessions.errors import UnusableFileError

__all__ = ["session"]


class Lines:
    """A format of one column: a Unix count of ns in each line."""

    columns = ("timestamp",)
    place = "line"
    step_ns = 0
    form = None

    def __init__(self, job, measured):
        self.stamps = [int(line) if line.isdigit() else None for line in job.path.read_text().splitlines()]
        self.measured, self.reads = measured, []

    def scan(self):
        self.reads.append("scan")
        return self.batches()

    def read(self):
        self.reads.append("read")
        return self.batches()

    def batches(self):
        for begin in range(0, len(self.stamps), 2):
            stamps = self.stamps[begin : begin + 2]
            malformed = [
                Malformed(begin + index + 1, "?") for index, stamp in enumerate(stamps) if stamp is None
            ]
            unix_ns = np.array([stamp or 0 for stamp in stamps], dtype=np.int64)
            readable = np.array([stamp is not None for stamp in stamps], dtype=bool)
            yield Batch(stamps, unix_ns, readable, malformed, 1)

    @contextmanager
    def output(self, stream):
        stream.write(b"head\n")

        def write(rows, corrections):
            for stamp, state in zip(rows, corrections.state.tolist(), strict=True):
                stream.write(f"{stamp} {None if state == UNREADABLE else STATES[state]}\n".encode())

        yield write
        stream.write(b"end\n")


@pytest.fixture
def lines(monkeypatch):
    opened = []

    @contextmanager
    def open_lines(job, measured):
        opened.append(Lines(job, measured))
        yield opened[-1]

    monkeypatch.setitem(formats.FORMATS, ".lines", open_lines)
    return opened


@pytest.mark.parametrize(("step_ns", "reads"), [(0, ["read"]), (-3 * S, ["scan", "read"])])
def test_a_table_is_scanned_first_only_where_the_clock_was_cut(tmp_path, lines, step_ns, reads):
    rows, truth = stepped(step_ns)
    if not step_ns:
        rows = [row._replace(segment=0) for row in rows]
    made = timeline(rows, raw_of(rows), ClockLimits())
    path = tmp_path / "log.lines"
    pi = [START + at * S + round(truth(at)) for at in (1, 50, 150)]
    path.write_text(f"{pi[0]}\nx\n{pi[1]}\n{pi[2]}\n")
    progress = []
    result = driver.correct(Job(path, "rov1"), made, progress.append)
    assert lines[0].reads == reads
    assert sum(progress) == 2 * len(reads) == driver.RowCorrector(made).passes * 2
    assert lines[0].measured == made.measured
    assert (result.rows, result.corrected, result.malformed, result.shown) == (4, 3, 1, [Malformed(2, "?")])
    written = formats.output_of(path).read_text()
    assert written == f"head\n{pi[0]} ok\nNone None\n{pi[1]} ok\n{pi[2]} ok\nend\n"


@pytest.mark.usefixtures("lines")
def test_a_format_that_fails_leaves_no_output(tmp_path, monkeypatch):
    rows, _ = stepped(0)
    path = tmp_path / "log.lines"
    path.write_text(f"{START}\n")

    @contextmanager
    def failing(_table, _stream):
        raise UnusableFileError(path, "it is full")
        yield

    monkeypatch.setattr(Lines, "output", failing)
    with pytest.raises(UnusableFileError, match="it is full"):
        driver.correct(Job(path, "rov1"), timeline(rows, raw_of(rows), ClockLimits()), lambda _: None)
    assert [each.name for each in tmp_path.iterdir()] == ["log.lines"]


@pytest.mark.usefixtures("lines")
def test_tables_of_a_further_format_are_found_in_the_sensors_folders(session, capsys):
    (session / "in-water_7" / "log.lines").write_text("x\n")
    assert correct(session, "--sensor", "inWater=rov1") == 0
    assert outputs(session) == ["in-water_7/log.topside.lines", "in-water_7/session.topside.csv"]
    assert "log.lines, line 1: '?' is no timestamp" in capsys.readouterr().err


def test_nothing_in_a_sensors_folder_is_passed_over(session, capsys):
    folder = session / "in-water_7"
    (folder / "sonar.txt").write_text(TABLE)
    (folder / "notes.txt").write_text("all well\n")
    (folder / "session.csv.1").write_text(TABLE)
    (folder / "old.csv.gz").write_bytes(gzip.compress(TABLE.encode()))
    (folder / "spark.csv").mkdir()
    (folder / "spark.csv" / "part-00000-5d.csv").write_text(TABLE)
    (folder / "a.jpg").write_bytes(b"")
    (folder / "b.jpg").write_bytes(b"")
    assert correct(session, "--sensor", "inWater=rov1") == 0
    assert outputs(session) == [
        f"in-water_7/{name}"
        for name in (
            "old.topside.csv.gz",
            "session.topside.csv",
            "session.topside.csv.1",
            "sonar.topside.txt",
        )
    ]
    shown = capsys.readouterr().out
    for path, left in (
        ("notes.txt", ""),
        ("spark.csv", "it is a folder with 1 table"),
        ("*.jpg", "2 files"),
    ):
        assert re.search(rf"{re.escape(path)} .*left as it is +{re.escape(left)}", shown)
